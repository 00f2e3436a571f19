using Runsc.Linux;
using Runsc.Sentry.Auth;

namespace Runsc.Sentry.Vfs;

/// <summary>An instance of a file system. Lives as long as a mount or an inode of it does.</summary>
internal abstract class SuperBlock
{
    /// <summary>As in /proc/mounts and /proc/filesystems.</summary>
    public abstract string TypeName { get; }

    /// <summary>st_dev of its files: anonymous device numbers (major 0), handed out at creation.</summary>
    public required ulong Device { get; init; }

    /// <summary>The root directory; the super block holds a reference.</summary>
    public abstract Inode Root { get; }

    /// <summary>Options of the file system itself as /proc/mounts shows them after ro/rw ("size=1024k,mode=755"); empty for none.</summary>
    public virtual string ShownOptions => "";

    /// <summary>What /proc/mounts shows as the source.</summary>
    public virtual string Source => GivenSource ?? TypeName;

    /// <summary>The source that mount(2) or the specification named; null for none.</summary>
    public string? GivenSource { get; set; }

    /// <summary>Where the root is in the file system behind it, for mountinfo: of a directory of the host that was bound, its path; empty for a whole one.</summary>
    public string RootPath { get; set; } = "";

    /// <summary>The user namespace of who mounted it: its devices and set-user-id bits count nowhere else, and outside of the initial one devices do not count at all.</summary>
    public UserNamespace Owner { get; set; } = UserNamespace.Initial;

    public abstract Errno GetStatfs(out Statfs statfs);

    /// <summary>syncfs(2).</summary>
    public virtual Errno Sync() => Errno.None;

    /// <summary>The last mount is gone.</summary>
    public virtual void Release()
    {
    }
}
