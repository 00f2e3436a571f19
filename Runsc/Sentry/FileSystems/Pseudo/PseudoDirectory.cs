using System;
using System.Collections.Generic;
using System.Text;
using System.Threading;
using Runsc.Linux;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.FileSystems.Pseudo;

/// <summary>A directory of fixed children, to which a subclass may add ones that come and go.</summary>
internal class PseudoDirectory(PseudoSuperBlock super, uint permissions = 0x16d) : PseudoInode(super, (uint)Stat.S_IFDIR | permissions)
{
    // Written before the directory is seen by others; the directory holds a reference on each.
    private readonly List<(string Name, Inode Inode)> _children = [];
    private readonly Dictionary<string, Inode> _byName = [];

    protected override ulong LinkCount => 2;

    /// <summary>Adds a fixed child while the tree is being built; its reference passes to the directory.</summary>
    public PseudoDirectory Add(string name, Inode child)
    {
        _children.Add((name, child));
        _byName.Add(name, child);
        return this;
    }

    public override Errno Lookup(ReadOnlySpan<byte> name, out Inode? child)
    {
        if (_byName.Count > 0 && _byName.TryGetValue(Encoding.Latin1.GetString(name), out child))
        {
            child.IncRef();
            return Errno.None;
        }

        return LookupDynamic(name, out child);
    }

    /// <summary>A child that is not fixed. With a reference for the caller, or ENOENT.</summary>
    protected virtual Errno LookupDynamic(ReadOnlySpan<byte> name, out Inode? child)
    {
        child = null;
        return Errno.ENOENT;
    }

    /// <summary>
    /// Entries that are not fixed, in an order by key, from the first whose key is at least <paramref name="from"/>; keys are below 2^40.
    /// </summary>
    protected virtual void ListDynamic(ICaller caller, long from, DynamicEntryVisitor visit)
    {
    }

    /// <summary>Takes an entry; false stops the listing.</summary>
    internal delegate bool DynamicEntryVisitor(long key, string name, ulong inode, byte type);

    public override Errno Open(ICaller caller, in VfsPath path, int flags, out FileDescription? file)
    {
        file = null;
        if ((flags & Fcntl.O_ACCMODE) != Fcntl.O_RDONLY)
        {
            return Errno.EISDIR;
        }

        file = new Description(this, path, flags);
        return Errno.None;
    }

    /// <summary>Positions: 0 ".", 1 "..", 2… the fixed children, then <see cref="DynamicBase"/> + key.</summary>
    private sealed class Description(PseudoDirectory directory, in VfsPath path, int flags) : FileDescription(path, flags)
    {
        private const long DynamicBase = 1L << 40;

        private readonly Lock _mu = new();

        // Guarded by _mu.
        private long _position;

        public override Errno ReadDirectory(ICaller caller, IDirectorySink sink)
        {
            long position;
            lock (_mu)
            {
                position = _position;
            }

            position = List(caller, sink, position);
            lock (_mu)
            {
                _position = position;
            }

            return Errno.None;
        }

        public override long Read(ICaller caller, ref Mapping.IoBuffer destination) => -(long)Errno.EISDIR;

        public override Errno Sync(bool dataOnly) => Errno.EINVAL;

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

        private long List(ICaller caller, IDirectorySink sink, long position)
        {
            if (position == 0)
            {
                if (!sink.Add("."u8, directory.Number, (byte)Dirent.DT_DIR, 1))
                {
                    return position;
                }

                position = 1;
            }

            if (position == 1)
            {
                ulong parent = Path.Dentry.Parent?.Inode is PseudoInode inode ? inode.Number : directory.Number;
                if (!sink.Add(".."u8, parent, (byte)Dirent.DT_DIR, 2))
                {
                    return position;
                }

                position = 2;
            }

            while (position < DynamicBase && position - 2 < directory._children.Count)
            {
                (string name, Inode child) = directory._children[(int)position - 2];
                ulong number = child is PseudoInode pseudo ? pseudo.Number : 1;
                if (!sink.Add(Encoding.Latin1.GetBytes(name), number, (byte)(child.FileType >> 12), position + 1))
                {
                    return position;
                }

                position++;
            }

            long next = Math.Max(position, DynamicBase);
            directory.ListDynamic(caller, next - DynamicBase, (key, name, number, type) =>
            {
                if (!sink.Add(Encoding.Latin1.GetBytes(name), number, type, DynamicBase + key + 1))
                {
                    return false;
                }

                next = DynamicBase + key + 1;
                return true;
            });
            return next;
        }
    }
}
