using System;
using System.Threading;
using Runsc.Linux;
using Runsc.Sentry.Auth;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.FileSystems.Gofer;

/// <summary>A file of the host, held by a fid. There is one inode for each file, whatever its names.</summary>
/// <remarks><see cref="Mu"/> is a sleeping lock: 9P calls are made under it. It comes after directory locks and before the page cache's.</remarks>
internal abstract class GoferInode : Inode
{
    private readonly (ulong Device, ulong Inode) _key;
    private readonly ulong _number;
    private readonly uint _type;

    // Guarded by Mu.
    private StatBuffer _stat;
    private bool _isStale;
    private bool _isUnlinked;
    private long _askAgainAt;

    protected GoferInode(GoferSuperBlock super, uint fid, in StatBuffer stat)
        : base(super)
    {
        Gofer = super;
        Fid = fid;
        _key = (stat.Device, stat.Inode);
        _type = stat.Mode & (uint)Stat.S_IFMT;
        _stat = stat;
        DentryCache.ChangeCostly(1);

        // Called under the super block's lock, which may be taken again by the same thread.
        _number = super.Number(stat.Device, stat.Inode);
    }

    protected Lock Mu { get; } = new();

    protected GoferSuperBlock Gofer { get; }

    protected GoferClient Client => Gofer.Client;

    public uint Fid { get; }

    /// <summary>st_dev of the host.</summary>
    public ulong HostDevice => _key.Device;

    /// <summary>st_ino.</summary>
    public ulong Number => _number;

    public override uint FileType => _type;

    public override ulong DeviceNumber => _stat.DeviceNumber;

    /// <summary>Is this what the gofer has just described?</summary>
    public bool IsSameFile(in StatBuffer stat) => _key == (stat.Device, stat.Inode) && _type == (stat.Mode & (uint)Stat.S_IFMT);

    /// <summary>The next question for attributes goes to the host: they were changed by what we did.</summary>
    public void Invalidate()
    {
        lock (Mu)
        {
            _isStale = true;
        }
    }

    /// <summary>A name of it was removed.</summary>
    public void OnUnlinked()
    {
        lock (Mu)
        {
            _isStale = true;
            _isUnlinked = true;
        }
    }

    /// <summary>New attributes have come from the host.</summary>
    public void Refresh(in StatBuffer stat)
    {
        lock (Mu)
        {
            RefreshLocked(stat);
        }
    }

    private void RefreshLocked(in StatBuffer stat)
    {
        StatBuffer old = _stat;
        bool ours = _isStale;
        _stat = stat;
        _isStale = false;
        _askAgainAt = Gofer.Validity > 0 && _type != Stat.S_IFREG ? Environment.TickCount64 + Gofer.Validity : 0;
        OnRefreshedLocked(old, stat, ours);
    }

    /// <summary>Lock held: Mu. <paramref name="ours"/>: we have changed the file ourselves since the old attributes.</summary>
    protected virtual void OnRefreshedLocked(in StatBuffer old, in StatBuffer stat, bool ours)
    {
    }

    /// <summary>Asks the host; a file that is open answers without the gofer. Lock held: Mu.</summary>
    protected virtual Errno FetchLocked(out StatBuffer stat) => Client.GetAttributes(Fid, out stat);

    /// <summary>Attributes as they are known, or now with <paramref name="fresh"/>.</summary>
    protected Errno GetStat(bool fresh, out StatBuffer stat)
    {
        lock (Mu)
        {
            if (_isStale || (fresh && (_askAgainAt == 0 || Environment.TickCount64 >= _askAgainAt)))
            {
                Errno error = FetchLocked(out StatBuffer now);
                if (error != Errno.None)
                {
                    stat = default;
                    return error;
                }

                RefreshLocked(now);
            }

            stat = _stat;
            return Errno.None;
        }
    }

    public override Errno GetAttributes(out FileAttributes attributes)
    {
        Errno error = GetStat(!Gofer.IsExclusive, out StatBuffer stat);
        attributes = error == Errno.None ? ToAttributes(stat) : default;
        return error;
    }

