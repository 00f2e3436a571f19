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

    /// <summary>The user namespace whose capabilities count: the owner of the IPC namespace.</summary>
    public UserNamespace Space { get; init; } = UserNamespace.Initial;

    public required uint CreatorUid { get; init; }

    public required uint CreatorGid { get; init; }

    /// <summary>Permission bits, and SHM_DEST, SHM_LOCKED.</summary>
    public uint Mode { get; set; }

    /// <summary>Seconds since 1970.</summary>
    public long ChangeTime { get; set; }

    /// <summary>IPC_RMID was done: who waits for it gets EIDRM.</summary>
    public bool IsRemoved { get; set; }

    /// <summary>As an application in a user namespace sees it.</summary>
    public IpcPermission GetPermission(UserNamespace users) => new()
    {
        Key = Key,
        Uid = users.Uids.Shown(Uid),
        Gid = users.Gids.Shown(Gid),
        CreatorUid = users.Uids.Shown(CreatorUid),
        CreatorGid = users.Gids.Shown(CreatorGid),
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

        return (asked & ~granted) == 0 || credentials.HasCapability(Capability.CAP_IPC_OWNER, Space) ? Errno.None : Errno.EACCES;
    }

    /// <summary>EPERM unless the caller owns or made it: for IPC_SET and IPC_RMID.</summary>
    public Errno CheckOwner(Credentials credentials) =>
        credentials.EffectiveUid == Uid || credentials.EffectiveUid == CreatorUid || credentials.HasCapability(Capability.CAP_SYS_ADMIN, Space) ? Errno.None : Errno.EPERM;

    /// <summary>IPC_SET, by somebody in a user namespace. EINVAL for ids that are not mapped there.</summary>
    public Errno Change(UserNamespace users, in IpcPermission wanted, long now)
    {
        (uint uid, uint gid) = (users.Uids.ToKernel(wanted.Uid), users.Gids.ToKernel(wanted.Gid));
        if (uid == IdMap.Invalid || gid == IdMap.Invalid)
        {
            return Errno.EINVAL;
        }

        Uid = uid;
        Gid = gid;
        Mode = (Mode & ~0x1ffu) | (wanted.Mode & 0x1ff);
        ChangeTime = now;
        return Errno.None;
    }
}
