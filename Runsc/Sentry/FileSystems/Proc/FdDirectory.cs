using System;
using System.Globalization;
using System.Text;
using Runsc.Linux;
using Runsc.Sentry.FileSystems.Pseudo;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.FileSystems.Proc;

/// <summary>/proc/PID/fd: a link for each open descriptor.</summary>
internal sealed class FdDirectory : PseudoDirectory
{
    private readonly PseudoSuperBlock _super;
    private readonly Task _task;

    public FdDirectory(PseudoSuperBlock super, Task task, ulong number)
        : base(super, 0x140)
    {
        _super = super;
        _task = task;
        Number = number;
    }

    public override bool CachesChildren => false;

    protected override (uint Uid, uint Gid) Owner => TaskFile.OwnerOf(_task);

    public override Errno CheckPermission(ICaller caller, int mask) =>
        FdNumbers.IsOwn(caller, _task) ? Errno.None : CheckPermission(caller.Credentials, mask);

    protected override Errno LookupDynamic(ReadOnlySpan<byte> name, out Inode? child)
    {
        child = null;
        if (!FdNumbers.TryParse(name, out int fd) || _task.Files.Get(fd) is not FileDescription file)
        {
            return Errno.ENOENT;
        }

        child = new FdLink(_super, _task, fd, file);
        file.DecRef();
        return Errno.None;
    }

    protected override void ListDynamic(ICaller caller, long from, DynamicEntryVisitor visit) => FdNumbers.List(_task, from, (byte)Dirent.DT_LNK, 4096, visit);
}

/// <summary>/proc/PID/fdinfo.</summary>
internal sealed class FdInfoDirectory : PseudoDirectory
{
    private readonly PseudoSuperBlock _super;
    private readonly Task _task;

    public FdInfoDirectory(PseudoSuperBlock super, Task task, ulong number)
        : base(super)
    {
        _super = super;
        _task = task;
        Number = number;
    }

    public override bool CachesChildren => false;

    protected override (uint Uid, uint Gid) Owner => TaskFile.OwnerOf(_task);

    public override Errno CheckPermission(ICaller caller, int mask) =>
        FdNumbers.IsOwn(caller, _task) ? Errno.None : CheckPermission(caller.Credentials, mask);

    protected override Errno LookupDynamic(ReadOnlySpan<byte> name, out Inode? child)
    {
        child = null;
        Errno error = FdNumbers.Find(_task, name, out int fd);
        if (error == Errno.None)
        {
            child = new TaskFile(_super, _task, 0x100, TaskDirectory.NumberOf(_task.ThreadId, 4_194_304 + fd), (task, caller, text) => Describe(task, fd, caller, text));
        }

        return error;
    }

    private static Errno Describe(Task task, int fd, ICaller caller, StringBuilder text)
    {
        FileDescription? file = task.Files.Get(fd);
        if (file is null)
        {
            return Errno.ENOENT;
        }

        long position = Math.Max(file.Seek(caller, 0, Fcntl.SEEK_CUR), 0);
        int flags = file.StatusFlags | (task.Files.GetCloseOnExec(fd) == true ? Fcntl.O_CLOEXEC : 0);
        _ = file.Inode.GetAttributes(out FileAttributes attributes);
        text.Append(CultureInfo.InvariantCulture, $"pos:\t{position}\nflags:\t0{Convert.ToString(flags, 8)}\nmnt_id:\t{file.Path.Mount.Id}\nino:\t{attributes.Inode}\n{file.ShownInfo}");
        file.DecRef();
        return Errno.None;
    }

    protected override void ListDynamic(ICaller caller, long from, DynamicEntryVisitor visit) => FdNumbers.List(_task, from, (byte)Dirent.DT_REG, 4_194_304, visit);
}

/// <summary>Descriptors as names.</summary>
internal static class FdNumbers
{
    public static Errno Find(Task task, ReadOnlySpan<byte> name, out int fd)
    {
        if (!TryParse(name, out fd))
        {
            return Errno.ENOENT;
        }

        FileDescription? file = task.Files.Get(fd);
        file?.DecRef();
        return file is null ? Errno.ENOENT : Errno.None;
    }

    public static bool IsOwn(ICaller caller, Task task) => caller is Task self && self.ThreadGroup == task.ThreadGroup;

    public static bool TryParse(ReadOnlySpan<byte> name, out int fd)
    {
        fd = 0;
        return (name.Length == 1 && name[0] == (byte)'0') || ProcRoot.TryParse(name, out fd);
    }

    public static void List(Task task, long from, byte type, int numberBase, PseudoDirectory.DynamicEntryVisitor visit)
    {
        FdTable files = task.Files;
        for (int fd = files.Next((int)Math.Clamp(from, 0, int.MaxValue)); fd >= 0; fd = files.Next(fd + 1))
        {
            if (!visit(fd, fd.ToString(CultureInfo.InvariantCulture), TaskDirectory.NumberOf(task.ThreadId, numberBase + fd), type))
            {
                return;
            }
        }
    }
}

/// <summary>One link of /proc/PID/fd. It leads to the open file's place; opening it opens the file anew.</summary>
internal sealed class FdLink : PseudoInode
{
    private readonly Task _task;
    private readonly int _fd;

    public FdLink(PseudoSuperBlock super, Task task, int fd, FileDescription file)
        : base(super, (uint)Linux.Stat.S_IFLNK | (file.IsReadable ? 0x140u : 0) | (file.IsWritable ? 0xc0u : 0))
    {
        _task = task;
        _fd = fd;
        Number = TaskDirectory.NumberOf(task.ThreadId, 4096 + fd);
    }

    protected override (uint Uid, uint Gid) Owner => TaskFile.OwnerOf(_task);

    protected override long Size => 64;

    public override bool TryFollowMagicLink(ICaller caller, out VfsPath path, out Errno error)
    {
        path = default;
        error = TaskFile.CheckAccess(caller, _task);
        if (error != Errno.None)
        {
            return true;
        }

        FileDescription? file = _task.Files.Get(_fd);
        if (file is null)
        {
            error = Errno.ENOENT;
            return true;
        }

        path = file.Path;
        path.IncRef();
        file.DecRef();
        return true;
    }

    public override Errno ReadLink(ICaller caller, out byte[] target)
    {
        target = [];
        Errno error = TaskFile.CheckAccess(caller, _task);
        if (error != Errno.None)
        {
            return error;
        }

        FileDescription? file = _task.Files.Get(_fd);
        if (file is null)
        {
            return Errno.ENOENT;
        }

        target = file.ShownName is string name ? Encoding.Latin1.GetBytes(name) : PathNames.Describe(caller, file.Path);
        file.DecRef();
        return Errno.None;
    }

    public override Errno Open(ICaller caller, in VfsPath path, int flags, out FileDescription? file)
    {
        file = null;
        return Errno.ELOOP;
    }
}
