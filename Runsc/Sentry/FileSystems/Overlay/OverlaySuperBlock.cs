using System;
using System.Collections.Generic;
using System.Diagnostics.CodeAnalysis;
using System.Threading;
using Runsc.Linux;
using Runsc.Sentry.Auth;
using Runsc.Sentry.FileSystems.Tmpfs;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.FileSystems.Overlay;

/// <summary>
/// A tree that is read from a lower file system and changed in an upper one, which begins empty (Linux: overlayfs). The lower one is never written,
/// and nobody else changes it.
/// </summary>
/// <remarks>
/// What was copied up knows its lower file by <see cref="Origin"/>, never by name, so directories may be renamed, and a directory that was
/// made anew hides the lower one of its name. A removed name of the lower tree is a whiteout above: a character device 0:0.
/// Locks, in order: directory locks of the VFS; a file's data lock; <see cref="Structure"/>; what the two file systems lock.
/// </remarks>
internal sealed class OverlaySuperBlock : SuperBlock
{
    // Numbers of upper files are moved away from those of the lower tree.
    private const ulong UpperNumbers = 1UL << 52;

    private readonly SuperBlock _lower;
    private readonly SuperBlock _upper;
    private readonly OverlayDirectory _root;
    private readonly Vfs.Mount _internalMount;

    // Guarded by Structure. Inodes in use by their upper inode or, without one, their lower one. No references.
    private readonly Dictionary<Inode, OverlayInode> _inodes = [];

    // Guarded by Structure. By upper inode; with references to both inodes.
    private readonly Dictionary<Inode, Origin> _origins = [];

    // Guarded by Structure. Copied-up files that have more names in the lower tree, by lower inode.
    private readonly Dictionary<Inode, Origin> _linkedOrigins = [];
    private long _nextOrphan;

    /// <param name="kernel">For device numbers.</param>
    /// <param name="lower">A tree whose root is a directory. The overlay owns it from now on.</param>
    /// <param name="upper">An empty file system in memory. The overlay owns it from now on.</param>
    [SetsRequiredMembers]
    public OverlaySuperBlock(SentryKernel kernel, SuperBlock lower, SuperBlock upper)
    {
        Device = kernel.NewDevice();
        _lower = lower;
        _upper = upper;
        _internalMount = MountNamespace.NewMount(lower, MountNamespace.NewRootDentry(lower), 0);
        lower.Root.IncRef();
        upper.Root.IncRef();
        if (lower.Root.GetAttributes(out FileAttributes attributes) == Errno.None)
        {
            _ = upper.Root.SetAttributes(OverlayInode.AllOf(attributes));
        }

        _root = new OverlayDirectory(this, upper.Root, lower.Root, NumberOf(null, lower.Root));
        _inodes.Add(upper.Root, _root);
    }

    /// <summary>An overlay with an upper file system in memory of at most <paramref name="size"/> bytes (0: half of the memory).</summary>
    public static OverlaySuperBlock Create(SentryKernel kernel, SuperBlock lower, long size = 0) =>
        new(kernel, lower, new TmpfsSuperBlock(kernel, size) { Device = kernel.NewDevice() });

    public override string TypeName => "overlay";

    public override Inode Root => _root;

    /// <summary>Guards the upper tree's shape, places of inodes and the tables here. No call to the host under it but giving back fids.</summary>
    public Lock Structure { get; } = new();

    /// <summary>Where upper inodes without a name are made.</summary>
    public Inode UpperRoot => _upper.Root;

    public override Errno GetStatfs(out Statfs statfs)
    {
        Errno error = _upper.GetStatfs(out statfs);
        statfs.Type = Stat.OVERLAYFS_SUPER_MAGIC;
        return error;
    }

    public override Errno Sync() => _upper.Sync();

    public override void Release()
    {
        _upper.Release();
        _lower.Release();
    }

    /// <summary>A character device 0:0.</summary>
    public static bool IsWhiteout(Inode upper) => upper.FileType == Stat.S_IFCHR && upper.DeviceNumber == 0;

    public byte[] NewOrphanName() => System.Text.Encoding.ASCII.GetBytes($".orphan-{_nextOrphan++}\u0001");

