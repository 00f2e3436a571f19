using System.Runtime.InteropServices;
using Runsc.Linux;

namespace Runsc.Sentry.Kernel.Signals;

/// <summary>stack_t (sigaltstack(2)).</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct SignalStack
{
    public const int SizeInBytes = 24;

    /// <summary>SS_AUTODISARM: the stack is disarmed while a handler runs on it.</summary>
    public const uint AutoDisarm = 1u << 31;

    /// <summary>The smallest stack that is accepted (MINSIGSTKSZ).</summary>
    public const ulong MinimumSize = 2048;

    public ulong Address;
    public uint Flags;
    public uint Padding;
    public ulong Size;

    public static SignalStack Disabled => new() { Flags = (uint)Signal.SS_DISABLE };

    /// <summary>Is this address on the stack, whether it is armed or not?</summary>
    public readonly bool Contains(ulong sp) => sp > Address && sp - Address <= Size;

    /// <summary>Linux's on_sig_stack: false for a stack that disarms itself, since it is off while its handler runs.</summary>
    public readonly bool IsUsedBy(ulong sp) => (Flags & AutoDisarm) == 0 && Contains(sp);

    /// <summary>SS_DISABLE, SS_ONSTACK or 0, as sigaltstack(2) reports.</summary>
    public readonly uint StateFor(ulong sp) => Size == 0 ? (uint)Signal.SS_DISABLE : IsUsedBy(sp) ? (uint)Signal.SS_ONSTACK : 0;
}
