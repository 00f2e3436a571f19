using System;
using System.Collections.Generic;
using System.Threading;
using Runsc.Linux;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.FileSystems.Overlay;

/// <summary>A directory: what is above, and of what is below all that is not hidden by it.</summary>
internal sealed class OverlayDirectory(OverlaySuperBlock super, Inode? upper, Inode? lower, ulong number) : OverlayInode(super, upper, lower, number)
{
    private static readonly CreateOptions s_whiteout = new((uint)Stat.S_IFCHR, 0, 0);

    public override Errno Lookup(ReadOnlySpan<byte> name, out Inode? child)
    {
        child = null;
        if (Upper is Inode upper)
        {
            Errno above = upper.Lookup(name, out Inode? found);
            if (above == Errno.None)
            {
                if (OverlaySuperBlock.IsWhiteout(found!))
                {
                    found!.DecRef();
                    return Errno.ENOENT;
                }

                return Found(Overlay.GetInode(found, null), name, out child);
            }

            if (above != Errno.ENOENT)
            {
                return above;
            }
        }

        if (Lower is null)
        {
            return Errno.ENOENT;
        }

        Errno error = Lower.Lookup(name, out Inode? below);
        return error == Errno.None ? Found(Overlay.GetInode(null, below), name, out child) : error;
    }

    private Errno Found(OverlayInode inode, ReadOnlySpan<byte> name, out Inode? child)
    {
        inode.SetPlace(this, name);
        child = inode;
        return Errno.None;
    }

    public override Errno Create(ReadOnlySpan<byte> name, in CreateOptions create, out Inode? child)
    {
        child = null;

        // It would be taken for a whiteout.
        if ((create.Mode & Stat.S_IFMT) == Stat.S_IFCHR && create.DeviceNumber == 0)
        {
            return Errno.EPERM;
        }

        return Make(name, create, default, null, out child);
    }

    public override Errno CreateNameless(in CreateOptions create, out Inode? child)
    {
        child = null;
        Errno error = CopyUp();
        if (error == Errno.None)
        {
            error = Upper!.CreateNameless(create, out Inode? made);
            child = error == Errno.None ? Overlay.GetInode(made, null) : null;
        }

        return error;
    }

    public override Errno Symlink(ReadOnlySpan<byte> name, ReadOnlySpan<byte> target, in CreateOptions create, out Inode? child) =>
        Make(name, create, target, null, out child);

    public override Errno Link(ReadOnlySpan<byte> name, Inode target)
    {
        OverlayInode inode = (OverlayInode)target;
        Errno error = inode.CopyUp();
        return error == Errno.None ? Make(name, default, default, inode, out _) : error;
    }

    /// <summary>Puts a new name into the upper directory, of a new file or of <paramref name="existing"/>.</summary>
    private Errno Make(ReadOnlySpan<byte> name, in CreateOptions create, ReadOnlySpan<byte> target, OverlayInode? existing, out Inode? child)
    {
        child = null;
        Errno error = CopyUp();
        if (error != Errno.None)
        {
            return error;
        }

        Inode? made = null;
        lock (Overlay.Structure)
        {
            Inode upper = Upper!;
            bool hidden = TakeWhiteoutLocked(upper, name);
            error = existing is not null ? upper.Link(name, existing.Upper!)
                : (create.Mode & Stat.S_IFMT) == Stat.S_IFLNK ? upper.Symlink(name, target, create, out made)
                : upper.Create(name, create, out made);
            if (error != Errno.None && hidden)
            {
                PutWhiteoutLocked(upper, name);
            }
        }

        return error != Errno.None || existing is not null ? error : Found(Overlay.GetInode(made, null), name, out child);
    }

    public override Errno Unlink(ReadOnlySpan<byte> name, Inode child) => Remove(name, (OverlayInode)child);

    public override Errno Rmdir(ReadOnlySpan<byte> name, Inode child)
    {
        OverlayDirectory directory = (OverlayDirectory)child;
        Errno error = directory.CheckEmpty();
        return error == Errno.None ? Remove(name, directory) : error;
    }

    private Errno Remove(ReadOnlySpan<byte> name, OverlayInode child)
    {
        Errno error = IsInLower(name, out bool below);
        if (error == Errno.None && below)
        {
            error = CopyUp();
        }

        if (error != Errno.None)
        {
            return error;
        }

        lock (Overlay.Structure)
        {
            bool above = false;
            if (Upper is Inode upper)
            {
                above = upper.Lookup(name, out Inode? entry) == Errno.None;
                if (above)
                {
                    if (child is OverlayDirectory directory)
                    {
                        directory.ClearWhiteoutsLocked();
                    }

                    error = entry!.IsDirectory ? upper.Rmdir(name, entry) : upper.Unlink(name, entry);
                    entry.DecRef();
                }

                if (error == Errno.None && below)
                {
                    error = PutWhiteoutLocked(upper, name);
                }
            }

            if (error == Errno.None)
            {
                child.RemovePlaceLocked(this, name, above);
            }
        }

        return error;
    }