    /// <summary>The overlay's inode, with a reference. The references of <paramref name="upper"/> and <paramref name="lower"/> pass to it. Takes Structure.</summary>
    public OverlayInode GetInode(Inode? upper, Inode? lower)
    {
        lock (Structure)
        {
            Origin? origin = null;
            if (upper is not null)
            {
                if (_origins.TryGetValue(upper, out origin))
                {
                    lower?.DecRef();
                    lower = origin.Lower;
                    lower.IncRef();
                }
            }
            else if (_linkedOrigins.TryGetValue(lower!, out origin))
            {
                upper = origin.Upper;
                upper.IncRef();
            }

            Inode key = upper ?? lower!;
            if (_inodes.TryGetValue(key, out OverlayInode? known) && known.TryIncRef())
            {
                upper?.DecRef();
                lower?.DecRef();
                return known;
            }

            ulong number = NumberOf(upper, lower);
            OverlayInode inode = key.FileType switch
            {
                Stat.S_IFDIR => new OverlayDirectory(this, upper, lower, number),
                Stat.S_IFREG => new OverlayFile(this, upper, lower, number),
                _ => new OverlayInode(this, upper, lower, number),
            };
            inode.Origin = origin;
            _inodes[key] = inode;
            return inode;
        }
    }

    /// <summary>An inode got its upper file. Lock held: Structure.</summary>
    public Origin SetUpperLocked(OverlayInode inode, Inode upper, Inode lower, ulong lowerLinks, bool dataInLower)
    {
        upper.IncRef();
        lower.IncRef();
        Origin origin = new(upper, lower) { DataInLower = dataInLower };
        _origins.Add(upper, origin);
        if (!lower.IsDirectory && lowerLinks > 1)
        {
            origin.HiddenLinks = lowerLinks - 1;
            _linkedOrigins.TryAdd(lower, origin);
        }

        if (_inodes.TryGetValue(lower, out OverlayInode? known) && known == inode)
        {
            _inodes.Remove(lower);
        }

        _inodes[upper] = inode;
        return origin;
    }

    /// <summary>The last reference on an inode is gone.</summary>
    public void Forget(OverlayInode inode, Inode? upper, Inode? lower)
    {
        Origin? dead = null;
        lock (Structure)
        {
            Inode key = upper ?? lower!;
            if (_inodes.TryGetValue(key, out OverlayInode? known) && known == inode)
            {
                _inodes.Remove(key);
            }

            // A copied-up file whose last name is gone needs no memory of where it came from.
            if (inode.Origin is Origin origin && origin.HiddenLinks == 0 && origin.Upper.GetAttributes(out FileAttributes attributes) == Errno.None
                && attributes.Links == 0 && !_inodes.ContainsKey(origin.Upper) && _origins.Remove(origin.Upper))
            {
                _linkedOrigins.Remove(origin.Lower);
                dead = origin;
            }
        }

        upper?.DecRef();
        lower?.DecRef();
        dead?.Upper.DecRef();
        dead?.Lower.DecRef();
    }

    /// <summary>st_ino of an upper inode, as it is listed in a directory.</summary>
    public ulong NumberOfUpper(Inode upper)
    {
        lock (Structure)
        {
            return NumberOf(upper, _origins.TryGetValue(upper, out Origin? origin) ? origin.Lower : null);
        }
    }

    /// <summary>A file keeps its number when it is copied up.</summary>
    private static ulong NumberOf(Inode? upper, Inode? lower)
    {
        if (lower is not null)
        {
            return lower.GetAttributes(out FileAttributes below) == Errno.None ? below.Inode : 0;
        }

        return upper!.GetAttributes(out FileAttributes above) == Errno.None ? above.Inode | UpperNumbers : 0;
    }

    /// <summary>Opens a file of one of the two file systems, apart from the tree that applications see.</summary>
    public Errno OpenReal(Inode real, byte[] name, int flags, out FileDescription? file)
    {
        real.IncRef();
        _internalMount.IncRef();
        VfsPath path = new(_internalMount, new Dentry(null, name, real));
        Errno error = real.Open(InternalCaller.Instance, path, flags, out file);
        if (error != Errno.None)
        {
            path.DecRef();
        }

        return error;
    }

    /// <summary>The overlay itself, when it reads and writes the two file systems.</summary>
    internal sealed class InternalCaller : ICaller
    {
        public static readonly InternalCaller Instance = new();

        public Credentials Credentials { get; } = new() { Permitted = ulong.MaxValue, Effective = ulong.MaxValue };

        public IUserMemory UserMemory => throw new InvalidOperationException("the overlay has no user memory");

        public FsContext? Fs => null;

        public MountNamespace MountNamespace => throw new InvalidOperationException("the overlay walks no paths");

        public int ProcessId => 0;

        public ulong FileSizeLimit => ulong.MaxValue;

        public void FileSizeExceeded()
        {
        }
    }
}

/// <summary>What an upper inode was copied from.</summary>
internal sealed class Origin(Inode upper, Inode lower)
{
    public Inode Upper { get; } = upper;

    public Inode Lower { get; } = lower;

    /// <summary>Only the attributes were copied: the bytes are still those of the lower file. Cleared under the file's data lock.</summary>
    public volatile bool DataInLower;

    /// <summary>Names in the lower tree, other than the one that was copied up, that still lead here. Guarded by the super block's Structure.</summary>
    public ulong HiddenLinks;
}
