using System.Runtime.InteropServices;

namespace Runsc.Linux;

/// <summary>linux/ipc.h, linux/shm.h, linux/sem.h, linux/msg.h: System V IPC.</summary>
internal static class Ipc
{
    public const int IPC_PRIVATE = 0;
    public const int IPC_RMID = 0;
    public const int IPC_SET = 1;
    public const int IPC_STAT = 2;
    public const int IPC_INFO = 3;
    public const int IPC_CREAT = 0x200;
    public const int IPC_EXCL = 0x400;
    public const int IPC_NOWAIT = 0x800;

    public const int SHM_LOCK = 11;
    public const int SHM_UNLOCK = 12;
    public const int SHM_STAT = 13;
    public const int SHM_INFO = 14;
    public const int SHM_STAT_ANY = 15;
    public const int SHM_RDONLY = 0x1000;
    public const int SHM_RND = 0x2000;
    public const int SHM_REMAP = 0x4000;
    public const int SHM_EXEC = 0x8000;
    public const int SHM_HUGETLB = 0x800;
    public const uint SHM_DEST = 0x200;
    public const uint SHM_LOCKED = 0x400;

    public const int GETPID = 11;
    public const int GETVAL = 12;
    public const int GETALL = 13;
    public const int GETNCNT = 14;
    public const int GETZCNT = 15;
    public const int SETVAL = 16;
    public const int SETALL = 17;
    public const int SEM_STAT = 18;
    public const int SEM_INFO = 19;
    public const int SEM_STAT_ANY = 20;
    public const int SEM_UNDO = 0x1000;

    public const int MSG_STAT = 11;
    public const int MSG_INFO = 12;
    public const int MSG_STAT_ANY = 13;
    public const int MSG_NOERROR = 0x1000;
    public const int MSG_EXCEPT = 0x2000;
    public const int MSG_COPY = 0x4000;
}

/// <summary>struct ipc64_perm of x86-64.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct IpcPermission
{
    public const int SizeInBytes = 48;

    public int Key;
    public uint Uid;
    public uint Gid;
    public uint CreatorUid;
    public uint CreatorGid;
    public uint Mode;
    public ushort Sequence;
    public ushort Padding0;
    public uint Padding1;
    public ulong Unused0;
    public ulong Unused1;
}

/// <summary>struct shmid64_ds.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct ShmStatus
{
    public const int SizeInBytes = 112;

    public IpcPermission Permission;
    public ulong Size;
    public long AttachTime;
    public long DetachTime;
    public long ChangeTime;
    public int CreatorPid;
    public int LastPid;
    public ulong Attachments;
    public ulong Unused0;
    public ulong Unused1;
}

/// <summary>struct shminfo64.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct ShmLimits
{
    public const int SizeInBytes = 72;

    public ulong MaximumSize;
    public ulong MinimumSize;
    public ulong MaximumCount;
    public ulong MaximumPerProcess;
    public ulong MaximumPages;
    public ulong Unused0;
    public ulong Unused1;
    public ulong Unused2;
    public ulong Unused3;
}

/// <summary>struct shm_info.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct ShmUse
{
    public const int SizeInBytes = 48;

    public int Count;
    public int Padding;
    public ulong TotalPages;
    public ulong ResidentPages;
    public ulong SwappedPages;
    public ulong SwapAttempts;
    public ulong SwapSuccesses;
}

/// <summary>struct semid64_ds of x86-64.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct SemStatus
{
    public const int SizeInBytes = 104;

    public IpcPermission Permission;
    public long OperationTime;
    public ulong Unused0;
    public long ChangeTime;
    public ulong Unused1;
    public ulong Count;
    public ulong Unused2;
    public ulong Unused3;
}

/// <summary>struct seminfo.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct SemLimits
{
    public const int SizeInBytes = 40;

    public int MapSize;
    public int MaximumSets;
    public int MaximumSemaphores;
    public int MaximumUndos;
    public int MaximumPerSet;
    public int MaximumOperations;
    public int MaximumUndoEntries;
    public int UndoSize;
    public int MaximumValue;
    public int MaximumAdjustment;
}

/// <summary>struct sembuf.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct SemOperation
{
    public const int SizeInBytes = 6;

    public ushort Index;
    public short Change;
    public short Flags;
}

/// <summary>struct msqid64_ds.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct MsgStatus
{
    public const int SizeInBytes = 120;

    public IpcPermission Permission;
    public long SendTime;
    public long ReceiveTime;
    public long ChangeTime;
    public ulong Bytes;
    public ulong Count;
    public ulong MaximumBytes;
    public int LastSender;
    public int LastReceiver;
    public ulong Unused0;
    public ulong Unused1;
}

/// <summary>struct msginfo.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct MsgLimits
{
    public const int SizeInBytes = 32;

    public int Pool;
    public int Map;
    public int MaximumSize;
    public int MaximumBytes;
    public int MaximumQueues;
    public int SegmentSize;
    public int MaximumMessages;
    public ushort Segments;
    public ushort Padding;
}
