using System.Collections.Generic;
using System.Threading;
using Runsc.Linux;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Memory;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.FileSystems.Gofer;

/// <summary>An open regular file.</summary>
internal sealed class GoferFileDescription(GoferInode inode, in VfsPath path, int flags) : RegularFileDescription(path, flags)
{
    protected override long Size => inode.Size;

    protected override long ReadAt(ref IoBuffer destination, long offset) => inode.Read(ref destination, offset);

    protected override long WriteAt(ICaller caller, ref IoBuffer source, long offset, bool append, out long end)
    {
        lock (inode.WriteLock)
        {
            end = append ? inode.Size : offset;
            long n = inode.Write(ref source, end);
            end += n > 0 ? n : 0;
            if (n > 0 && (StatusFlags & Fcntl.O_DSYNC) != 0)
            {
                _ = inode.Sync(dataOnly: true);
            }

            return n;
        }
    }

    protected override long SeekDataOrHole(long offset, bool data) => offset >= Size ? -(long)Errno.ENXIO : inode.SeekDataOrHole(offset, data);

    public override Errno GetMappable(out IMappable? mappable)
    {
        Errno error = inode.EnsureOpen(write: false);
        mappable = null;
        if (error != Errno.None)
        {
            return error;
        }

        PageCache pages = inode.GetPages(Path.Dentry.Name);
        pages.IncRef();
        mappable = pages;
        return Errno.None;
    }

    public override Errno Sync(bool dataOnly) => inode.Sync(dataOnly);

    public override Errno Truncate(ICaller caller, long length) => inode.SetAttributes(new AttributeChange { Mask = AttributeMask.Size, Size = length });

    public override Errno Allocate(ICaller caller, int mode, long offset, long length) => inode.Allocate(mode, offset, length);
}

/// <summary>An open directory. Entries come in batches, as many as a message holds.</summary>
internal sealed class GoferDirectoryDescription(GoferInode directory, in VfsPath path, int flags) : FileDescription(path, flags)
{
    private readonly Lock _mu = new();

    // Guarded by _mu: 0 ".", 1 "..", 2 the first entry; then the host's own positions.
    private long _position;
    private readonly List<(byte[] Name, ulong Inode, byte Type, ulong Next)> _entries = [];
    private int _index;
    private ulong _hostPosition;

    public override long Read(ICaller caller, ref IoBuffer destination) => -(long)Errno.EISDIR;

    public override long PRead(ICaller caller, ref IoBuffer destination, long offset) => -(long)Errno.EISDIR;

    public override Errno Sync(bool dataOnly) => directory.Sync(dataOnly);

    public override long Seek(ICaller caller, long offset, int whence)
    {
        lock (_mu)
        {
            if (whence == Fcntl.SEEK_CUR && offset == 0)
            {
                return _position;
            }

            if (whence != Fcntl.SEEK_SET || offset < 0)
            {
                return -(long)Errno.EINVAL;
            }

            _position = offset;
            _hostPosition = offset <= 2 ? 0 : (ulong)offset;
            _entries.Clear();
            _index = 0;
            return offset;
        }
    }

    public override Errno ReadDirectory(ICaller caller, IDirectorySink sink)
    {
        lock (_mu)
        {
            if (_position == 0)
            {
                if (!sink.Add("."u8, directory.Key.Number, (byte)Dirent.DT_DIR, 1))
                {
                    return Errno.None;
                }

                _position = 1;
            }

            if (_position == 1)
            {
                ulong parent = (Path.Dentry.Parent?.Inode as GoferInode)?.Key.Number ?? directory.Key.Number;
                if (!sink.Add(".."u8, parent, (byte)Dirent.DT_DIR, 2))
                {
                    return Errno.None;
                }

                _position = 2;
                _hostPosition = 0;
            }

            while (true)
            {
                if (_index == _entries.Count)
                {
                    _entries.Clear();
                    _index = 0;
                    long n = directory.ReadEntries(_hostPosition, _entries);
                    if (n <= 0)
                    {
                        return n < 0 ? (Errno)(-n) : Errno.None;
                    }
                }

                (byte[] name, ulong inode, byte type, ulong next) = _entries[_index];
                if (!sink.Add(name, inode, type, (long)next))
                {
                    return Errno.None;
                }

                _index++;
                _hostPosition = next;
                _position = (long)next;
            }
        }
    }
}
