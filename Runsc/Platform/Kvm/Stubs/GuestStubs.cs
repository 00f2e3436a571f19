using System;

namespace Runsc.Platform.Kvm.Stubs;

/// <summary>
/// The machine code that the guest runs on our behalf in ring 0. All of it leaves the guest at once: nothing is decided in there. What ring 3 runs is
/// in <see cref="HandOver.CallStub"/>.
/// </summary>
internal static class GuestStubs
{
    /// <summary>Ports of the exception stubs: the vector.</summary>
    public const int ExceptionCount = 32;

    /// <summary>Port of the ring-0 SYSCALL stub.</summary>
    public const ushort SystemCallPort = 0x80;

    /// <summary>Bytes between two exception stubs.</summary>
    public const int ExceptionStride = 16;

    /// <summary>
    /// SYSCALL's target where the instruction enters ring 0. RSP is still the application's: nothing may touch the stack.
    /// <code>
    /// e6 80    out %al, $0x80
    /// f4       hlt             ; never reached
    /// </code>
    /// </summary>
    public static ReadOnlySpan<byte> KernelSystemCall => [0xe6, 0x80, 0xf4];

    /// <summary>
    /// The way back to ring 3 after a system call, where RCX and R11 are RIP and RFLAGS: <c>48 0f 07  sysretq</c>. Only for processors whose
    /// SYSCALL enters ring 0.
    /// </summary>
    public static ReadOnlySpan<byte> ReturnFromSystemCall => [0x48, 0x0f, 0x07];

    /// <summary>The way back to ring 3 with any registers; RSP points to RIP, CS, RFLAGS, RSP, SS: <c>48 cf  iretq</c>.</summary>
    public static ReadOnlySpan<byte> ReturnFromInterrupt => [0x48, 0xcf];

    /// <summary>Fills unused code pages: HLT faults in ring 3 and leaves the guest in ring 0.</summary>
    public const byte Filler = 0xf4;

    /// <summary>Writes the stub of one exception vector: <c>e6 vv  out %al, $vector; f4  hlt</c>.</summary>
    public static void WriteException(Span<byte> destination, int vector)
    {
        destination[0] = 0xe6;
        destination[1] = (byte)vector;
        destination[2] = 0xf4;
    }
}
