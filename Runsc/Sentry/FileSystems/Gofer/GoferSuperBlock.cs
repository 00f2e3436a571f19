using System.Collections.Generic;
using System.Threading;
using Runsc.Common;
using Runsc.Linux;
using Runsc.NineP;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.FileSystems.Gofer;

/// <summary>A tree that the gofer serves.</summary>
internal sealed class GoferSuperBlock : SuperBlock
{
    private readonly Lock _mu = new();

    // Guarded by _mu. One inode for each file, whatever its names: page cache and locks are shared.
    private readonly Dictionary<(ulong Device, ulong Number), GoferInode> _inodes = [];
    private readonly GoferInode _root;

    private GoferSuperBlock(SentryKernel kernel, GoferClient client, bool exclusive, uint rootFid, in WireAttributes attributes)
    {
        Kernel = kernel;
        Client = client;
        IsExclusive = exclusive;
        _root = new GoferInode(this, rootFid, attributes);
        _inodes.Add((attributes.Device, attributes.Inode), _root);
    }

    public SentryKernel Kernel { get; }

    public GoferClient Client { get; }

    /// <summary>Nobody else changes the tree: attributes and names are cached without asking.</summary>
    public bool IsExclusive { get; }

    public override string TypeName => "9p";

    public override string Source => "none";

    public override Inode Root => _root;

    /// <summary>Attaches to what a socket serves. Errors of the gofer.</summary>
    public static Errno Create(SentryKernel kernel, int socket, bool exclusive, out GoferSuperBlock? super)
    {
        super = null;
        GoferClient client = new(socket);
        Errno error = client.Attach(out uint fid, out WireAttributes attributes);
        if (error != Errno.None)
        {
            client.Dispose();
            return error;
        }

        super = new GoferSuperBlock(kernel, client, exclusive, fid, attributes) { Device = kernel.NewDevice() };
        return Errno.None;
    }

    /// <summary>The inode for a walked fid, with a reference; a known file's own inode, and the new fid is given back.</summary>
    public GoferInode GetInode(uint fid, in WireAttributes attributes)
    {
        GoferInode? known;
        lock (_mu)
        {
            // A number may come again for a file of another kind.
            bool isKnown = _inodes.TryGetValue((attributes.Device, attributes.Inode), out known) && known.FileType == (attributes.Mode & (uint)Stat.S_IFMT);
            if (!isKnown || !known!.TryIncRef())
            {
                GoferInode made = new(this, fid, attributes);
                _inodes[(attributes.Device, attributes.Inode)] = made;
                return made;
            }
        }

        Client.Clunk(fid);
        known.Refresh(attributes);
        return known;
    }

    public void Forget(GoferInode inode)
    {
        lock (_mu)
        {
            if (_inodes.TryGetValue(inode.Key, out GoferInode? present) && present == inode)
            {
                _inodes.Remove(inode.Key);
            }
        }
    }

    public override Errno GetStatfs(out Statfs statfs)
    {
        Errno error = Client.GetStatfs(_root.Fid, out statfs);
        if (error == Errno.None)
        {
            // V9FS_MAGIC: the numbers are the host's, the kind is ours.
            statfs.Type = 0x01021997;
        }

        return error;
    }

    public override void Release() => Log.Debug($"a gofer tree is unmounted");
}
