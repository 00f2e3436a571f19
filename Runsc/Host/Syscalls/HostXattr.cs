using System;
using System.Runtime.InteropServices;

namespace Runsc.Host.Syscalls;

/// <summary>Extended attributes of open files (xattr(7)). Names are NUL-terminated bytes. An empty buffer asks for the size.</summary>
internal static unsafe partial class HostXattr
{
    public static long Get(int fd, ReadOnlySpan<byte> name, Span<byte> value)
    {
        fixed (byte* n = name)
        fixed (byte* v = value)
        {
            return HostResult.Of(FGetXattrNative(fd, n, v, (nuint)value.Length));
        }
    }

    public static int Set(int fd, ReadOnlySpan<byte> name, ReadOnlySpan<byte> value, int flags)
    {
        fixed (byte* n = name)
        fixed (byte* v = value)
        {
            return HostResult.Of(FSetXattrNative(fd, n, v, (nuint)value.Length, flags));
        }
    }

    public static int Remove(int fd, ReadOnlySpan<byte> name)
    {
        fixed (byte* n = name)
        {
            return HostResult.Of(FRemoveXattrNative(fd, n));
        }
    }

    public static long List(int fd, Span<byte> names)
    {
        fixed (byte* n = names)
        {
            return HostResult.Of(FListXattrNative(fd, n, (nuint)names.Length));
        }
    }

    [LibraryImport("libc", EntryPoint = "fgetxattr", SetLastError = true)]
    private static partial nint FGetXattrNative(int fd, byte* name, byte* value, nuint size);

    [LibraryImport("libc", EntryPoint = "fsetxattr", SetLastError = true)]
    private static partial int FSetXattrNative(int fd, byte* name, byte* value, nuint size, int flags);

    [LibraryImport("libc", EntryPoint = "fremovexattr", SetLastError = true)]
    private static partial int FRemoveXattrNative(int fd, byte* name);

    [LibraryImport("libc", EntryPoint = "flistxattr", SetLastError = true)]
    private static partial nint FListXattrNative(int fd, byte* names, nuint size);
}
