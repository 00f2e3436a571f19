using System;
using Runsc.Linux;
using Runsc.Sentry.Auth;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.Syscalls;

/// <summary>Extended attributes (xattr(7)).</summary>
internal static unsafe class FileXattr
{
    private const int MaxName = 255;
    private const int MaxValue = 65536;

    public static void Register(SyscallTable.Builder b)
    {
        b.Add(SysNo.getxattr, "getxattr", &Get, "path,str,outbuf,size");
        b.Add(SysNo.lgetxattr, "lgetxattr", &LGet, "path,str,outbuf,size");
        b.Add(SysNo.fgetxattr, "fgetxattr", &FGet, "fd,str,outbuf,size");
        b.Add(SysNo.setxattr, "setxattr", &Set, "path,str,buf,size,hex");
        b.Add(SysNo.lsetxattr, "lsetxattr", &LSet, "path,str,buf,size,hex");
        b.Add(SysNo.fsetxattr, "fsetxattr", &FSet, "fd,str,buf,size,hex");
        b.Add(SysNo.listxattr, "listxattr", &List, "path,outbuf,size");
        b.Add(SysNo.llistxattr, "llistxattr", &LList, "path,outbuf,size");
        b.Add(SysNo.flistxattr, "flistxattr", &FList, "fd,outbuf,size");
        b.Add(SysNo.removexattr, "removexattr", &Remove, "path,str");
        b.Add(SysNo.lremovexattr, "lremovexattr", &LRemove, "path,str");
        b.Add(SysNo.fremovexattr, "fremovexattr", &FRemove, "fd,str");
    }

    private delegate long Operation(Task task, in VfsPath place, in SyscallArguments a);

    private static long OnPath(Task task, in SyscallArguments a, bool follow, Operation operation)
    {
        Errno error = PathArgument.Resolve(task, Fcntl.AT_FDCWD, a.A0, follow, allowEmpty: false, out VfsPath place);
        if (error != Errno.None)
        {
            return -(long)error;
        }

        long result = operation(task, place, a);
        place.DecRef();
        return result;
    }

    private static long OnFile(Task task, in SyscallArguments a, Operation operation)
    {
        FileDescription? file = task.Files.Get(a.Int0);
        if (file is null || (file.StatusFlags & Fcntl.O_PATH) != 0)
        {
            file?.DecRef();
            return -(long)Errno.EBADF;
        }

        long result = operation(task, file.Path, a);
        file.DecRef();
        return result;
    }

    private static long Get(Task task, in SyscallArguments a) => OnPath(task, a, true, DoGet);

    private static long LGet(Task task, in SyscallArguments a) => OnPath(task, a, false, DoGet);

    private static long FGet(Task task, in SyscallArguments a) => OnFile(task, a, DoGet);

    private static long Set(Task task, in SyscallArguments a) => OnPath(task, a, true, DoSet);

    private static long LSet(Task task, in SyscallArguments a) => OnPath(task, a, false, DoSet);

    private static long FSet(Task task, in SyscallArguments a) => OnFile(task, a, DoSet);

    private static long List(Task task, in SyscallArguments a) => OnPath(task, a, true, DoList);

    private static long LList(Task task, in SyscallArguments a) => OnPath(task, a, false, DoList);

    private static long FList(Task task, in SyscallArguments a) => OnFile(task, a, DoList);

    private static long Remove(Task task, in SyscallArguments a) => OnPath(task, a, true, DoRemove);

    private static long LRemove(Task task, in SyscallArguments a) => OnPath(task, a, false, DoRemove);

    private static long FRemove(Task task, in SyscallArguments a) => OnFile(task, a, DoRemove);

    private static Errno ReadName(Task task, ulong address, Span<byte> buffer, out ReadOnlySpan<byte> name)
    {
        long length = task.Memory.CopyInString(address, buffer);
        name = length > 0 ? buffer[..(int)length] : default;
        return length switch
        {
            0 or -(long)Errno.ENAMETOOLONG => Errno.ERANGE,
            < 0 => (Errno)(-length),
            _ => Errno.None,
        };
    }

