using System.Runtime.InteropServices;

namespace Runsc.Linux;

/// <summary>linux/rseq.h: restartable sequences. Offsets are those of struct rseq, which the application may place behind larger members.</summary>
internal static class Rseq
{
    public const int RSEQ_FLAG_UNREGISTER = 1;

    public const uint RSEQ_CPU_ID_UNINITIALIZED = 0xffff_ffff;

    /// <summary>Size and alignment of the first version of the structure: what every program may register.</summary>
    public const uint OriginalSize = 32;

    /// <summary>AT_RSEQ_FEATURE_SIZE: the structure's bytes that mean something, up to mm_cid.</summary>
    public const uint FeatureSize = 28;

    /// <summary>AT_RSEQ_ALIGN.</summary>
    public const uint Alignment = 32;

    public const uint CpuIdStart = 0;
    public const uint CriticalSection = 8;
    public const uint Flags = 16;
    public const uint NodeId = 20;
}

/// <summary>struct rseq_cs: a critical section.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct RseqCriticalSection
{
    public const int SizeInBytes = 32;

    public uint Version;
    public uint Flags;
    public ulong StartIp;
    public ulong PostCommitOffset;
    public ulong AbortIp;
}
