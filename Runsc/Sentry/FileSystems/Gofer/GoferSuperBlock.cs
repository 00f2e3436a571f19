using System.Collections.Generic;
using System.Threading;
using Runsc.Linux;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.FileSystems.Gofer;

/// <summary>How a gofer's tree is used.</summary>
/// <param name="IsExclusive">Nobody else changes the tree: names and attributes are cached without asking again.</param>
/// <param name="Source">What /proc/mounts shows.</param>
/// <param name="MapsOwners">The gofer shows other owners than its descriptors do.</param>
/// <param name="Validity">Of a tree that others change: milliseconds for which a name, and attributes other than a regular file's, are not asked for again.</param>
internal readonly record struct GoferOptions(bool IsExclusive, string Source, bool MapsOwners = false, int Validity = 0);

/// <summary>A tree of the host behind a gofer: directories, links and attributes by 9P, data of regular files through descriptors that the gofer gives.</summary>
internal sealed class GoferSuperBlock : SuperBlock
{
    private readonly Lock _mu = new();

    // Guarded by _mu. Without references: an inode leaves when its last one goes.
    private readonly Dictionary<(ulong Device, ulong Inode), GoferInode> _inodes = [];

    // Guarded by _mu. Devices of the host in the order of their appearance; the first is the root's.
    private readonly List<ulong> _devices = [];

    private readonly string _source;
    private readonly GoferInode _root;

    private GoferSuperBlock(SentryKernel kernel, GoferClient client, uint fid, in StatBuffer stat, in GoferOptions options)
    {
        Kernel = kernel;
        Client = client;
        IsExclusive = options.IsExclusive;
        MapsOwners = options.MapsOwners;
        Validity = options.Validity;
        _source = options.Source;
        _root = GetOrAdd(fid, stat, -1);
    }

    public SentryKernel Kernel { get; }

    public GoferClient Client { get; }

    /// <summary>Nobody else changes the tree.</summary>
    public bool IsExclusive { get; }

    public bool MapsOwners { get; }

    /// <summary>Milliseconds.</summary>
    public int Validity { get; }

    public override string TypeName => "9p";

    public override Inode Root => _root;

    public override string Source => _source;

    public override string ShownOptions => IsExclusive ? "trans=fd,cache=exclusive" : "trans=fd,cache=shared";

    /// <summary>Shakes hands over a socket to a gofer, whose end belongs to the super block from now on. EIO, EPROTO.</summary>
    public static Errno Connect(SentryKernel kernel, int socket, in GoferOptions options, out GoferSuperBlock? super)
    {
        GoferClient client = new(socket);
        Errno error = client.Attach(out uint fid, out StatBuffer stat);
        if (error != Errno.None)
        {
            client.Dispose();
            super = null;
            return error;
        }

        super = new GoferSuperBlock(kernel, client, fid, stat, options) { Device = kernel.NewDevice() };
        return Errno.None;
    }

    /// <summary>
    /// The inode of a file that was just looked up or made, with a reference. The fid passes to it, or is given back when the file is known already;
    /// so does the descriptor (negative: none).
    /// </summary>
    public GoferInode GetOrAdd(uint fid, in StatBuffer stat, int descriptor)
    {
        GoferInode? known;
        lock (_mu)
        {
            (ulong, ulong) key = (stat.Device, stat.Inode);
            if (!_inodes.TryGetValue(key, out known) || known.FileType != (stat.Mode & (uint)Stat.S_IFMT) || !known.TryIncRef())
            {
                known = null;
                GoferInode inode = (stat.Mode & Stat.S_IFMT) switch
                {
                    Stat.S_IFDIR => new GoferDirectory(this, fid, stat),
                    Stat.S_IFREG => new GoferFile(this, fid, stat, descriptor),
                    Stat.S_IFLNK => new GoferSymlink(this, fid, stat),
                    _ => new GoferSpecial(this, fid, stat),
                };
                _inodes[key] = inode;
                return inode;
            }
        }

        known.Refresh(stat);
        Client.ClunkLater(fid);
        if (descriptor >= 0)
        {
            GoferFile.CloseDescriptor(descriptor);
        }

        return known;
    }

    /// <summary>The inode's last reference is gone.</summary>
    public void Forget(GoferInode inode, (ulong Device, ulong Inode) key)
    {
        lock (_mu)
        {
            if (_inodes.TryGetValue(key, out GoferInode? known) && known == inode)
            {
                _inodes.Remove(key);
            }
        }
    }

    /// <summary>st_ino of a file: the host's, made different for files of other devices mounted inside the tree. Takes the super block's lock, which its own methods may hold.</summary>
    public ulong Number(ulong device, ulong inode)
    {
        lock (_mu)
        {
            int index = _devices.IndexOf(device);
            if (index < 0)
            {
                index = _devices.Count;
                _devices.Add(device);
            }

            return inode ^ ((ulong)index << 48);
        }
    }

    public override Errno GetStatfs(out Statfs statfs) => Client.StatFileSystem(_root.Fid, out statfs);

    /// <summary>Writes back what applications have changed through mappings.</summary>
    public override Errno Sync()
    {
        List<GoferFile> files = [];
        lock (_mu)
        {
            foreach (GoferInode inode in _inodes.Values)
            {
                if (inode is GoferFile file && file.TryIncRef())
                {
                    files.Add(file);
                }
            }
        }

        Errno result = Errno.None;
        foreach (GoferFile file in files)
        {
            Errno error = file.Sync(0, ulong.MaxValue);
            result = result == Errno.None ? error : result;
            file.DecRef();
        }

        return result;
    }

    public override void Release()
    {
        Sync();
        Client.Dispose();
    }
}
