using System.Runtime.InteropServices;

namespace Runsc.Linux;

/// <summary>linux/aio_abi.h.</summary>
internal static class Aio
{
    public const int IOCB_CMD_PREAD = 0;
    public const int IOCB_CMD_PWRITE = 1;
    public const int IOCB_CMD_FSYNC = 2;
    public const int IOCB_CMD_FDSYNC = 3;
    public const int IOCB_CMD_PREADV = 7;
    public const int IOCB_CMD_PWRITEV = 8;

    public const uint IOCB_FLAG_RESFD = 1;
    public const uint IOCB_FLAG_IOPRIO = 2;

    /// <summary>fs.aio-max-nr.</summary>
    public const int MaxEvents = 65536;
}

/// <summary>struct iocb.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct Iocb
{
    public const int SizeInBytes = 64;
    public const int KeyOffset = 8;

    public ulong AioData;
    public uint AioKey;
    public int AioRwFlags;
    public ushort AioLioOpcode;
    public short AioReqprio;
    public uint AioFildes;
    public ulong AioBuf;
    public ulong AioNbytes;
    public long AioOffset;
    public ulong AioReserved2;
    public uint AioFlags;
    public uint AioResfd;
}

/// <summary>struct io_event.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct IoEvent
{
    public const int SizeInBytes = 32;

    public ulong Data;
    public ulong Obj;
    public long Res;
    public long Res2;
}
