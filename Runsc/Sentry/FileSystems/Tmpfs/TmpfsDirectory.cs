using System;
using System.Collections.Generic;
using System.Threading;
using Runsc.Linux;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.FileSystems.Tmpfs;

/// <summary>A directory. Each entry keeps the position that it got when it was made, so listing goes on rightly while names come and go.</summary>
internal sealed class TmpfsDirectory(TmpfsSuperBlock super, in CreateOptions create) : TmpfsInode(super, create)
{
    // Guarded by Mu; the directory holds a reference on each child.
    private readonly Dictionary<ByteKey, (TmpfsInode Inode, long Position)> _byName = new(ByteKeyComparer.Instance);
    private readonly SortedList<long, byte[]> _byPosition = [];
    private long _nextPosition = 2;
    private uint _subdirectories;

    protected override long Size => (_byPosition.Count + 2) * 20;

    public bool IsEmpty
    {
        get
        {
            lock (Mu)
            {
                return _byName.Count == 0;
            }
        }
    }

    public override Errno GetAttributes(out FileAttributes attributes)
    {
        base.GetAttributes(out attributes);
        attributes.Links = attributes.Links == 0 ? 0 : 2 + Volatile.Read(ref _subdirectories);
        return Errno.None;
    }

    public override Errno Lookup(ReadOnlySpan<byte> name, out Inode? child)
    {
        lock (Mu)
        {
            if (_byName.GetAlternateLookup<ReadOnlySpan<byte>>().TryGetValue(name, out (TmpfsInode Inode, long) entry))
            {
                entry.Inode.IncRef();
                child = entry.Inode;
                return Errno.None;
            }
        }

        child = null;
        return Errno.ENOENT;
    }

    public override Errno Create(ReadOnlySpan<byte> name, in CreateOptions create, out Inode? child)
    {
        child = null;
        if (!Tmpfs.ChargeInode())
        {
            return Errno.ENOSPC;
        }

        TmpfsInode inode = (create.Mode & Stat.S_IFMT) switch
        {
            Stat.S_IFDIR => new TmpfsDirectory(Tmpfs, create),
            Stat.S_IFREG => new TmpfsFile(Tmpfs, create),
            _ => new TmpfsSpecial(Tmpfs, create),
        };
        Insert(name, inode);
        child = inode;
        return Errno.None;
    }

    public override Errno CreateNameless(in CreateOptions create, out Inode? child)
    {
        child = Tmpfs.ChargeInode() ? new TmpfsFile(Tmpfs, create) { Links = 0 } : null;
        return child is null ? Errno.ENOSPC : Errno.None;
    }

    public override Errno Symlink(ReadOnlySpan<byte> name, ReadOnlySpan<byte> target, in CreateOptions create, out Inode? child)
    {
        child = null;
        if (!Tmpfs.ChargeInode())
        {
            return Errno.ENOSPC;
        }

        TmpfsSymlink link = new(Tmpfs, create, target.ToArray());
        Insert(name, link);
        child = link;
        return Errno.None;
    }

    public override Errno Link(ReadOnlySpan<byte> name, Inode target)
    {
        TmpfsInode inode = (TmpfsInode)target;
        inode.ChangeLinks(1);
        Insert(name, inode);
        return Errno.None;
    }

    public override Errno Unlink(ReadOnlySpan<byte> name, Inode child)
    {
        Take(name);
        ((TmpfsInode)child).ChangeLinks(-1);
        child.DecRef();
        return Errno.None;
    }

    public override Errno Rmdir(ReadOnlySpan<byte> name, Inode child)
    {
        TmpfsDirectory directory = (TmpfsDirectory)child;
        if (!directory.IsEmpty)
        {
            return Errno.ENOTEMPTY;
        }

        return Unlink(name, child);
    }

    public override Errno Rename(ReadOnlySpan<byte> name, Inode child, Inode newDirectory, ReadOnlySpan<byte> newName, Inode? replaced, uint flags)
    {
        TmpfsDirectory target = (TmpfsDirectory)newDirectory;
        TmpfsInode moved = (TmpfsInode)child;
        if ((flags & Fcntl.RENAME_WHITEOUT) != 0)
        {
            return Errno.EINVAL;
        }

        if ((flags & Fcntl.RENAME_EXCHANGE) != 0)
        {
            Take(name);
            target.Take(newName);
            Insert(name, (TmpfsInode)replaced!, addReference: false);
            target.Insert(newName, moved, addReference: false);
        }
        else
        {
            if (replaced is TmpfsDirectory { IsEmpty: false })
            {
                return Errno.ENOTEMPTY;
            }

            if (replaced is TmpfsInode old)
            {
                target.Take(newName);
                old.ChangeLinks(-1);
                old.DecRef();
            }

            Take(name);
            target.Insert(newName, moved, addReference: false);
        }

        moved.ChangeLinks(0);
        return Errno.None;
    }

