using System;
using System.Collections.Generic;
using System.Threading;
using Runsc.Common;

namespace Runsc.Sentry.Vfs;

/// <summary>A name in a directory and what it leads to: an inode, or nothing (a negative dentry). Linux: struct dentry.</summary>
/// <remarks>
/// The tree is the cache: a child stays in its parent until it is evicted (no references of its own) or its name goes away.
/// References count users (paths, mounts, children); the cache itself holds none, so an unused dentry may be dropped at any time.
/// </remarks>
internal sealed class Dentry
{
    private int _references = 1;
    private Inode? _inode;

    /// <param name="parent">Null for a root; else the dentry takes a reference on it.</param>
    /// <param name="name">Bytes of the name, owned by the dentry.</param>
    /// <param name="inode">The inode, whose reference passes to the dentry; null for a negative one.</param>
    public Dentry(Dentry? parent, byte[] name, Inode? inode)
    {
        parent?.IncRef();
        Parent = parent;
        Name = name;
        _inode = inode;
    }

    /// <summary>Held while names below this directory are looked up or changed. Sleeping lock; parent before child.</summary>
    public Lock DirectoryLock { get; } = new();

    /// <summary>Changed by rename only, under the rename lock and both directory locks.</summary>
    public Dentry? Parent { get; private set; }

    /// <summary>As <see cref="Parent"/>.</summary>
    public byte[] Name { get; private set; }

    /// <summary>Null when negative. Becomes null when the last user of an unlinked name is gone.</summary>
    public Inode? Inode => _inode;

    public bool IsNegative => _inode is null;

    /// <summary>The name was removed; the dentry lives on for those who hold it ("(deleted)").</summary>
    public bool IsUnlinked { get; private set; }

    /// <summary>A file without a name in a directory (O_TMPFILE), shown as removed. The inode's reference passes to the dentry.</summary>
    public static Dentry Nameless(Dentry directory, byte[] shownName, Inode inode) => new(directory, shownName, inode) { IsUnlinked = true };

    /// <summary>Something is mounted here in some namespace.</summary>
    public int MountCount;

    // Guarded by DirectoryLock. Null until the first child.
    private Dictionary<ByteKey, Dentry>? _children;

    public int CachedChildren => _children?.Count ?? 0;

    /// <summary>The path from the root of its file system, one char for each byte. A rename at the same time may mix old and new.</summary>
    public string PathInFileSystem()
    {
        string path = "";
        for (Dentry? at = this; at?.Parent is not null; at = at.Parent)
        {
            path = "/" + System.Text.Encoding.Latin1.GetString(at.Name) + path;
        }

        return path.Length == 0 ? "/" : path;
    }

    /// <summary>Lock held: DirectoryLock. No reference is taken.</summary>
    public Dentry? FindChildLocked(ReadOnlySpan<byte> name)
    {
        if (_children is null)
        {
            return null;
        }

        return _children.GetAlternateLookup<ReadOnlySpan<byte>>().TryGetValue(name, out Dentry? child) ? child : null;
    }

    /// <summary>Lock held: DirectoryLock.</summary>
    public void AddChildLocked(Dentry child)
    {
        _children ??= new Dictionary<ByteKey, Dentry>(ByteKeyComparer.Instance);
        _children[new ByteKey(child.Name)] = child;
    }

    /// <summary>Lock held: DirectoryLock. Forgets a child whose name is gone or whose inode is no longer right.</summary>
    public void RemoveChildLocked(Dentry child, bool unlinked)
    {
        if (FindChildLocked(child.Name) == child)
        {
            _children!.Remove(new ByteKey(child.Name));
        }

        child.IsUnlinked |= unlinked;
        if (Volatile.Read(ref child._references) == 0)
        {
            child.Destroy();
        }
    }

    /// <summary>Gives a negative dentry its inode. Lock held: the parent's DirectoryLock.</summary>
    public void InstantiateLocked(Inode inode)
    {
        if (Interlocked.CompareExchange(ref _inode, inode, null) is not null)
        {
            Invariant.Fail("dentry instantiated twice");
        }
    }

    /// <summary>Locks held: rename lock, both directories' DirectoryLock.</summary>
    public void MoveLocked(Dentry newParent, byte[] newName)
    {
        Dentry oldParent = Parent!;
        if (oldParent.FindChildLocked(Name) == this)
        {
            oldParent._children!.Remove(new ByteKey(Name));
        }

        newParent.IncRef();
        Parent = newParent;
        Name = newName;
        newParent.AddChildLocked(this);
        oldParent.DecRef();
    }

    /// <summary>Is it <paramref name="ancestor"/> or below it, in its own file system? Renames may make the answer old.</summary>
    public bool IsBelow(Dentry ancestor)
    {
        for (Dentry? dentry = this; dentry is not null; dentry = dentry.Parent)
        {
            if (dentry == ancestor)
            {
                return true;
            }
        }

        return false;
    }

    public void IncRef() => Interlocked.Increment(ref _references);

    public void DecRef()
    {
        int left = Interlocked.Decrement(ref _references);
        if (left > 0)
        {
            return;
        }

        if (left < 0)
        {
            Invariant.Fail("dentry reference count below zero");
        }

        Dentry? parent = Parent;
        if (parent is null)
        {
            Destroy();
            return;
        }

        // A dentry with no user stays in the cache while its name is valid and the parent wants to keep it. One that was
        // removed is in no cache, so nobody can find it again.
        if (IsUnlinked)
        {
            Destroy();
        }
        else if (!DentryCache.Keep(this))
        {
            lock (parent.DirectoryLock)
            {
                if (!ForgetLocked(parent))
                {
                    return;
                }
            }

            Destroy();
        }
    }

    /// <summary>What <see cref="DentryCache"/> knows of this dentry: one of its constants.</summary>
    internal int CacheState;

    /// <summary>
    /// Drops the dentry from its parent's cache unless it is in use. False when it could not be told, because the directory is locked:
    /// the caller may hold the lock of another directory, so nothing is waited for here.
    /// </summary>
    internal bool TryEvict()
    {
        Dentry? parent = Parent;
        if (parent is null)
        {
            return true;
        }

        if (!parent.DirectoryLock.TryEnter())
        {
            return false;
        }

        bool forgotten;
        try
        {
            forgotten = ForgetLocked(parent);
        }
        finally
        {
            parent.DirectoryLock.Exit();
        }

        if (forgotten)
        {
            Destroy();
        }

        return true;
    }

    /// <summary>Lock held: the parent's. Takes an unused dentry out of its parent's children; false when it is used again or gone already.</summary>
    private bool ForgetLocked(Dentry parent)
    {
        if (Parent != parent || Volatile.Read(ref _references) != 0 || _destroyed)
        {
            return false;
        }

        if (parent.FindChildLocked(Name) == this)
        {
            parent._children!.Remove(new ByteKey(Name));
        }

        return true;
    }

    private bool _destroyed;

    private void Destroy()
    {
        lock (this.DirectoryLock)
        {
            if (_destroyed)
            {
                return;
            }

            _destroyed = true;
        }

        Inode? inode = Interlocked.Exchange(ref _inode, null);
        inode?.DecRef();
        Parent?.DecRef();
    }
}
