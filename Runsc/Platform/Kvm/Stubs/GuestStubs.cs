using System;

namespace Runsc.Platform.Kvm.Stubs;

/// <summary>
/// The machine code that the guest runs on our behalf. All of it leaves the guest at once: nothing is decided in there.
/// </summary>
internal static class GuestStubs
{
    /// <summary>Ports of the exception stubs: the vector.</summary>
    public const int ExceptionCount = 32;

    /// <summary>Port of the ring-0 SYSCALL stub.</summary>
    public const ushort SystemCallPort = 0x80;

    /// <summary>Bytes between two exception stubs.</summary>
    public const int ExceptionStride = 16;

    /// <summary>Where the store of <see cref="UserSystemCall"/> goes, from the start of the page.</summary>
    public const int UserStoreOffset = 0x40;

    /// <summary>Offset behind the store: where RIP stands when the guest has left through the stub.</summary>
    public const int UserStoreEnd = 6;

    /// <summary>
    /// SYSCALL's target where the instruction stays in ring 3. The page is a read-only memory slot that the page tables call writable, so the
    /// store leaves the guest as MMIO. It changes no register.
    /// <code>
    /// 88 05 3a 00 00 00    mov %al, 0x3a(%rip)     ; page + 0x40
    /// f4                   hlt                     ; #GP in ring 3; never reached
    /// </code>
    /// </summary>
    public static ReadOnlySpan<byte> UserSystemCall => [0x88, 0x05, 0x3a, 0x00, 0x00, 0x00, 0xf4];

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
