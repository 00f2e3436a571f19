using System;
using System.Runtime.InteropServices;

namespace Runsc.Host.Syscalls;

/// <summary>The Sentry's own address space and its memory files.</summary>
internal static unsafe partial class HostMemory
{
    /// <summary>mmap(2): the address or −errno.</summary>
    public static nint Map(nint address, nuint length, int protection, int flags, int fd, long offset)
    {
        nint result = MMapNative(address, length, protection, flags, fd, offset);
        return result == -1 ? -Marshal.GetLastPInvokeError() : result;
    }

    public static int Unmap(nint address, nuint length) => HostResult.Of(MUnmapNative(address, length));

    /// <summary>mprotect(2).</summary>
    public static int Protect(nint address, nuint length, int protection) => HostResult.Of(MProtectNative(address, length, protection));

    public static int Advise(nint address, nuint length, int advice) => HostResult.Of(MAdviseNative(address, length, advice));

    /// <summary>memfd_create(2). The name is NUL-terminated.</summary>
    public static int CreateFile(ReadOnlySpan<byte> name, uint flags)
    {
        fixed (byte* p = name)
        {
            return HostResult.Of(MemfdCreateNative(p, flags));
        }
    }

    /// <summary>
    /// Fixes how many arenas malloc(3) uses (M_ARENA_MAX). Left to itself, it asks the host for its processors when threads come, by files that a
    /// process behind its filter cannot open; and each arena costs memory.
    /// </summary>
    public static void LimitArenas(int count) => _ = MallOptNative(-8, count);

    [LibraryImport("libc", EntryPoint = "mallopt")]
    private static partial int MallOptNative(int parameter, int value);

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    private static partial nint MMapNative(nint address, nuint length, int protection, int flags, int fd, long offset);

    [LibraryImport("libc", EntryPoint = "munmap", SetLastError = true)]
    private static partial int MUnmapNative(nint address, nuint length);

    [LibraryImport("libc", EntryPoint = "mprotect", SetLastError = true)]
    private static partial int MProtectNative(nint address, nuint length, int protection);

    [LibraryImport("libc", EntryPoint = "madvise", SetLastError = true)]
    private static partial int MAdviseNative(nint address, nuint length, int advice);

    [LibraryImport("libc", EntryPoint = "memfd_create", SetLastError = true)]
    private static partial int MemfdCreateNative(byte* name, uint flags);
}
