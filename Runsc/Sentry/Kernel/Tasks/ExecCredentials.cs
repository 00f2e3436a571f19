using Runsc.Linux;
using Runsc.Sentry.Auth;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.Kernel.Tasks;

/// <summary>What execve makes of a task's credentials (execve(2); capabilities(7), "Transformation of capabilities during execve").</summary>
internal static class ExecCredentials
{
    /// <summary>All capabilities that there are.</summary>
    public const ulong AllCapabilities = (1UL << (Capability.CAP_LAST_CAP + 1)) - 1;

    /// <summary>The credentials after executing <paramref name="file"/>, with its set-user-id and set-group-id bits unless they do not count here.</summary>
    public static Errno Compute(Task task, FileDescription file, out Credentials result)
    {
        Credentials old = task.Credentials;
        result = old;
        Errno error = file.Inode.GetAttributes(out FileAttributes attributes);
        if (error != Errno.None)
        {
            return error;
        }

        uint uid = old.EffectiveUid, gid = old.EffectiveGid;
        bool bitsCount = !old.NoNewPrivileges && (file.Path.Mount.Flags & Linux.Mount.MS_NOSUID) == 0;
        if (bitsCount && (attributes.Mode & (uint)Stat.S_ISUID) != 0)
        {
            uid = attributes.Uid;
        }

        const uint groupId = (uint)Stat.S_ISGID | (uint)Stat.S_IXGRP;
        if (bitsCount && (attributes.Mode & groupId) == groupId)
        {
            gid = attributes.Gid;
        }

        bool rootCounts = (old.SecureBits & Prctl.SECBIT_NOROOT) == 0;
        ulong filePermitted = 0, fileInheritable = 0;
        bool fileEffective = false;
        if (rootCounts && (uid == 0 || old.RealUid == 0))
        {
            filePermitted = fileInheritable = AllCapabilities;
            fileEffective = uid == 0;
        }

        bool changesId = uid != old.EffectiveUid || gid != old.EffectiveGid;
        ulong ambient = changesId ? 0 : old.Ambient;
        ulong permitted = (old.Inheritable & fileInheritable) | (filePermitted & old.Bounding) | ambient;
        result = old with
        {
            EffectiveUid = uid,
            SavedUid = uid,
            FsUid = uid,
            EffectiveGid = gid,
            SavedGid = gid,
            FsGid = gid,
            Permitted = permitted,
            Effective = fileEffective ? permitted : ambient,
            Ambient = ambient,
        };
        return Errno.None;
    }
}
