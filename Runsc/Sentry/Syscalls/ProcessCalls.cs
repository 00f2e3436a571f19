using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using Runsc.Linux;
using Runsc.Sentry.Auth;
using Runsc.Sentry.FileSystems.Proc;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Kernel.Signals;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Loader;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.Syscalls;

/// <summary>clone(2), execve(2), exit(2), wait4(2) and their kin.</summary>
internal static unsafe class ProcessCalls
{
    private const ulong LegacyFlags = 0xffff_ff00;
    private const ulong KnownClone3Flags = 0x3_ffff_ff00 & ~(ulong)Sched.CLONE_DETACHED;

    // Arguments and environment together, before the loader applies RLIMIT_STACK.
    private const int MaxStrings = 0x7fff_ffff / 64;
    private const int MaxStringLength = 128 << 10;

    public static void Register(SyscallTable.Builder b)
    {
        b.Add(SysNo.fork, "fork", &Fork, "");
        b.Add(SysNo.vfork, "vfork", &Vfork, "");
        b.Add(SysNo.clone, "clone", &Clone, "cloneflags,ptr,ptr,ptr,ptr");
        b.Add(SysNo.clone3, "clone3", &Clone3, "ptr,size");
        b.Add(SysNo.execve, "execve", &Execve, "path,argv,envp");
        b.Add(SysNo.execveat, "execveat", &Execveat, "dirfd,path,argv,envp,hex");
        b.Add(SysNo.exit, "exit", &Exit, "int");
        b.Add(SysNo.exit_group, "exit_group", &ExitGroup, "int");
        b.Add(SysNo.wait4, "wait4", &Wait4, "pid,ptr,hex,ptr");
        b.Add(SysNo.waitid, "waitid", &WaitId, "int,pid,ptr,hex,ptr");
        b.Add(SysNo.unshare, "unshare", &Unshare, "cloneflags");
        b.Add(SysNo.setns, "setns", &SetNs, "fd,cloneflags");
        b.Add(SysNo.pidfd_open, "pidfd_open", &PidFdOpen, "pid,hex");
        b.Add(SysNo.pidfd_send_signal, "pidfd_send_signal", &PidFdSendSignal, "fd,sig,ptr,hex");
        b.Add(SysNo.pidfd_getfd, "pidfd_getfd", &PidFdGetFd, "fd,fd,hex");
    }

    private static long Fork(Task task, in SyscallArguments a) => task.Clone(new CloneArguments { ExitSignal = Signal.SIGCHLD });

    private static long Vfork(Task task, in SyscallArguments a) =>
        task.Clone(new CloneArguments { Flags = Sched.CLONE_VFORK | Sched.CLONE_VM, ExitSignal = Signal.SIGCHLD });

    private static long Clone(Task task, in SyscallArguments a)
    {
        ulong flags = a.A0 & LegacyFlags;
        if ((flags & Sched.CLONE_PIDFD) != 0 && (flags & Sched.CLONE_PARENT_SETTID) != 0)
        {
            return -(long)Errno.EINVAL;
        }

        return task.Clone(new CloneArguments
        {
            Flags = flags,
            ExitSignal = (int)(a.A0 & Sched.CSIGNAL),
            StackPointer = a.A1,
            ParentTidAddress = a.A2,
            PidFdAddress = a.A2,
            ChildTidAddress = a.A3,
            Tls = a.A4,
        });
    }