    public override Errno Rename(ReadOnlySpan<byte> name, Inode child, Inode newDirectory, ReadOnlySpan<byte> newName, Inode? replaced, uint flags)
    {
        OverlayDirectory target = (OverlayDirectory)newDirectory;
        OverlayInode moved = (OverlayInode)child;
        OverlayInode? old = (OverlayInode?)replaced;
        bool exchange = (flags & Fcntl.RENAME_EXCHANGE) != 0;
        if ((flags & Fcntl.RENAME_WHITEOUT) != 0)
        {
            return Errno.EINVAL;
        }

        Errno error = old is OverlayDirectory directory && !exchange ? directory.CheckEmpty() : Errno.None;
        bool below = false;
        if (error == Errno.None)
        {
            error = IsInLower(name, out below);
        }

        if (error == Errno.None)
        {
            error = moved.CopyUp();
        }

        if (error == Errno.None)
        {
            error = target.CopyUp();
        }

        if (error == Errno.None && exchange)
        {
            error = old!.CopyUp();
        }

        if (error == Errno.None)
        {
            // The file may have been copied up under another of its names.
            error = EnsureUpperName(name, moved);
        }

        if (error == Errno.None && exchange)
        {
            error = target.EnsureUpperName(newName, old!);
        }

        if (error != Errno.None)
        {
            return error;
        }

        lock (Overlay.Structure)
        {
            Inode from = Upper!, to = target.Upper!;
            bool hidden = TakeWhiteoutLocked(to, newName);
            bool oldAbove = to.Lookup(newName, out Inode? entry) == Errno.None;
            if (!exchange && old is OverlayDirectory emptied)
            {
                emptied.ClearWhiteoutsLocked();
            }

            error = from.Rename(name, moved.Upper!, to, newName, entry, flags & Fcntl.RENAME_EXCHANGE);
            entry?.DecRef();
            if (error != Errno.None)
            {
                if (hidden)
                {
                    PutWhiteoutLocked(to, newName);
                }

                return error;
            }

            if (exchange)
            {
                old!.PlaceLocked(this, name);
            }
            else
            {
                old?.RemovePlaceLocked(target, newName, oldAbove);
                if (below)
                {
                    error = PutWhiteoutLocked(from, name);
                }
            }

            moved.PlaceLocked(target, newName);
            return error;
        }
    }

    /// <summary>Gives a copied-up file this name above too, when it was copied up under another.</summary>
    private Errno EnsureUpperName(ReadOnlySpan<byte> name, OverlayInode inode)
    {
        Errno error = CopyUp();
        if (error != Errno.None)
        {
            return error;
        }

        lock (Overlay.Structure)
        {
            if (Upper!.Lookup(name, out Inode? entry) == Errno.None)
            {
                entry!.DecRef();
                return Errno.None;
            }

            error = Upper!.Link(name, inode.Upper!);
            if (error == Errno.None && inode.Origin is { HiddenLinks: > 0 } origin)
            {
                origin.HiddenLinks--;
            }

            return error;
        }
    }

    public override Errno Open(ICaller caller, in VfsPath path, int flags, out FileDescription? file)
    {
        file = new Description(this, path, flags);
        return Errno.None;
    }

    private Errno IsInLower(ReadOnlySpan<byte> name, out bool there)
    {
        there = false;
        if (Lower is null)
        {
            return Errno.None;
        }

        Errno error = Lower.Lookup(name, out Inode? found);
        if (error == Errno.None)
        {
            there = true;
            found!.DecRef();
        }

        return error == Errno.ENOENT ? Errno.None : error;
    }

    private static bool TakeWhiteoutLocked(Inode upper, ReadOnlySpan<byte> name)
    {
        if (upper.Lookup(name, out Inode? found) != Errno.None)
        {
            return false;
        }

        bool whiteout = OverlaySuperBlock.IsWhiteout(found!) && upper.Unlink(name, found!) == Errno.None;
        found!.DecRef();
        return whiteout;
    }

    private static Errno PutWhiteoutLocked(Inode upper, ReadOnlySpan<byte> name)
    {
        Errno error = upper.Create(name, s_whiteout, out Inode? whiteout);
        whiteout?.DecRef();
        return error;
    }