    public override Errno Open(ICaller caller, in VfsPath path, int flags, out FileDescription? file)
    {
        file = new Description(this, path, flags);
        return Errno.None;
    }

    protected override void OnRelease()
    {
        // Only an empty directory loses its last name; the root of an unmounted tree may hold children.
        foreach ((TmpfsInode inode, _) in _byName.Values)
        {
            inode.DecRef();
        }

        base.OnRelease();
    }

    private void Insert(ReadOnlySpan<byte> name, TmpfsInode inode, bool addReference = true)
    {
        byte[] copy = name.ToArray();
        if (addReference)
        {
            // The directory's own reference, beside the one that goes to the dentry.
            inode.IncRef();
        }

        lock (Mu)
        {
            long position = _nextPosition++;
            _byName.Add(new ByteKey(copy), (inode, position));
            _byPosition.Add(position, copy);
            _subdirectories += inode.IsDirectory ? 1u : 0u;
        }

        TouchModify();
    }

    private void Take(ReadOnlySpan<byte> name)
    {
        lock (Mu)
        {
            if (_byName.GetAlternateLookup<ReadOnlySpan<byte>>().Remove(name, out _, out (TmpfsInode Inode, long Position) entry))
            {
                _byPosition.Remove(entry.Position);
                _subdirectories -= entry.Inode.IsDirectory ? 1u : 0u;
            }
        }

        TouchModify();
    }

    /// <summary>Entries from a position on, for listing.</summary>
    private bool TryNext(ref long position, out byte[] name, out TmpfsInode inode)
    {
        lock (Mu)
        {
            int low = 0, high = _byPosition.Count;
            while (low < high)
            {
                int middle = (low + high) >> 1;
                if (_byPosition.GetKeyAtIndex(middle) >= position)
                {
                    high = middle;
                }
                else
                {
                    low = middle + 1;
                }
            }

            if (low == _byPosition.Count)
            {
                name = [];
                inode = this;
                return false;
            }

            position = _byPosition.GetKeyAtIndex(low);
            name = _byPosition.GetValueAtIndex(low);
            inode = _byName[new ByteKey(name)].Inode;
            return true;
        }
    }

    private sealed class Description(TmpfsDirectory directory, in VfsPath path, int flags) : FileDescription(path, flags)
    {
        private readonly Lock _mu = new();

        // Guarded by _mu: 0 ".", 1 "..", then the entries' positions.
        private long _position;

        public override long Read(ICaller caller, ref IoBuffer destination) => -(long)Errno.EISDIR;

        public override long PRead(ICaller caller, ref IoBuffer destination, long offset) => -(long)Errno.EISDIR;

        public override Errno Sync(bool dataOnly) => Errno.None;

        public override long Seek(ICaller caller, long offset, int whence)
        {
            lock (_mu)
            {
                long target = whence switch
                {
                    Fcntl.SEEK_SET => offset,
                    Fcntl.SEEK_CUR => unchecked(_position + offset),
                    _ => -1,
                };
                if (target < 0)
                {
                    return -(long)Errno.EINVAL;
                }

                _position = target;
                return target;
            }
        }

        public override Errno ReadDirectory(ICaller caller, IDirectorySink sink)
        {
            lock (_mu)
            {
                if (_position == 0)
                {
                    if (!sink.Add("."u8, directory.Number, (byte)Dirent.DT_DIR, 1))
                    {
                        return Errno.None;
                    }

                    _position = 1;
                }

                if (_position == 1)
                {
                    ulong parent = Path.Dentry.Parent?.Inode is TmpfsInode above ? above.Number : directory.Number;
                    if (!sink.Add(".."u8, parent, (byte)Dirent.DT_DIR, 2))
                    {
                        return Errno.None;
                    }

                    _position = 2;
                }

                long position = _position;
                while (directory.TryNext(ref position, out byte[] name, out TmpfsInode inode))
                {
                    if (!sink.Add(name, inode.Number, (byte)(inode.FileType >> 12), position + 1))
                    {
                        break;
                    }

                    _position = ++position;
                }

                return Errno.None;
            }
        }
    }
}
