using System.Runtime.InteropServices;

namespace Runsc.Platform.Kvm.Abi;

/// <summary>
/// <c>struct kvm_run</c>: the page that a vCPU shares with its user. The members from offset 32 to 288 are a union chosen by
/// <see cref="ExitReason"/>; only the variants in use are here. <c>s.regs</c> holds regs, sregs and events one after the other.
/// </summary>
[StructLayout(LayoutKind.Explicit, Size = SizeInBytes)]
internal struct KvmRun
{
    public const int SizeInBytes = 2352;

    [FieldOffset(0)]
    public byte RequestInterruptWindow;

    [FieldOffset(1)]
    public byte ImmediateExit;

    [FieldOffset(8)]
    public uint ExitReason;

    [FieldOffset(12)]
    public byte ReadyForInterruptInjection;

    [FieldOffset(13)]
    public byte IfFlag;

    [FieldOffset(14)]
    public ushort Flags;

    [FieldOffset(16)]
    public ulong Cr8;

    [FieldOffset(24)]
    public ulong ApicBase;

    /// <summary>KVM_EXIT_FAIL_ENTRY.</summary>
    [FieldOffset(32)]
    public ulong FailEntryReason;

    /// <summary>KVM_EXIT_IO.</summary>
    [FieldOffset(32)]
    public byte IoDirection;

    [FieldOffset(33)]
    public byte IoSize;

    [FieldOffset(34)]
    public ushort IoPort;

    [FieldOffset(36)]
    public uint IoCount;

    /// <summary>KVM_EXIT_MMIO.</summary>
    [FieldOffset(32)]
    public ulong MmioAddress;

    [FieldOffset(48)]
    public uint MmioLength;

    [FieldOffset(52)]
    public byte MmioIsWrite;

    /// <summary>KVM_EXIT_INTERNAL_ERROR.</summary>
    [FieldOffset(32)]
    public uint InternalSuberror;

    [FieldOffset(288)]
    public ulong ValidRegs;

    [FieldOffset(296)]
    public ulong DirtyRegs;

    [FieldOffset(304)]
    public KvmRegs Regs;

    [FieldOffset(304 + KvmRegs.SizeInBytes)]
    public KvmSregs Sregs;

    [FieldOffset(304 + KvmRegs.SizeInBytes + KvmSregs.SizeInBytes)]
    public KvmVcpuEvents Events;
}