    /// <summary>Removes whiteouts, which are all that is above in a directory that seems empty. Lock held: Structure.</summary>
    private void ClearWhiteoutsLocked()
    {
        if (Upper is not Inode upper)
        {
            return;
        }

        NameSink names = new();
        if (Overlay.OpenReal(upper, [], Fcntl.O_RDONLY | Fcntl.O_DIRECTORY, out FileDescription? above) == Errno.None)
        {
            _ = above!.ReadDirectory(OverlaySuperBlock.InternalCaller.Instance, names);
            above.DecRef();
        }

        foreach ((byte[] name, _, _) in names.Entries)
        {
            TakeWhiteoutLocked(upper, name);
        }
    }

    private Errno CheckEmpty()
    {
        Errno error = List(out List<(byte[], ulong, byte)> entries);
        return error == Errno.None && entries.Count > 0 ? Errno.ENOTEMPTY : error;
    }

    /// <summary>Every visible name with its number and type, "." and ".." left out.</summary>
    private Errno List(out List<(byte[] Name, ulong Number, byte Type)> entries)
    {
        entries = [];
        HashSet<ByteKey>? hidden = null;
        if (Upper is Inode upper)
        {
            Errno error = ReadAll(upper, out NameSink above);
            if (error != Errno.None)
            {
                return error;
            }

            hidden = Lower is null ? null : new HashSet<ByteKey>(ByteKeyComparer.Instance);
            foreach ((byte[] name, _, byte type) in above.Entries)
            {
                hidden?.Add(new ByteKey(name));
                if (upper.Lookup(name, out Inode? found) != Errno.None)
                {
                    continue;
                }

                if (!OverlaySuperBlock.IsWhiteout(found!))
                {
                    entries.Add((name, Overlay.NumberOfUpper(found!), type));
                }

                found!.DecRef();
            }
        }

        if (Lower is not null)
        {
            Errno error = ReadAll(Lower, out NameSink below);
            if (error != Errno.None)
            {
                return error;
            }

            foreach ((byte[] name, ulong inode, byte type) in below.Entries)
            {
                if (hidden is null || !hidden.Contains(new ByteKey(name)))
                {
                    entries.Add((name, inode, type));
                }
            }
        }

        return Errno.None;
    }

    private Errno ReadAll(Inode real, out NameSink names)
    {
        names = new NameSink();
        Errno error = Overlay.OpenReal(real, [], Fcntl.O_RDONLY | Fcntl.O_DIRECTORY, out FileDescription? file);
        if (error == Errno.None)
        {
            error = file!.ReadDirectory(OverlaySuperBlock.InternalCaller.Instance, names);
            file.DecRef();
        }

        return error;
    }

    private sealed class NameSink : IDirectorySink
    {
        public List<(byte[] Name, ulong Number, byte Type)> Entries { get; } = [];

        public bool Add(ReadOnlySpan<byte> name, ulong inode, byte type, long next)
        {
            if (!name.SequenceEqual("."u8) && !name.SequenceEqual(".."u8))
            {
                Entries.Add((name.ToArray(), inode, type));
            }

            return true;
        }
    }

    private sealed class Description(OverlayDirectory directory, in VfsPath path, int flags) : FileDescription(path, flags)
    {
        private readonly Lock _mu = new();

        // Guarded by _mu. The directory as it was when it was first read, or last rewound: 0 is ".", 1 is "..", then these in order.
        private List<(byte[] Name, ulong Number, byte Type)>? _entries;
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

                if (target == 0)
                {
                    _entries = null;
                }

                _position = target;
                return target;
            }
        }

        public override Errno ReadDirectory(ICaller caller, IDirectorySink sink)
        {
            lock (_mu)
            {
                if (_entries is null)
                {
                    Errno error = directory.List(out _entries!);
                    if (error != Errno.None)
                    {
                        _entries = null;
                        return error;
                    }
                }

                while (_position < _entries.Count + 2)
                {
                    bool fits;
                    if (_position == 0)
                    {
                        fits = sink.Add("."u8, directory.Number, (byte)Dirent.DT_DIR, 1);
                    }
                    else if (_position == 1)
                    {
                        ulong parent = Path.Dentry.Parent?.Inode is OverlayInode above ? above.Number : directory.Number;
                        fits = sink.Add(".."u8, parent, (byte)Dirent.DT_DIR, 2);
                    }
                    else
                    {
                        (byte[] name, ulong number, byte type) = _entries[(int)(_position - 2)];
                        fits = sink.Add(name, number, type, _position + 1);
                    }

                    if (!fits)
                    {
                        break;
                    }

                    _position++;
                }

                return Errno.None;
            }
        }
    }
}
