using System;
using System.Threading;
using Runsc.Linux;
using Runsc.NineP;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.FileSystems.Gofer;

/// <summary>A directory of the host.</summary>
internal sealed class GoferDirectory(GoferSuperBlock super, uint fid, in StatBuffer stat) : GoferInode(super, fid, stat)
{
    private readonly SeenNames? _seen = super.Validity > 0 ? new SeenNames() : null;

    public override Errno Lookup(ReadOnlySpan<byte> name, out Inode? child)
    {
        child = null;
        Errno error = Client.Walk(Fid, name, out uint fid, out StatBuffer stat);
        if (error == Errno.None)
        {
            child = Gofer.GetOrAdd(fid, stat, -1);
        }

        if (error is Errno.None or Errno.ENOENT)
        {
            _seen?.Add(name, Gofer.Validity);
        }

        return error;
    }

    public override bool IsChildValid(ReadOnlySpan<byte> name, Inode? child)
    {
        if (Gofer.IsExclusive || (_seen is not null && _seen.IsRecent(name)))
        {
            return true;
        }

        Errno error = Client.Look(Fid, name, out StatBuffer stat);
        bool isValid = child is GoferInode known ? error == Errno.None && known.IsSameFile(stat) : error == Errno.ENOENT;
        if (isValid)
        {
            (child as GoferInode)?.Refresh(stat);
            _seen?.Add(name, Gofer.Validity);
        }

        return isValid;
    }

    public override Errno Create(ReadOnlySpan<byte> name, in CreateOptions create, out Inode? child) => Make(name, create, default, out child);

    public override Errno Symlink(ReadOnlySpan<byte> name, ReadOnlySpan<byte> target, in CreateOptions create, out Inode? child) =>
        Make(name, create, target, out child);

    private Errno Make(ReadOnlySpan<byte> name, in CreateOptions create, ReadOnlySpan<byte> target, out Inode? child)
    {
        child = null;
        Errno error = Client.Make(Fid, name, create, target, out uint fid, out StatBuffer stat, out int descriptor);
        if (error == Errno.None)
        {
            child = Gofer.GetOrAdd(fid, stat, descriptor);
            Invalidate();
        }

        return error;
    }

    public override Errno Link(ReadOnlySpan<byte> name, Inode target)
    {
        GoferInode inode = (GoferInode)target;
        Errno error = Client.Link(Fid, inode.Fid, name);
        if (error == Errno.None)
        {
            Invalidate();
            inode.Invalidate();
        }

        return error;
    }

    public override Errno Unlink(ReadOnlySpan<byte> name, Inode child) => Remove(name, child, isDirectory: false);

    public override Errno Rmdir(ReadOnlySpan<byte> name, Inode child) => Remove(name, child, isDirectory: true);

    private Errno Remove(ReadOnlySpan<byte> name, Inode child, bool isDirectory)
    {
        Errno error = Client.Unlink(Fid, name, isDirectory);
        if (error == Errno.None)
        {
            Invalidate();
            ((GoferInode)child).OnUnlinked();
        }

        return error;
    }

    public override Errno Rename(ReadOnlySpan<byte> name, Inode child, Inode newDirectory, ReadOnlySpan<byte> newName, Inode? replaced, uint flags)
    {
        if ((flags & Fcntl.RENAME_WHITEOUT) != 0)
        {
            return Errno.EINVAL;
        }

        GoferDirectory target = (GoferDirectory)newDirectory;
        Errno error = Client.Rename(Fid, name, target.Fid, newName, flags);
        if (error == Errno.None)
        {
            Invalidate();
            target.Invalidate();
            ((GoferInode)child).Invalidate();
            if (replaced is GoferInode old && (flags & Fcntl.RENAME_EXCHANGE) == 0)
            {
                old.OnUnlinked();
            }
        }

        return error;
    }

    public override Errno Open(ICaller caller, in VfsPath path, int flags, out FileDescription? file)
    {
        file = new Description(this, path, flags);
        return Errno.None;
    }

    private sealed class Description(GoferDirectory directory, in VfsPath path, int flags) : FileDescription(path, flags)
    {
        private readonly Lock _mu = new();

        // Guarded by _mu. Entries from the host that were not handed out yet, and the position of the first of them: an offset of the host's,
        // which means nothing to us and may use all 63 bits.
        private long _position;
        private byte[] _entries = [];
        private int _consumed;

        public override long Read(ICaller caller, ref IoBuffer destination) => -(long)Errno.EISDIR;

        public override long PRead(ICaller caller, ref IoBuffer destination, long offset) => -(long)Errno.EISDIR;

        public override Errno Sync(bool dataOnly) => directory.Client.Sync(directory.Fid, dataOnly);

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

                if (target != _position || target == 0)
                {
                    _entries = [];
                    _consumed = 0;
                }

                _position = target;
                return target;
            }
        }

        public override Errno ReadDirectory(ICaller caller, IDirectorySink sink)
        {
            lock (_mu)
            {
                while (true)
                {
                    if (_consumed == _entries.Length)
                    {
                        Errno error = directory.Client.ReadDirectory(directory.Fid, _position, out _entries);
                        _consumed = 0;
                        if (error != Errno.None || _entries.Length == 0)
                        {
                            return error;
                        }
                    }

                    WireReader reader = new(_entries.AsSpan(_consumed));
                    Qid qid = Qid.Read(ref reader);
                    long next = unchecked((long)reader.UInt64());
                    byte type = reader.UInt8();
                    ReadOnlySpan<byte> name = reader.String();
                    if (reader.Failed)
                    {
                        return Errno.EIO;
                    }

                    ulong number = name.SequenceEqual("."u8) ? directory.Number
                        : name.SequenceEqual(".."u8) ? (Path.Dentry.Parent?.Inode as GoferDirectory ?? directory).Number
                        : directory.Gofer.Number(directory.HostDevice, qid.Path);
                    if (!sink.Add(name, number, type, next))
                    {
                        return Errno.None;
                    }

                    _consumed = _entries.Length - reader.Remaining;
                    _position = next;
                }
            }
        }
    }
}
