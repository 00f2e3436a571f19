using System;
using Runsc.Linux;

namespace Runsc.Host.Syscalls;

/// <summary>The time-stamp counter of the host. There is no instruction for it in C#: a page of machine code is made at first use, which has to come before the seccomp filter.</summary>
internal static unsafe class HostTsc
{
    private static readonly delegate* unmanaged[SuppressGCTransition]<ulong> s_read = MakeReader();

    /// <summary>
    /// <code>
    /// 0f ae e8      lfence
    /// 0f 31         rdtsc
    /// 48 c1 e2 20   shl $32, %rdx
    /// 48 09 d0      or %rdx, %rax
    /// c3            ret
    /// </code>
    /// </summary>
    private static ReadOnlySpan<byte> Code => [0x0f, 0xae, 0xe8, 0x0f, 0x31, 0x48, 0xc1, 0xe2, 0x20, 0x48, 0x09, 0xd0, 0xc3];

    /// <summary>False on hosts that give this process no executable page.</summary>
    public static bool IsAvailable => s_read is not null;

    /// <summary>The counter now; earlier loads have been done. Only while <see cref="IsAvailable"/>.</summary>
    public static ulong Read() => s_read();

    private static delegate* unmanaged[SuppressGCTransition]<ulong> MakeReader()
    {
        nint page = HostMemory.Map(0, 4096, Mman.PROT_READ | Mman.PROT_WRITE, Mman.MAP_PRIVATE | Mman.MAP_ANONYMOUS, -1, 0);
        if (page is < 0 and > -4096)
        {
            return null;
        }

        // SAFETY: the page is ours, larger than the code, and stays as long as the process; the code takes no arguments and returns in RAX.
        Code.CopyTo(new Span<byte>((void*)page, 4096));
        return HostMemory.Protect(page, 4096, Mman.PROT_READ | Mman.PROT_EXEC) < 0 ? null : (delegate* unmanaged[SuppressGCTransition]<ulong>)page;
    }
}
