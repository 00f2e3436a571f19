using System;
using System.Text;
using System.Threading;
using Runsc.Common;
using Runsc.Linux;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.FileSystems.Overlay;

/// <summary>A file of the overlay: a lower inode until it is changed, then an upper one. This class alone is symbolic links and special files.</summary>
internal class OverlayInode : Inode
{
    private readonly uint _type;
    private readonly ulong _device;

    // Set once, under Structure; references are held on both.
    private Inode? _upper;
    private readonly Inode? _lower;

    // Guarded by Structure: a name of the file, where it is copied up to; a reference is held on the directory. Null when it has none.
    private OverlayDirectory? _parent;
    private byte[] _name = [];

    // Guarded by Structure. Names of a file that is not copied up which were removed.
    private ulong _removedLinks;

    /// <param name="super">The overlay.</param>
    /// <param name="upper">The upper inode, if any; its reference passes to this one.</param>
    /// <param name="lower">The lower inode that it is or was copied from; likewise.</param>
    /// <param name="number">st_ino.</param>
    public OverlayInode(OverlaySuperBlock super, Inode? upper, Inode? lower, ulong number)
        : base(super)
    {
        Inode first = (upper ?? lower)!;
        Overlay = super;
        _upper = upper;
        _lower = lower;
        _type = first.FileType;
        _device = first.DeviceNumber;
        Number = number;
    }

    protected OverlaySuperBlock Overlay { get; }

    /// <summary>st_ino; the same before and after copying up.</summary>
    public ulong Number { get; }

    /// <summary>Set under Structure when the file was copied up.</summary>
    public Origin? Origin { get; set; }

    public Inode? Upper => Volatile.Read(ref _upper);

    public Inode? Lower => _lower;

    /// <summary>The inode that has the attributes now.</summary>
    protected Inode Real => Upper ?? _lower!;

    public override uint FileType => _type;

    public override ulong DeviceNumber => _device;

    /// <summary>Everything that is copied with a file.</summary>
    public static AttributeChange AllOf(in FileAttributes attributes) => new()
    {
        Mask = AttributeMask.Mode | AttributeMask.Uid | AttributeMask.Gid | AttributeMask.AccessTime | AttributeMask.ModifyTime,
        Mode = attributes.Mode & 0xfff,
        Uid = attributes.Uid,
        Gid = attributes.Gid,
        AccessTime = attributes.AccessTime,
        ModifyTime = attributes.ModifyTime,
    };

    public override Errno GetAttributes(out FileAttributes attributes)
    {
        Inode? upper = Upper;
        Errno error = (upper ?? _lower!).GetAttributes(out attributes);
        if (error != Errno.None)
        {
            return error;
        }

        if (IsDirectory)
        {
            // As overlayfs: one link tells find(1) and others that subdirectories cannot be counted by it.
            attributes.Links = attributes.Links == 0 || (upper is null && Volatile.Read(ref _removedLinks) > 0) ? 0u : 1u;
        }
        else if (upper is null)
        {
            attributes.Links -= Math.Min(attributes.Links, Volatile.Read(ref _removedLinks));
        }
        else if (Origin is Origin origin)
        {
            attributes.Links += origin.HiddenLinks;
            if (origin.DataInLower && origin.Lower.GetAttributes(out FileAttributes below) == Errno.None)
            {
                attributes.Size = below.Size;
                attributes.Blocks = below.Blocks;
            }
        }

        attributes.Device = Super.Device;
        attributes.Inode = Number;
        return Errno.None;
    }

    public override Errno SetAttributes(in AttributeChange change)
    {
        Errno error = CopyUp();
        return error == Errno.None ? Upper!.SetAttributes(change) : error;
    }

    public override Errno ReadLink(ICaller caller, out byte[] target) => Real.ReadLink(caller, out target);

    public override long GetXattr(ReadOnlySpan<byte> name, Span<byte> value) => Real.GetXattr(name, value);

    public override long ListXattr(Span<byte> names) => Real.ListXattr(names);

    public override Errno SetXattr(ReadOnlySpan<byte> name, ReadOnlySpan<byte> value, int flags)
    {
        Errno error = CopyUp();
        return error == Errno.None ? Upper!.SetXattr(name, value, flags) : error;
    }

    public override Errno RemoveXattr(ReadOnlySpan<byte> name)
    {
        Errno error = CopyUp();
        return error == Errno.None ? Upper!.RemoveXattr(name) : error;
    }

    public override Errno Open(ICaller caller, in VfsPath path, int flags, out FileDescription? file)
    {
        file = null;
        return Errno.ENXIO;
    }

    /// <summary>The file got a name, unless it is known under one. Takes Structure.</summary>
    public void SetPlace(OverlayDirectory directory, ReadOnlySpan<byte> name)
    {
        lock (Overlay.Structure)
        {
            if (_parent is null)
            {
                PlaceLocked(directory, name);
            }
        }
    }

