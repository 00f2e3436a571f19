using System;
using System.Threading;
using Runsc.Linux;

namespace Runsc.Sentry.Vfs;

/// <summary>Somebody's wish to hear what happens to a file or in a directory. Linux: struct fsnotify_mark.</summary>
internal abstract class InodeWatch
{
    /// <summary>
    /// Something happened: IN_* of inotify(7), with the name in the watched directory that it happened to, or no name for the watched file itself.
    /// Called with directory locks held, perhaps: takes leaf locks only.
    /// </summary>
    public abstract void Raise(uint mask, uint cookie, ReadOnlySpan<byte> name, bool unlinked);

    /// <summary>The file has lost its last name: nothing more will come.</summary>
    public abstract void End();
}

/// <summary>The watches of one inode. Readers see one array or another, without a lock.</summary>
internal sealed class InodeWatches
{
    private readonly Lock _mu = new();

    // Written under _mu; the arrays themselves never change.
    private volatile InodeWatch[] _all = [];

    public InodeWatch[] All => _all;

    /// <summary>The watches of an inode, made on first use.</summary>
    public static InodeWatches Of(Inode inode)
    {
        if (inode.Watches is InodeWatches watches)
        {
            return watches;
        }

        InodeWatches made = new();
        return Interlocked.CompareExchange(ref inode.Watches, made, null) ?? made;
    }

    public void Add(InodeWatch watch)
    {
        lock (_mu)
        {
            _all = [.. _all, watch];
        }
    }

    public void Remove(InodeWatch watch)
    {
        lock (_mu)
        {
            _all = Array.FindAll(_all, other => other != watch);
        }
    }
}

/// <summary>Tells watches what happens to files (inotify(7)). Costs two loads for files that nobody watches.</summary>
internal static class FileEvents
{
    private static int s_cookie;

    /// <summary>A number that joins the two halves of a rename.</summary>
    public static uint NewCookie() => (uint)Interlocked.Increment(ref s_cookie);

    /// <summary>Tells those who watch the file, and those who watch the directory that it was reached through.</summary>
    public static void Raise(Dentry dentry, int mask)
    {
        if (dentry.Inode is not Inode inode)
        {
            return;
        }

        if (inode.Watches is not null)
        {
            RaiseSelf(inode, mask);
        }

        if (dentry.Parent is Dentry { Inode.Watches: not null } parent)
        {
            RaiseName(parent, dentry.Name, inode, mask, 0, dentry.IsUnlinked);
        }
    }

    /// <summary>Tells those who watch the file itself.</summary>
    public static void RaiseSelf(Inode inode, int mask)
    {
        foreach (InodeWatch watch in inode.Watches?.All ?? [])
        {
            watch.Raise(WithKind(inode, mask), 0, [], unlinked: false);
        }
    }

    /// <summary>Tells those who watch the directory of something about a name in it.</summary>
    public static void RaiseName(Dentry directory, ReadOnlySpan<byte> name, Inode? child, int mask, uint cookie = 0, bool unlinked = false)
    {
        foreach (InodeWatch watch in directory.Inode?.Watches?.All ?? [])
        {
            watch.Raise(WithKind(child, mask), cookie, name, unlinked);
        }
    }

    /// <summary>A name of the file is gone: if it was the last, so are its watches.</summary>
    public static void NameGone(Inode inode)
    {
        if (inode.Watches is not InodeWatches watches)
        {
            return;
        }

        bool last = inode.IsDirectory || inode.GetAttributes(out FileAttributes attributes) != Errno.None || attributes.Links == 0;
        if (!inode.IsDirectory)
        {
            RaiseSelf(inode, Inotify.IN_ATTRIB);
        }

        if (last)
        {
            RaiseSelf(inode, Inotify.IN_DELETE_SELF);
            foreach (InodeWatch watch in watches.All)
            {
                watch.End();
            }
        }
    }

    // IN_DELETE_SELF and IN_MOVE_SELF come without IN_ISDIR.
    private static uint WithKind(Inode? inode, int mask) =>
        (uint)mask | (inode is { IsDirectory: true } && (mask & (Inotify.IN_DELETE_SELF | Inotify.IN_MOVE_SELF)) == 0 ? (uint)Inotify.IN_ISDIR : 0);
}
