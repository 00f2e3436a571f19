using System;
using System.Collections.Generic;
using System.Threading;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.FileSystems.Tmpfs;

/// <summary>What all files of a tmpfs have: attributes, link count, extended attributes. Attributes are guarded by <see cref="Mu"/>.</summary>
internal abstract class TmpfsInode : Inode
{
    private readonly ulong _number;
    private readonly uint _type;
    private readonly ulong _device;
    private Dictionary<string, byte[]>? _xattrs;
    private uint _permissions;
    private uint _uid;
    private uint _gid;
    private FileTime _accessTime;
    private FileTime _modifyTime;
    private FileTime _changeTime;
    private readonly FileTime _birthTime;

    protected TmpfsInode(TmpfsSuperBlock super, in CreateOptions create)
        : base(super)
    {
        Tmpfs = super;
        _number = super.NewInodeNumber();
        _type = create.Mode & (uint)Stat.S_IFMT;
        _permissions = create.Mode & 0xfff;
        _uid = create.Uid;
        _gid = create.Gid;
        _device = create.DeviceNumber;
        _accessTime = _modifyTime = _changeTime = _birthTime = Now();
    }

    protected Lock Mu { get; } = new();

    protected TmpfsSuperBlock Tmpfs { get; }

    public ulong Number => _number;

    /// <summary>Names of the file. Guarded by Mu.</summary>
    public uint Links { get; set; } = 1;

    public override uint FileType => _type;

    public override ulong DeviceNumber => _device;

    protected virtual long Size => 0;

    protected virtual ulong Blocks => 0;

    public override Errno GetAttributes(out FileAttributes attributes)
    {
        lock (Mu)
        {
            attributes = new FileAttributes
            {
                Mode = _type | _permissions,
                Uid = _uid,
                Gid = _gid,
                Device = Super.Device,
                Inode = _number,
                Links = Links,
                DeviceNumber = _device,
                BlockSize = 4096,
                AccessTime = _accessTime,
                ModifyTime = _modifyTime,
                ChangeTime = _changeTime,
                BirthTime = _birthTime,
            };
        }

        attributes.Size = Size;
        attributes.Blocks = Blocks;
        return Errno.None;
    }

    public override Errno SetAttributes(in AttributeChange change)
    {
        if ((change.Mask & AttributeMask.Size) != 0)
        {
            Errno error = Resize(change.Size);
            if (error != Errno.None)
            {
                return error;
            }
        }

        FileTime now = Now();
        lock (Mu)
        {
            if ((change.Mask & AttributeMask.Mode) != 0)
            {
                _permissions = change.Mode & 0xfff;
            }

            if ((change.Mask & AttributeMask.Uid) != 0)
            {
                _uid = change.Uid;
            }

            if ((change.Mask & AttributeMask.Gid) != 0)
            {
                _gid = change.Gid;
            }

            if ((change.Mask & (AttributeMask.AccessTime | AttributeMask.AccessTimeNow)) != 0)
            {
                _accessTime = (change.Mask & AttributeMask.AccessTimeNow) != 0 ? now : change.AccessTime;
            }

            if ((change.Mask & (AttributeMask.ModifyTime | AttributeMask.ModifyTimeNow | AttributeMask.Size)) != 0)
            {
                _modifyTime = (change.Mask & AttributeMask.ModifyTime) != 0 ? change.ModifyTime : now;
            }

            _changeTime = now;
        }

        return Errno.None;
    }

    /// <summary>truncate(2). EINVAL, EISDIR.</summary>
    protected virtual Errno Resize(long size) => IsDirectory ? Errno.EISDIR : Errno.EINVAL;

    public void TouchAccess()
    {
        FileTime now = Now();
        lock (Mu)
        {
            _accessTime = now;
        }
    }

    public void TouchModify()
    {
        FileTime now = Now();
        lock (Mu)
        {
            _modifyTime = _changeTime = now;
        }
    }

