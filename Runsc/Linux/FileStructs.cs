using System.Runtime.InteropServices;

namespace Runsc.Linux;

/// <summary>struct timespec (timespec(3type)).</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct Timespec
{
    public const int SizeInBytes = 16;

    public long Seconds;
    public long Nanoseconds;

    public readonly bool IsValid => Seconds >= 0 && Nanoseconds is >= 0 and < 1_000_000_000;

    /// <summary>Nanoseconds, saturating.</summary>
    public readonly long ToNanoseconds() => Seconds > 9_223_372_035 ? long.MaxValue : (Seconds * 1_000_000_000) + Nanoseconds;

    public static Timespec FromNanoseconds(long value) => new() { Seconds = value / 1_000_000_000, Nanoseconds = value % 1_000_000_000 };
}

/// <summary>struct timeval.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct Timeval
{
    public const int SizeInBytes = 16;

    public long Seconds;
    public long Microseconds;

    public static Timeval FromNanoseconds(long value) => new() { Seconds = value / 1_000_000_000, Microseconds = value % 1_000_000_000 / 1000 };
}

/// <summary>struct itimerspec.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct Itimerspec
{
    public const int SizeInBytes = 32;

    public Timespec Interval;
    public Timespec Value;
}

/// <summary>struct itimerval.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct Itimerval
{
    public const int SizeInBytes = 32;

    public Timeval Interval;
    public Timeval Value;
}

/// <summary>struct stat of x86-64 (stat(2)).</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct StatBuffer
{
    public const int SizeInBytes = 144;

    public ulong Device;
    public ulong Inode;
    public ulong Links;
    public uint Mode;
    public uint Uid;
    public uint Gid;
    public uint Padding;
    public ulong DeviceNumber;
    public long Size;
    public long BlockSize;
    public long Blocks;
    public Timespec AccessTime;
    public Timespec ModifyTime;
    public Timespec ChangeTime;
    public long Unused0;
    public long Unused1;
    public long Unused2;
}

/// <summary>struct statx_timestamp.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct StatxTimestamp
{
    public const int SizeInBytes = 16;

    public long Seconds;
    public uint Nanoseconds;
    public int Padding;
}

/// <summary>struct statx (statx(2)).</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct StatxBuffer
{
    public const int SizeInBytes = 256;

    public uint Mask;
    public uint BlockSize;
    public ulong Attributes;
    public uint Links;
    public uint Uid;
    public uint Gid;
    public ushort Mode;
    public ushort Padding0;
    public ulong Inode;
    public ulong Size;
    public ulong Blocks;
    public ulong AttributesMask;
    public StatxTimestamp AccessTime;
    public StatxTimestamp BirthTime;
    public StatxTimestamp ChangeTime;
    public StatxTimestamp ModifyTime;
    public uint RdevMajor;
    public uint RdevMinor;
    public uint DeviceMajor;
    public uint DeviceMinor;
    public ulong MountId;
    public uint DioMemoryAlign;
    public uint DioOffsetAlign;
    public ulong Spare0;
    public ulong Spare1;
    public ulong Spare2;
    public ulong Spare3;
    public ulong Spare4;
    public ulong Spare5;
    public ulong Spare6;
    public ulong Spare7;
    public ulong Spare8;
    public ulong Spare9;
    public ulong Spare10;
    public ulong Spare11;
}

/// <summary>struct open_how (openat2(2)).</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct OpenHow
{
    public const int SizeInBytes = 24;

    public ulong Flags;
    public ulong Mode;
    public ulong Resolve;
}

/// <summary>struct flock (fcntl(2)).</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct FlockBuffer
{
    public const int SizeInBytes = 32;

    public short Type;
    public short Whence;
    public int Padding0;
    public long Start;
    public long Length;
    public int ProcessId;
    public int Padding1;
}