    /// <summary>By what the walk has just seen: modes and owners change only through us, or were looked at when the name was.</summary>
    public override Errno CheckPermission(Credentials credentials, int mask)
    {
        StatBuffer stat;
        lock (Mu)
        {
            stat = _stat;
        }

        return Permissions.Check(credentials, ToAttributes(stat), mask);
    }

    private FileAttributes ToAttributes(in StatBuffer stat) => new()
    {
        Mode = stat.Mode,
        Uid = stat.Uid,
        Gid = stat.Gid,
        Device = Super.Device,
        Inode = _number,
        Links = stat.Links,
        DeviceNumber = stat.DeviceNumber,
        Size = stat.Size,
        Blocks = unchecked((ulong)stat.Blocks),
        BlockSize = unchecked((uint)stat.BlockSize),
        AccessTime = Time(stat.AccessTime),
        ModifyTime = Time(stat.ModifyTime),
        ChangeTime = Time(stat.ChangeTime),
    };

    private static FileTime Time(in Timespec time) => new(time.Seconds, unchecked((uint)time.Nanoseconds));

    public override Errno SetAttributes(in AttributeChange change)
    {
        AttributeChange rest = change;
        if ((change.Mask & AttributeMask.Size) != 0)
        {
            Errno error = Resize(change.Size);
            if (error != Errno.None)
            {
                return error;
            }

            rest.Mask &= ~AttributeMask.Size;
        }

        if (rest.Mask == AttributeMask.None)
        {
            return Errno.None;
        }

        lock (Mu)
        {
            Errno error = Client.SetAttributes(Fid, rest);
            if (error != Errno.None)
            {
                return error;
            }

            // What permission checks look at changes now; the times come with the next question.
            if ((rest.Mask & AttributeMask.Mode) != 0)
            {
                _stat.Mode = _type | (rest.Mode & 0xfff);
            }

            if ((rest.Mask & AttributeMask.Uid) != 0)
            {
                _stat.Uid = rest.Uid;
            }

            if ((rest.Mask & AttributeMask.Gid) != 0)
            {
                _stat.Gid = rest.Gid;
            }

            _isStale = true;
            return Errno.None;
        }
    }

    /// <summary>truncate(2). EISDIR, EINVAL.</summary>
    protected virtual Errno Resize(long size) => IsDirectory ? Errno.EISDIR : Errno.EINVAL;

    public override long GetXattr(ReadOnlySpan<byte> name, Span<byte> value) => Client.GetXattr(Fid, name, value);

    public override Errno SetXattr(ReadOnlySpan<byte> name, ReadOnlySpan<byte> value, int flags)
    {
        Errno error = Client.SetXattr(Fid, name, value, flags);
        Invalidate();
        return error;
    }

    public override Errno RemoveXattr(ReadOnlySpan<byte> name)
    {
        Errno error = Client.RemoveXattr(Fid, name);
        Invalidate();
        return error;
    }

    public override long ListXattr(Span<byte> names) => Client.ListXattr(Fid, names);

    public override Errno Open(ICaller caller, in VfsPath path, int flags, out FileDescription? file)
    {
        file = null;
        return Errno.ENXIO;
    }

    protected override void OnRelease()
    {
        Gofer.Forget(this, _key);
        DentryCache.ChangeCostly(-1);
        if (_isUnlinked)
        {
            Client.Clunk(Fid);
        }
        else
        {
            Client.ClunkLater(Fid);
        }
    }
}

/// <summary>A symbolic link. Its text never changes.</summary>
internal sealed class GoferSymlink(GoferSuperBlock super, uint fid, in StatBuffer stat) : GoferInode(super, fid, stat)
{
    private byte[]? _target;

    public override Errno ReadLink(ICaller caller, out byte[] target)
    {
        byte[]? known = Volatile.Read(ref _target);
        if (known is not null)
        {
            target = known;
            return Errno.None;
        }

        Errno error = Client.ReadLink(Fid, out target);
        if (error == Errno.None)
        {
            Volatile.Write(ref _target, target);
        }

        return error;
    }
}

/// <summary>A device node, FIFO or socket of the host: only its name and attributes count, the VFS gives it life.</summary>
internal sealed class GoferSpecial(GoferSuperBlock super, uint fid, in StatBuffer stat) : GoferInode(super, fid, stat);
