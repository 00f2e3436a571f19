using Runsc.Linux;
using Runsc.Sentry.Auth;

namespace Runsc.Sentry.Vfs;

/// <summary>Who may change which attributes, and what else changes with them (chmod(2), chown(2), utimensat(2)).</summary>
internal static class AttributeRules
{
    private const uint SetIds = (uint)Stat.S_ISUID | (uint)Stat.S_ISGID;

    /// <summary>Checks and makes a change of mode, owner or times. EPERM, EACCES, EROFS, EOPNOTSUPP, EINVAL.</summary>
    public static Errno Change(ICaller caller, in VfsPath place, AttributeChange change)
    {
        if (place.Mount.IsReadOnly)
        {
            return Errno.EROFS;
        }

        Inode inode = place.Dentry.Inode!;
        Errno error = inode.GetAttributes(out FileAttributes now);
        if (error != Errno.None)
        {
            return error;
        }

        Credentials credentials = caller.Credentials;
        if ((change.Mask & AttributeMask.Mode) != 0)
        {
            if (inode.IsSymlink)
            {
                return Errno.EOPNOTSUPP;
            }

            if (!Permissions.IsOwner(credentials, now))
            {
                return Errno.EPERM;
            }

            // Set-group-id goes unless the caller is in the group.
            if (!credentials.InGroup(now.Gid) && !credentials.HasCapability(Capability.CAP_FSETID, now.Uid, now.Gid))
            {
                change.Mode &= ~(uint)Stat.S_ISGID;
            }
        }

        const AttributeMask owners = AttributeMask.Uid | AttributeMask.Gid;
        if ((change.Mask & owners) != 0)
        {
            error = CheckOwner(credentials, now, ref change);
        }

        const AttributeMask times = AttributeMask.AccessTime | AttributeMask.ModifyTime;
        if (error == Errno.None && (change.Mask & times) != 0 && !Permissions.IsOwner(credentials, now))
        {
            // Setting both to now needs the right to write only.
            const AttributeMask bothNow = times | AttributeMask.AccessTimeNow | AttributeMask.ModifyTimeNow;
            error = (change.Mask & bothNow) == bothNow ? inode.CheckPermission(credentials, Permissions.Write) : Errno.EPERM;
        }

        if (error == Errno.None && change.Mask != AttributeMask.None)
        {
            error = inode.SetAttributes(change);
            if (error == Errno.None)
            {
                FileEvents.Raise(place.Dentry, Inotify.IN_ATTRIB);
            }
        }

        return error;
    }

    private static Errno CheckOwner(Credentials credentials, in FileAttributes now, ref AttributeChange change)
    {
        // What the caller's user namespace does not map.
        if (((change.Mask & AttributeMask.Uid) != 0 && change.Uid == IdMap.Invalid) || ((change.Mask & AttributeMask.Gid) != 0 && change.Gid == IdMap.Invalid))
        {
            return Errno.EINVAL;
        }

        bool privileged = credentials.HasCapability(Capability.CAP_CHOWN, now.Uid, now.Gid);
        if ((change.Mask & AttributeMask.Uid) != 0 && !privileged && (credentials.FsUid != now.Uid || change.Uid != now.Uid))
        {
            return Errno.EPERM;
        }

        if ((change.Mask & AttributeMask.Gid) != 0 && !privileged
            && (credentials.FsUid != now.Uid || (change.Gid != now.Gid && !credentials.InGroup(change.Gid))))
        {
            return Errno.EPERM;
        }

        // A new owner loses what the bits would give (not a group's mandatory-lock mark, which has no execute bit).
        if ((now.Mode & (uint)Stat.S_IFMT) != (uint)Stat.S_IFDIR)
        {
            uint drop = (uint)Stat.S_ISUID | ((now.Mode & (uint)Stat.S_IXGRP) != 0 ? (uint)Stat.S_ISGID : 0);
            if ((now.Mode & SetIds & drop) != 0)
            {
                change.Mask |= AttributeMask.Mode;
                change.Mode = now.Mode & 0xfff & ~drop;
            }
        }

        return Errno.None;
    }
}