    private static long Clone3(Task task, in SyscallArguments a)
    {
        if (a.A1 < Sched.CLONE_ARGS_SIZE_VER0)
        {
            return -(long)Errno.EINVAL;
        }

        if (a.A1 > 4096)
        {
            return -(long)Errno.E2BIG;
        }

        Span<byte> bytes = stackalloc byte[4096];
        bytes = bytes[..Math.Max((int)a.A1, CloneStruct.SizeInBytes)];
        bytes.Clear();
        if (task.Memory.CopyIn(a.A0, bytes[..(int)a.A1]) != (long)a.A1)
        {
            return -(long)Errno.EFAULT;
        }

        if (bytes[CloneStruct.SizeInBytes..].ContainsAnyExcept((byte)0))
        {
            return -(long)Errno.E2BIG;
        }

        CloneStruct c = MemoryMarshal.Read<CloneStruct>(bytes);
        bool badStack = (c.Stack == 0) != (c.StackSize == 0) || c.Stack + c.StackSize < c.Stack;
        if ((c.Flags & ~KnownClone3Flags) != 0 || (c.ExitSignal & ~(ulong)Sched.CSIGNAL) != 0 || c.ExitSignal > 64 || badStack || c.SetTidSize > 32
            || (c.SetTid == 0) != (c.SetTidSize == 0) || ((c.Flags & (Sched.CLONE_THREAD | Sched.CLONE_PARENT)) != 0 && c.ExitSignal != 0))
        {
            return -(long)Errno.EINVAL;
        }

        int wanted = 0;
        if (c.SetTidSize > 0)
        {
            // One level of PID namespaces.
            if (c.SetTidSize > 1)
            {
                return -(long)Errno.EINVAL;
            }

            if (task.Memory.CopyIn(c.SetTid, out wanted) != Errno.None)
            {
                return -(long)Errno.EFAULT;
            }

            if (wanted is <= 0 or > Kernel.SentryKernel.MaxId)
            {
                return -(long)Errno.EINVAL;
            }

            if (!task.Credentials.HasCapability(Capability.CAP_SYS_ADMIN) && !task.Credentials.HasCapability(Capability.CAP_CHECKPOINT_RESTORE))
            {
                return -(long)Errno.EPERM;
            }
        }

        return task.Clone(new CloneArguments
        {
            Flags = c.Flags,
            ExitSignal = (int)c.ExitSignal,
            StackPointer = c.Stack == 0 ? 0 : c.Stack + c.StackSize,
            ParentTidAddress = c.ParentTid,
            PidFdAddress = c.PidFd,
            ChildTidAddress = c.ChildTid,
            Tls = c.Tls,
            WantedId = wanted,
        });
    }

    /// <summary>struct clone_args.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct CloneStruct
    {
        public const int SizeInBytes = 88;

        public ulong Flags;
        public ulong PidFd;
        public ulong ChildTid;
        public ulong ParentTid;
        public ulong ExitSignal;
        public ulong Stack;
        public ulong StackSize;
        public ulong Tls;
        public ulong SetTid;
        public ulong SetTidSize;
        public ulong Cgroup;
    }

    private static long Execve(Task task, in SyscallArguments a) => Execute(task, Fcntl.AT_FDCWD, a.A0, a.A1, a.A2, 0);

    private static long Execveat(Task task, in SyscallArguments a) => Execute(task, a.Int0, a.A1, a.A2, a.A3, a.Int4);

    private static long Execute(Task task, int directory, ulong pathAddress, ulong argv, ulong envp, int flags)
    {
        if ((flags & ~(Fcntl.AT_EMPTY_PATH | Fcntl.AT_SYMLINK_NOFOLLOW)) != 0)
        {
            return -(long)Errno.EINVAL;
        }

        byte[] buffer = new byte[PathArgument.Size];
        Errno error = PathArgument.Read(task, pathAddress, buffer, out ReadOnlySpan<byte> path);
        if (error != Errno.None)
        {
            return -(long)error;
        }

        byte[] name = path.ToArray();
        error = PathArgument.Resolve(task, directory, pathAddress, (flags & Fcntl.AT_SYMLINK_NOFOLLOW) == 0, (flags & Fcntl.AT_EMPTY_PATH) != 0, out VfsPath place);
        if (error != Errno.None)
        {
            return -(long)error;
        }

        if (place.Dentry.Inode!.FileType == (uint)Stat.S_IFLNK)
        {
            place.DecRef();
            return -(long)Errno.ELOOP;
        }

        error = ReadStrings(task, argv, out List<byte[]> arguments);
        List<byte[]> environment = [];
        if (error == Errno.None)
        {
            error = ReadStrings(task, envp, out environment);
        }

        if (error != Errno.None)
        {
            place.DecRef();
            return -(long)error;
        }

        // Linux gives a program that has no name an empty one.
        if (arguments.Count == 0)
        {
            arguments.Add([]);
        }

        error = ElfLoader.OpenExecutable(task, place, out FileDescription? file);
        if (error != Errno.None)
        {
            return -(long)error;
        }

        if (directory != Fcntl.AT_FDCWD && (name.Length == 0 || name[0] != (byte)'/'))
        {
            // What a script's interpreter is told to open (execveat(2)).
            string prefix = name.Length == 0 ? $"/dev/fd/{directory}" : $"/dev/fd/{directory}/";
            name = [.. System.Text.Encoding.ASCII.GetBytes(prefix), .. name];
        }

        error = task.Execute(file!, name, arguments, environment);
        file!.DecRef();
        return -(long)error;
    }

