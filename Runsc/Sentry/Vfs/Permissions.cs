using Runsc.Linux;
using Runsc.Sentry.Auth;

namespace Runsc.Sentry.Vfs;

/// <summary>Permission checks by mode bits and capabilities (path_resolution(7), capabilities(7)).</summary>
internal static class Permissions
{
    public const int Execute = 1;
    public const int Write = 2;
    public const int Read = 4;

    /// <summary>May these credentials access a file with these attributes? EACCES.</summary>
    public static Errno Check(Credentials credentials, in FileAttributes attributes, int mask)
    {
        uint bits = attributes.Mode;
        if (credentials.FsUid == attributes.Uid)
        {
            bits >>= 6;
        }
        else if (credentials.InGroup(attributes.Gid))
        {
            bits >>= 3;
        }

        if ((~bits & (uint)mask & 7) == 0)
        {
            return Errno.None;
        }

        bool directory = (attributes.Mode & Stat.S_IFMT) == Stat.S_IFDIR;
        if (directory || (mask & Execute) == 0 || (attributes.Mode & 0x49) != 0)
        {
            if (credentials.HasCapability(Capability.CAP_DAC_OVERRIDE, attributes.Uid, attributes.Gid))
            {
                return Errno.None;
            }
        }

        bool onlyReads = (mask & Write) == 0 && (directory || (mask & Execute) == 0);
        return onlyReads && credentials.HasCapability(Capability.CAP_DAC_READ_SEARCH, attributes.Uid, attributes.Gid) ? Errno.None : Errno.EACCES;
    }

    /// <summary>Owner of the file, or CAP_FOWNER.</summary>
    public static bool IsOwner(Credentials credentials, in FileAttributes attributes) =>
        credentials.FsUid == attributes.Uid
        || (credentials.HasOwnCapability(Capability.CAP_FOWNER) && credentials.UserNamespace.Uids.Has(attributes.Uid));

    /// <summary>The rule of sticky directories: only owners of the directory or the file may remove or rename it. EPERM.</summary>
    public static Errno CheckSticky(Credentials credentials, in FileAttributes directory, in FileAttributes child)
    {
        if ((directory.Mode & Stat.S_ISVTX) == 0 || credentials.FsUid == child.Uid || credentials.FsUid == directory.Uid)
        {
            return Errno.None;
        }

        return credentials.HasCapability(Capability.CAP_FOWNER, child.Uid, child.Gid) ? Errno.None : Errno.EPERM;
    }
}