    /// <summary>A name came or went.</summary>
    public void ChangeLinks(int by)
    {
        FileTime now = Now();
        lock (Mu)
        {
            Links = (uint)(Links + by);
            _changeTime = now;
        }
    }

    /// <summary>Clears set-id bits after a write by someone without CAP_FSETID.</summary>
    public void DropSetId()
    {
        lock (Mu)
        {
            uint group = (_permissions & 8) != 0 ? (uint)Stat.S_ISGID : 0;
            _permissions &= ~((uint)Stat.S_ISUID | group);
        }
    }

    public bool HasSetId => (Volatile.Read(ref _permissions) & (uint)(Stat.S_ISUID | Stat.S_ISGID)) != 0;

    public override long GetXattr(ReadOnlySpan<byte> name, Span<byte> value)
    {
        lock (Mu)
        {
            if (_xattrs is null || !_xattrs.TryGetValue(System.Text.Encoding.Latin1.GetString(name), out byte[]? found))
            {
                return -(long)Errno.ENODATA;
            }

            if (value.IsEmpty)
            {
                return found.Length;
            }

            if (found.Length > value.Length)
            {
                return -(long)Errno.ERANGE;
            }

            found.CopyTo(value);
            return found.Length;
        }
    }

    public override Errno SetXattr(ReadOnlySpan<byte> name, ReadOnlySpan<byte> value, int flags)
    {
        if (name.StartsWith("system."u8))
        {
            return Errno.EOPNOTSUPP;
        }

        string key = System.Text.Encoding.Latin1.GetString(name);
        lock (Mu)
        {
            _xattrs ??= [];
            bool there = _xattrs.ContainsKey(key);
            if (there && (flags & Misc.XATTR_CREATE) != 0)
            {
                return Errno.EEXIST;
            }

            if (!there && (flags & Misc.XATTR_REPLACE) != 0)
            {
                return Errno.ENODATA;
            }

            // A bound, so that attributes cannot eat the Sentry's own memory.
            if (!there && _xattrs.Count >= 128)
            {
                return Errno.ENOSPC;
            }

            _xattrs[key] = value.ToArray();
            _changeTime = Now();
            return Errno.None;
        }
    }

    public override Errno RemoveXattr(ReadOnlySpan<byte> name)
    {
        lock (Mu)
        {
            return _xattrs is not null && _xattrs.Remove(System.Text.Encoding.Latin1.GetString(name)) ? Errno.None : Errno.ENODATA;
        }
    }

    public override long ListXattr(Span<byte> names)
    {
        lock (Mu)
        {
            long size = 0;
            foreach (string name in _xattrs?.Keys ?? (IEnumerable<string>)[])
            {
                if (!names.IsEmpty)
                {
                    if (size + name.Length + 1 > names.Length)
                    {
                        return -(long)Errno.ERANGE;
                    }

                    System.Text.Encoding.Latin1.GetBytes(name, names[(int)size..]);
                    names[(int)size + name.Length] = 0;
                }

                size += name.Length + 1;
            }

            return size;
        }
    }

    public override Errno Open(ICaller caller, in VfsPath path, int flags, out FileDescription? file)
    {
        file = null;
        return Errno.ENXIO;
    }

    protected override void OnRelease() => Tmpfs.UnchargeInode();

    protected static FileTime Now()
    {
        long now = HostTime.Now(TimeConstants.CLOCK_REALTIME);
        return new FileTime(now / 1_000_000_000, (uint)(now % 1_000_000_000));
    }
}

/// <summary>A device node, FIFO or socket: the VFS gives it life.</summary>
internal sealed class TmpfsSpecial(TmpfsSuperBlock super, in CreateOptions create) : TmpfsInode(super, create);

/// <summary>A symbolic link.</summary>
internal sealed class TmpfsSymlink(TmpfsSuperBlock super, in CreateOptions create, byte[] target) : TmpfsInode(super, create)
{
    protected override long Size => target.Length;

    public override Errno ReadLink(ICaller caller, out byte[] bytes)
    {
        bytes = target;
        return Errno.None;
    }
}