    private static Errno ReadStrings(Task task, ulong address, out List<byte[]> strings)
    {
        strings = [];
        if (address == 0)
        {
            return Errno.None;
        }

        byte[] buffer = System.Buffers.ArrayPool<byte>.Shared.Rent(MaxStringLength);
        try
        {
            long total = 0;
            for (; ; address += 8)
            {
                if (task.Memory.CopyIn(address, out ulong pointer) != Errno.None)
                {
                    return Errno.EFAULT;
                }

                if (pointer == 0)
                {
                    return Errno.None;
                }

                long length = task.Memory.CopyInString(pointer, buffer.AsSpan(0, MaxStringLength));
                if (length < 0)
                {
                    return length == -(long)Errno.ENAMETOOLONG ? Errno.E2BIG : (Errno)(-length);
                }

                total += length + 9;
                if (total > 8 << 20 || strings.Count >= MaxStrings)
                {
                    return Errno.E2BIG;
                }

                strings.Add(buffer.AsSpan(0, (int)length).ToArray());
            }
        }
        finally
        {
            System.Buffers.ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private static long Exit(Task task, in SyscallArguments a)
    {
        task.BeginExit(a.Int0);
        return 0;
    }

    private static long ExitGroup(Task task, in SyscallArguments a)
    {
        task.BeginGroupExit(a.Int0);
        return 0;
    }

    private static long Wait4(Task task, in SyscallArguments a)
    {
        const uint known = (uint)Wait.WNOHANG | (uint)Wait.WUNTRACED | (uint)Wait.WCONTINUED | (uint)Wait.__WNOTHREAD | (uint)Wait.__WALL | Wait.__WCLONE;
        uint options = a.UInt2;
        int id = a.Int0;
        if ((options & ~known) != 0)
        {
            return -(long)Errno.EINVAL;
        }

        if (id == int.MinValue)
        {
            return -(long)Errno.ESRCH;
        }

        (WaitTarget which, int target) = id switch
        {
            -1 => (WaitTarget.Any, 0),
            0 => (WaitTarget.ProcessGroup, task.ThreadGroup.ProcessGroup.Id),
            < 0 => (WaitTarget.ProcessGroup, -id),
            _ => (WaitTarget.Process, id),
        };
        Errno error = task.ThreadGroup.WaitForChild(task, which, target, options | (uint)Wait.WEXITED, out WaitResult result);
        if (error != Errno.None || result.ProcessId == 0)
        {
            return -(long)error;
        }

        if (a.A1 != 0 && task.Memory.CopyOut(a.A1, result.Status) != Errno.None)
        {
            return -(long)Errno.EFAULT;
        }

        if (a.A3 != 0)
        {
            RusageBuffer usage = new() { UserTime = Timeval.FromNanoseconds(result.UserTime), SystemTime = Timeval.FromNanoseconds(result.SystemTime) };
            if (task.Memory.CopyOut(a.A3, usage) != Errno.None)
            {
                return -(long)Errno.EFAULT;
            }
        }

        return result.ProcessId;
    }

    private static long WaitId(Task task, in SyscallArguments a)
    {
        const int P_ALL = 0, P_PID = 1, P_PGID = 2, P_PIDFD = 3;
        const uint kinds = (uint)Wait.WEXITED | (uint)Wait.WSTOPPED | (uint)Wait.WCONTINUED;
        const uint known = kinds | (uint)Wait.WNOHANG | (uint)Wait.WNOWAIT | (uint)Wait.__WNOTHREAD | (uint)Wait.__WALL | Wait.__WCLONE;
        uint options = a.UInt3;
        if ((options & ~known) != 0 || (options & kinds) == 0)
        {
            return -(long)Errno.EINVAL;
        }

        WaitTarget which;
        int id = a.Int1;
        switch (a.Int0)
        {
            case P_ALL:
                which = WaitTarget.Any;
                break;
            case P_PID when id > 0:
                which = WaitTarget.Process;
                break;
            case P_PGID when id >= 0:
                which = WaitTarget.ProcessGroup;
                id = id == 0 ? task.ThreadGroup.ProcessGroup.Id : id;
                break;
            case P_PIDFD when id >= 0:
                which = WaitTarget.Process;
                FileDescription? file = task.Files.Get(id);
                if (file is not PidFd pidFd)
                {
                    file?.DecRef();
                    return -(long)Errno.EBADF;
                }

                id = pidFd.Process.Id;
                if (pidFd.IsNonBlocking)
                {
                    options |= (uint)Wait.WNOHANG;
                }

                file.DecRef();
                break;
            default:
                return -(long)Errno.EINVAL;
        }

        Errno error = task.ThreadGroup.WaitForChild(task, which, id, options, out WaitResult result);
        if (error != Errno.None)
        {
            return -(long)error;
        }

        if (a.A4 != 0 && result.ProcessId != 0)
        {
            RusageBuffer usage = new() { UserTime = Timeval.FromNanoseconds(result.UserTime), SystemTime = Timeval.FromNanoseconds(result.SystemTime) };
            if (task.Memory.CopyOut(a.A4, usage) != Errno.None)
            {
                return -(long)Errno.EFAULT;
            }
        }

        if (a.A2 == 0)
        {
            return 0;
        }

        // Linux leaves the rest of the union as it was.
        SignalInfo info = default;
        if (result.ProcessId != 0)
        {
            info = new SignalInfo { Signal = Signal.SIGCHLD, Code = result.Code, ProcessId = result.ProcessId, Uid = task.Credentials.UserNamespace.Uids.Shown(result.Uid), Status = result.Value };
        }

        ReadOnlySpan<byte> bytes = MemoryMarshal.AsBytes(new ReadOnlySpan<SignalInfo>(in info))[..28];
        return task.Memory.CopyOut(a.A2, bytes) == bytes.Length ? 0 : -(long)Errno.EFAULT;
    }

    private static long Unshare(Task task, in SyscallArguments a)
    {
        const ulong known = Task.Namespaces | Sched.CLONE_NEWUSER | Sched.CLONE_FS | Sched.CLONE_FILES | Sched.CLONE_SYSVSEM;
        const ulong alone = Sched.CLONE_THREAD | Sched.CLONE_SIGHAND | Sched.CLONE_VM;
        ulong flags = a.A0;
        if ((flags & ~(known | alone)) != 0)
        {
            return -(long)Errno.EINVAL;
        }

        if ((flags & (alone | Sched.CLONE_NEWUSER)) != 0 && task.ThreadGroup.Tasks.Count > 1)
        {
            return -(long)Errno.EINVAL;
        }

        Errno error = task.UnshareNamespaces(flags);
        if (error != Errno.None)
        {
            return -(long)error;
        }

        if ((flags & Sched.CLONE_FILES) != 0)
        {
            task.UnshareFiles();
        }

        if ((flags & (Sched.CLONE_FS | Sched.CLONE_NEWUSER)) != 0)
        {
            task.UnshareFs();
        }

        return 0;
    }

    private static long SetNs(Task task, in SyscallArguments a)
    {
        FileDescription? file = task.Files.Get(a.Int0);
        if (file is null)
        {
            return -(long)Errno.EBADF;
        }

        Namespace? space = NamespaceFileSystem.NamespaceOf(file);
        Errno error = space is null || (a.Int1 != 0 && a.Int1 != space.Type) ? Errno.EINVAL : task.Enter(space);
        file.DecRef();
        return -(long)error;
    }

    private static long PidFdOpen(Task task, in SyscallArguments a)
    {
        if ((a.UInt1 & ~(uint)Fcntl.O_NONBLOCK) != 0 || a.Int0 <= 0)
        {
            return -(long)Errno.EINVAL;
        }

        ThreadGroup group;
        lock (task.Kernel.TaskLock)
        {
            Task? found = task.Kernel.FindTaskLocked(a.Int0, task.ThreadGroup.Container);
            if (found is null)
            {
                return -(long)Errno.ESRCH;
            }

            // A thread that is no leader: as Linux before PIDFD_THREAD.
            if (found.ThreadGroup.Leader != found)
            {
                return -(long)Errno.ENOENT;
            }

            group = found.ThreadGroup;
        }

        PidFd file = new(task.Kernel, group, a.Int1);
        long fd = task.Files.Add(file, closeOnExec: true, task.DescriptorLimit);
        if (fd < 0)
        {
            file.DecRef();
        }

        return fd;
    }

    private static long PidFdSendSignal(Task task, in SyscallArguments a)
    {
        if (a.UInt3 != 0)
        {
            return -(long)Errno.EINVAL;
        }

        // A directory of /proc is as good as a pidfd here, and only here.
        FileDescription? file = task.Files.Get(a.Int0);
        ThreadGroup? target = file switch
        {
            PidFd pidFd => pidFd.Process,
            not null when file.Inode is TaskDirectory directory => directory.Process,
            _ => null,
        };
        file?.DecRef();
        if (target is null)
        {
            return -(long)Errno.EBADF;
        }

        SignalInfo info = SignalCalls.FromUser(task, a.Int1, SignalInfo.SI_USER);
        if (a.A2 != 0)
        {
            if (task.Memory.CopyIn(a.A2, out info) != Errno.None)
            {
                return -(long)Errno.EFAULT;
            }

            if (info.Signal != a.Int1)
            {
                return -(long)Errno.EINVAL;
            }

            if (target != task.ThreadGroup && (info.Code >= 0 || info.Code == SignalInfo.SI_TKILL))
            {
                return -(long)Errno.EPERM;
            }
        }

        return SignalCalls.SendChecked(task, target, info);
    }

    private static long PidFdGetFd(Task task, in SyscallArguments a)
    {
        if (a.UInt2 != 0)
        {
            return -(long)Errno.EINVAL;
        }

        FileDescription? file = task.Files.Get(a.Int0);
        if (file is not PidFd pidFd)
        {
            file?.DecRef();
            return -(long)Errno.EBADF;
        }

        ThreadGroup target = pidFd.Process;
        file.DecRef();
        Task other = target.Leader;
        if (target.IsZombie || target.IsDead)
        {
            return -(long)Errno.ESRCH;
        }

        if (!TraceAccess.IsAllowed(task.Credentials, task.ThreadGroup, other, realIds: true))
        {
            return -(long)Errno.EPERM;
        }

        FileDescription? taken = other.Files.Get(a.Int1);
        if (taken is null)
        {
            return -(long)Errno.EBADF;
        }

        long fd = task.Files.Add(taken, closeOnExec: true, task.DescriptorLimit);
        if (fd < 0)
        {
            taken.DecRef();
        }

        return fd;
    }
}

/// <summary>struct rusage (getrusage(2)).</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct RusageBuffer
{
    public const int SizeInBytes = 144;

    public Timeval UserTime;
    public Timeval SystemTime;
    public long MaximumResident;
    public long SharedText;
    public long Data;
    public long Stack;
    public long MinorFaults;
    public long MajorFaults;
    public long Swaps;
    public long BlocksIn;
    public long BlocksOut;
    public long MessagesSent;
    public long MessagesReceived;
    public long Signals;
    public long VoluntarySwitches;
    public long InvoluntarySwitches;
}
