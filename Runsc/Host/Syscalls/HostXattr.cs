using System;
using System.Runtime.InteropServices;

namespace Runsc.Host.Syscalls;

/// <summary>Extended attributes of open files (xattr(7)). Names are NUL-terminated.</summary>
internal static unsafe partial class HostXattr
{
    /// <summary>fgetxattr(2): size or −errno; an empty span asks for the size.</summary>
    public static long Get(int fd, ReadOnlySpan<byte> name, Span<byte> value)
    {
        fixed (byte* n = name)
        fixed (byte* v = value)
        {
            return HostResult.Of(GetNative(fd, n, v, value.Length));
        }
    }

    public static int Set(int fd, ReadOnlySpan<byte> name, ReadOnlySpan<byte> value, int flags)
    {
        fixed (byte* n = name)
        fixed (byte* v = value)
        {
            return HostResult.Of(SetNative(fd, n, v, value.Length, flags));
        }
    }

    public static long List(int fd, Span<byte> names)
    {
        fixed (byte* n = names)
        {
            return HostResult.Of(ListNative(fd, n, names.Length));
        }
    }

    public static int Remove(int fd, ReadOnlySpan<byte> name)
    {
        fixed (byte* n = name)
        {
            return HostResult.Of(RemoveNative(fd, n));
        }
    }

    [LibraryImport("libc", EntryPoint = "fgetxattr", SetLastError = true)]
    private static partial nint GetNative(int fd, byte* name, byte* value, nint size);

    [LibraryImport("libc", EntryPoint = "fsetxattr", SetLastError = true)]
    private static partial int SetNative(int fd, byte* name, byte* value, nint size, int flags);

    [LibraryImport("libc", EntryPoint = "flistxattr", SetLastError = true)]
    private static partial nint ListNative(int fd, byte* names, nint size);

    [LibraryImport("libc", EntryPoint = "fremovexattr", SetLastError = true)]
    private static partial int RemoveNative(int fd, byte* name);
}