    /// <summary>The rights that the name spaces of xattr(7) ask for.</summary>
    private static Errno CheckAccess(Task task, in VfsPath place, ReadOnlySpan<byte> name, bool write)
    {
        Credentials credentials = task.Credentials;
        if (write && place.Mount.IsReadOnly)
        {
            return Errno.EROFS;
        }

        Inode inode = place.Dentry.Inode!;
        if (name.StartsWith("security."u8))
        {
            return write && !credentials.HasCapability(Capability.CAP_SYS_ADMIN) && !(name.SequenceEqual("security.capability"u8) && credentials.HasCapability(Capability.CAP_SETFCAP))
                ? Errno.EPERM
                : Errno.None;
        }

        if (name.StartsWith("system."u8))
        {
            return Errno.EOPNOTSUPP;
        }

        if (name.StartsWith("trusted."u8))
        {
            return credentials.HasCapability(Capability.CAP_SYS_ADMIN) ? Errno.None : write ? Errno.EPERM : Errno.ENODATA;
        }

        if (!name.StartsWith("user."u8))
        {
            return Errno.EOPNOTSUPP;
        }

        // Only regular files and directories have room for users' data.
        if (!inode.IsRegular && !inode.IsDirectory)
        {
            return write ? Errno.EPERM : Errno.ENODATA;
        }

        return inode.CheckPermission(credentials, write ? Permissions.Write : Permissions.Read);
    }

    private static long DoGet(Task task, in VfsPath place, in SyscallArguments a)
    {
        Span<byte> buffer = stackalloc byte[MaxName + 1];
        Errno error = ReadName(task, a.A1, buffer, out ReadOnlySpan<byte> name);
        if (error == Errno.None)
        {
            error = CheckAccess(task, place, name, write: false);
        }

        if (error != Errno.None)
        {
            return -(long)error;
        }

        byte[] value = new byte[Math.Min(a.A3, MaxValue)];
        long size = place.Dentry.Inode!.GetXattr(name, value);
        if (size > 0 && value.Length > 0 && task.Memory.CopyOut(a.A2, value.AsSpan(0, (int)size)) != size)
        {
            return -(long)Errno.EFAULT;
        }

        return size;
    }

    private static long DoSet(Task task, in VfsPath place, in SyscallArguments a)
    {
        if ((a.Int4 & ~(Misc.XATTR_CREATE | Misc.XATTR_REPLACE)) != 0)
        {
            return -(long)Errno.EINVAL;
        }

        Span<byte> buffer = stackalloc byte[MaxName + 1];
        Errno error = ReadName(task, a.A1, buffer, out ReadOnlySpan<byte> name);
        if (error != Errno.None)
        {
            return -(long)error;
        }

        if (a.A3 > MaxValue)
        {
            return -(long)Errno.E2BIG;
        }

        byte[] value = new byte[a.A3];
        if (task.Memory.CopyIn(a.A2, value) != value.Length)
        {
            return -(long)Errno.EFAULT;
        }

        error = CheckAccess(task, place, name, write: true);
        return error != Errno.None ? -(long)error : -(long)place.Dentry.Inode!.SetXattr(name, value, a.Int4);
    }

    private static long DoList(Task task, in VfsPath place, in SyscallArguments a)
    {
        byte[] names = new byte[Math.Min(a.A2, MaxValue)];
        long size = place.Dentry.Inode!.ListXattr(names);
        if (size > 0 && names.Length > 0 && task.Memory.CopyOut(a.A1, names.AsSpan(0, (int)size)) != size)
        {
            return -(long)Errno.EFAULT;
        }

        return size;
    }

    private static long DoRemove(Task task, in VfsPath place, in SyscallArguments a)
    {
        Span<byte> buffer = stackalloc byte[MaxName + 1];
        Errno error = ReadName(task, a.A1, buffer, out ReadOnlySpan<byte> name);
        if (error == Errno.None)
        {
            error = CheckAccess(task, place, name, write: true);
        }

        return error != Errno.None ? -(long)error : -(long)place.Dentry.Inode!.RemoveXattr(name);
    }
}
