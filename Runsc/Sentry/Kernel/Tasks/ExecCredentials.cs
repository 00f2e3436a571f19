using Runsc.Linux;
using Runsc.Sentry.Auth;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.Kernel.Tasks;

/// <summary>What execve makes of a task's credentials (execve(2); capabilities(7), "Transformation of capabilities during execve").</summary>
internal static class ExecCredentials
{
    /// <summary>
    /// The credentials after executing <paramref name="file"/>, with its set-user-id and set-group-id bits unless they do not count here.
    /// <paramref name="isSecure"/>: the program has more rights than its caller, so that its dynamic linker trusts no environment (AT_SECURE).
    /// EPERM.
    /// </summary>
    public static Errno Compute(Task task, FileDescription file, out Credentials result, out bool isSecure)
    {
        Credentials old = task.Credentials;
        result = old;
        isSecure = false;
        Errno error = file.Inode.GetAttributes(out FileAttributes attributes);
        if (error != Errno.None)
        {
            return error;
        }

        uint uid = old.EffectiveUid, gid = old.EffectiveGid, root = old.RootUid;
        UserNamespace users = old.UserNamespace;
        bool mayRaise = file.Path.Mount.AllowsSetId(task);
        bool bitsCount = !old.NoNewPrivileges && mayRaise && users.Uids.Has(attributes.Uid) && users.Gids.Has(attributes.Gid);
        if (bitsCount && (attributes.Mode & (uint)Stat.S_ISUID) != 0)
        {
            uid = attributes.Uid;
        }

        const uint groupId = (uint)Stat.S_ISGID | (uint)Stat.S_IXGRP;
        if (bitsCount && (attributes.Mode & groupId) == groupId)
        {
            gid = attributes.Gid;
        }

        FileCapabilities capabilities = mayRaise ? FileCapabilities.Read(file.Inode, users) : default;
        ulong permitted = (capabilities.Permitted & old.Bounding) | (capabilities.Inheritable & old.Inheritable);
        bool effective = capabilities.MakesEffective;

        // A program that knows nothing of capabilities is told when it would not get all that its file says.
        if (effective && (capabilities.Permitted & ~permitted) != 0)
        {
            return Errno.EPERM;
        }

        // Root's programs get all; those with capabilities of their own that a set-user-id bit makes root's get only these.
        bool rootCounts = (old.SecureBits & Prctl.SECBIT_NOROOT) == 0;
        if (rootCounts && !(capabilities.Exist && uid == root && old.RealUid != root))
        {
            permitted = uid == root || old.RealUid == root ? old.Bounding | old.Inheritable : permitted;
            effective |= uid == root;
        }

        // With no_new_privs a program has no more than its caller.
        permitted &= old.NoNewPrivileges ? old.Permitted : ulong.MaxValue;

        // A tracer does not get more through his tracee than he could have himself.
        if (task.TracerLimitsRights && (uid != old.EffectiveUid || gid != old.EffectiveGid || (permitted & ~old.Permitted) != 0))
        {
            bool keepsIds = !old.HasOwnCapability(Capability.CAP_SETUID);
            uid = keepsIds ? old.RealUid : uid;
            gid = keepsIds ? old.RealGid : gid;
            permitted &= old.Permitted;
        }

        bool changesId = uid != old.RealUid || gid != old.RealGid;
        ulong ambient = changesId || capabilities.Exist ? 0 : old.Ambient;
        isSecure = changesId || (old.RealUid != root && (effective || (permitted & ~ambient) != 0));
        permitted |= ambient;
        result = old with
        {
            EffectiveUid = uid,
            SavedUid = uid,
            FsUid = uid,
            EffectiveGid = gid,
            SavedGid = gid,
            FsGid = gid,
            Permitted = permitted,
            Effective = effective ? permitted : ambient,
            Ambient = ambient,
        };
        return Errno.None;
    }
}