    /// <summary>The file's known name is now this one. Lock held: Structure.</summary>
    public void PlaceLocked(OverlayDirectory? directory, ReadOnlySpan<byte> name)
    {
        OverlayDirectory? old = _parent;
        directory?.IncRef();
        _parent = directory;
        _name = name.ToArray();
        old?.DecRef();
    }

    /// <summary>One name is gone. Lock held: Structure.</summary>
    /// <param name="directory">Where it was.</param>
    /// <param name="name">The name.</param>
    /// <param name="wasUpper">It was a name of the upper inode, which counts its own links.</param>
    public void RemovePlaceLocked(OverlayDirectory directory, ReadOnlySpan<byte> name, bool wasUpper)
    {
        if (_parent == directory && name.SequenceEqual(_name))
        {
            PlaceLocked(null, default);
        }

        if (wasUpper)
        {
            return;
        }

        if (_upper is null)
        {
            _removedLinks++;
        }
        else if (Origin is { HiddenLinks: > 0 } origin)
        {
            origin.HiddenLinks--;
        }
    }

    /// <summary>
    /// Makes sure of an upper inode, parents first; of a regular file only the attributes are copied. ENOSPC, or an error of the lower file system.
    /// </summary>
    public Errno CopyUp()
    {
        while (true)
        {
            if (Upper is not null)
            {
                return Errno.None;
            }

            OverlayDirectory? parent;
            lock (Overlay.Structure)
            {
                parent = _parent;
                parent?.IncRef();
            }

            Errno error = parent?.CopyUp() ?? Errno.None;
            bool moved = false;
            if (error == Errno.None)
            {
                error = CopyUpInto(parent, out moved);
            }

            parent?.DecRef();
            if (!moved)
            {
                return error;
            }
        }
    }

    /// <summary>Copies into a directory that is copied up itself. <paramref name="moved"/>: the file is somewhere else by now, try again.</summary>
    private Errno CopyUpInto(OverlayDirectory? parent, out bool moved)
    {
        moved = false;
        Inode lower = _lower!;
        byte[] target = [];
        Errno error = lower.GetAttributes(out FileAttributes attributes);
        if (error == Errno.None && IsSymlink)
        {
            error = lower.ReadLink(OverlaySuperBlock.InternalCaller.Instance, out target);
        }

        if (error != Errno.None)
        {
            return error;
        }

        byte[] names = ReadXattrNames(lower);
        lock (Overlay.Structure)
        {
            if (_upper is not null)
            {
                return Errno.None;
            }

            if (_parent != parent)
            {
                moved = true;
                return Errno.None;
            }

            Inode directory = parent?.Upper ?? Overlay.UpperRoot;
            byte[] name = parent is null ? Overlay.NewOrphanName() : _name;
            CreateOptions create = new(attributes.Mode, attributes.Uid, attributes.Gid, attributes.DeviceNumber);
            error = directory.GetAttributes(out FileAttributes above);
            Inode? upper = null;
            if (error == Errno.None)
            {
                error = IsSymlink ? directory.Symlink(name, target, create, out upper) : directory.Create(name, create, out upper);
            }

            if (error != Errno.None)
            {
                return error;
            }

            if (parent is null)
            {
                // Removed already, but still open: the copy has no name either.
                _ = directory.Unlink(name, upper!);
            }

            CopyXattrs(lower, upper!, names);
            _ = upper!.SetAttributes(AllOf(attributes));

            // That a file was copied is no change of the directory.
            _ = directory.SetAttributes(AllOf(above));
            Origin = Overlay.SetUpperLocked(this, upper, lower, attributes.Links - Math.Min(attributes.Links, _removedLinks), IsRegular && attributes.Size > 0);
            Volatile.Write(ref _upper, upper);
            return Errno.None;
        }
    }

    private static byte[] ReadXattrNames(Inode lower)
    {
        long size = lower.ListXattr(default);
        if (size <= 0)
        {
            return [];
        }

        byte[] names = new byte[size];
        size = lower.ListXattr(names);
        return size > 0 ? names.AsSpan(0, (int)Math.Min(size, names.Length)).ToArray() : [];
    }

    private static void CopyXattrs(Inode lower, Inode upper, byte[] names)
    {
        ReadOnlySpan<byte> rest = names;
        while (rest.IndexOf((byte)0) is int end and > 0)
        {
            ReadOnlySpan<byte> name = rest[..end];
            rest = rest[(end + 1)..];
            byte[] value = new byte[Math.Max(lower.GetXattr(name, default), 0)];
            long size = value.Length == 0 ? 0 : lower.GetXattr(name, value);
            if (size == value.Length && upper.SetXattr(name, value, 0) is var error && error != Errno.None)
            {
                Log.Debug($"overlay: attribute {Encoding.Latin1.GetString(name)} was not copied up: {error}");
            }
        }
    }

    protected override void OnRelease()
    {
        OverlayDirectory? parent;
        lock (Overlay.Structure)
        {
            parent = _parent;
            _parent = null;
        }

        Overlay.Forget(this, _upper, _lower);
        parent?.DecRef();
    }
}
