using Runsc.Linux;
using Runsc.Sentry.Auth;

namespace Runsc.Sentry.Kernel.Ipc;

/// <summary>What segments, semaphore sets and message queues have in common (Linux: struct kern_ipc_perm). Mutable members are guarded by their table's lock.</summary>
internal abstract class IpcObject
{
    /// <summary>Set by the table.</summary>
    public int Id { get; set; }

    public int Key { get; set; }

    public uint Uid { get; set; }

    public uint Gid { get; set; }

    public required uint CreatorUid { get; init; }

    public required uint CreatorGid { get; init; }

    /// <summary>Permission bits, and SHM_DEST, SHM_LOCKED.</summary>
    public uint Mode { get; set; }

    /// <summary>Seconds since 1970.</summary>
    public long ChangeTime { get; set; }

    /// <summary>IPC_RMID was done: who waits for it gets EIDRM.</summary>
    public bool IsRemoved { get; set; }

    public IpcPermission Permission => new()
    {
        Key = Key,
        Uid = Uid,
        Gid = Gid,
        CreatorUid = CreatorUid,
        CreatorGid = CreatorGid,
        Mode = Mode,
        Sequence = (ushort)(Id >> 15),
    };

    /// <summary>EACCES unless the mode gives what is wanted (permission bits; of each triple only the union counts).</summary>
    public Errno Check(Credentials credentials, uint wanted)
    {
        uint asked = ((wanted >> 6) | (wanted >> 3) | wanted) & 7, granted = Mode;
        if (credentials.EffectiveUid == CreatorUid || credentials.EffectiveUid == Uid)
        {
            granted >>= 6;
        }
        else if (credentials.InGroup(CreatorGid) || credentials.InGroup(Gid))
        {
            granted >>= 3;
        }

        return (asked & ~granted) == 0 || credentials.HasCapability(Capability.CAP_IPC_OWNER) ? Errno.None : Errno.EACCES;
    }

    /// <summary>EPERM unless the caller owns or made it: for IPC_SET and IPC_RMID.</summary>
    public Errno CheckOwner(Credentials credentials) =>
        credentials.EffectiveUid == Uid || credentials.EffectiveUid == CreatorUid || credentials.HasCapability(Capability.CAP_SYS_ADMIN) ? Errno.None : Errno.EPERM;

    /// <summary>IPC_SET.</summary>
    public void Change(in IpcPermission wanted, long now)
    {
        Uid = wanted.Uid;
        Gid = wanted.Gid;
        Mode = (Mode & ~0x1ffu) | (wanted.Mode & 0x1ff);
        ChangeTime = now;
    }
}
