namespace Runsc.Platform;

/// <summary>Why <see cref="IContext.Switch"/> came back.</summary>
internal enum TrapKind
{
    /// <summary>The application executed SYSCALL. Number in <c>OrigRax</c>, arguments in the frame, <c>Rip</c> behind the instruction.</summary>
    SystemCall,

    /// <summary>A page fault: <c>FaultAddress</c>, <c>Access</c> and the processor's <c>ErrorCode</c> are set; <c>Rip</c> is at the instruction.</summary>
    PageFault,

    /// <summary>Any other processor exception: <c>Vector</c> and <c>ErrorCode</c> are set.</summary>
    Exception,

    /// <summary><see cref="IContext.Interrupt"/> was called. The frame is consistent; switch again to go on.</summary>
    Interrupted,
}

/// <summary>What stopped the application. Only the members that belong to <see cref="Kind"/> mean something; the others are zero.</summary>
internal struct TrapInfo
{
    public TrapKind Kind;

    /// <summary>Exception vector: 0 #DE, 1 #DB, 3 #BP, 6 #UD, 13 #GP, 14 #PF, 16 #MF, 17 #AC, 19 #XM…</summary>
    public int Vector;

    /// <summary>The processor's error code; 0 for vectors that have none.</summary>
    public ulong ErrorCode;

    /// <summary>CR2 of a page fault.</summary>
    public ulong FaultAddress;

    /// <summary>The access that a page fault wanted: exactly one of Read, Write, Execute.</summary>
    public AccessType Access;
}

/// <summary>Exception vectors and the bits of a page fault's error code, by the names of the processor manuals.</summary>
internal static class TrapVector
{
    public const int DivideError = 0;
    public const int Debug = 1;
    public const int Breakpoint = 3;
    public const int Overflow = 4;
    public const int BoundRange = 5;
    public const int InvalidOpcode = 6;
    public const int DeviceNotAvailable = 7;
    public const int DoubleFault = 8;
    public const int InvalidTss = 10;
    public const int SegmentNotPresent = 11;
    public const int StackFault = 12;
    public const int GeneralProtection = 13;
    public const int PageFault = 14;
    public const int X87 = 16;
    public const int AlignmentCheck = 17;
    public const int MachineCheck = 18;
    public const int Simd = 19;

    public const ulong PageFaultPresent = 1;
    public const ulong PageFaultWrite = 2;
    public const ulong PageFaultUser = 4;
    public const ulong PageFaultFetch = 16;
}
