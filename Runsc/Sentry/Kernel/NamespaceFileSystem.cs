using System.Globalization;
using System.Text;
using Runsc.Linux;
using Runsc.Sentry.Vfs;
using Mount = Runsc.Sentry.Vfs.Mount;

namespace Runsc.Sentry.Kernel;

/// <summary>nsfs: the files that stand for network namespaces. /proc/PID/ns/net leads to them; opened or mounted elsewhere they keep the namespace.</summary>
internal sealed class NamespaceFileSystem : SuperBlock
{
    private readonly Mount _mount;
    private readonly NamespaceInode _root;

    public NamespaceFileSystem()
    {
        _root = new NamespaceInode(this, null);
        _mount = MountNamespace.NewMount(this, new Dentry(null, [], _root), 0);
    }

    public override string TypeName => "nsfs";

    public override Inode Root => _root;

    /// <summary>The file of a namespace, which gets a user by it; false when that has none any more.</summary>
    public bool TryGetPath(NetworkNamespace network, out VfsPath path)
    {
        path = default;
        if (!network.TryIncUsers())
        {
            return false;
        }

        _mount.IncRef();
        path = new VfsPath(_mount, new Dentry(null, Encoding.ASCII.GetBytes(NameOf(network)), new NamespaceInode(this, network)));
        return true;
    }

    /// <summary>What readlink(2) shows: net:[N].</summary>
    public static string NameOf(NetworkNamespace network) => string.Create(CultureInfo.InvariantCulture, $"net:[{network.Number}]");

    /// <summary>The namespace that an open file stands for, or null.</summary>
    public static NetworkNamespace? NetworkOf(FileDescription file) => (file.Inode as NamespaceInode)?.Network;

    public override Errno GetStatfs(out Statfs statfs)
    {
        const int magic = 0x6e736673;
        statfs = new Statfs { Type = magic, BlockSize = 4096, FragmentSize = 4096, NameLength = 255 };
        return Errno.None;
    }

    /// <summary>One of possibly several for a namespace: device and number are the same, so programs see one file.</summary>
    private sealed class NamespaceInode(NamespaceFileSystem super, NetworkNamespace? network) : Inode(super)
    {
        public NetworkNamespace? Network => network;

        public override uint FileType => network is null ? (uint)Stat.S_IFDIR : (uint)Stat.S_IFREG;

        public override Errno GetAttributes(out FileAttributes attributes)
        {
            attributes = new FileAttributes { Mode = FileType | 0x124, Device = Super.Device, Inode = network?.Number ?? 1, Links = 1, BlockSize = 4096 };
            return Errno.None;
        }

        public override Errno Open(ICaller caller, in VfsPath path, int flags, out FileDescription? file)
        {
            file = null;
            if (network is null || (flags & Fcntl.O_ACCMODE) != Fcntl.O_RDONLY)
            {
                return network is null ? Errno.ENXIO : Errno.EACCES;
            }

            file = new NamespaceDescription(network, path, flags);
            return Errno.None;
        }

        protected override void OnRelease() => network?.DecUsers();
    }

    private sealed class NamespaceDescription(NetworkNamespace network, in VfsPath path, int flags) : FileDescription(path, flags)
    {
        public override string? ShownName => Path.Mount.Parent is null ? NameOf(network) : null;

        /// <summary>ioctl_ns(2): the type. There are no user namespaces inside, and a network's has no parent.</summary>
        public override long Ioctl(ICaller caller, uint command, ulong argument)
        {
            const uint getUserNamespace = 0xb701, getParent = 0xb702, getType = 0xb703;
            return command switch
            {
                getType => Sched.CLONE_NEWNET,
                getParent => -(long)Errno.EINVAL,
                getUserNamespace => -(long)Errno.EPERM,
                _ => base.Ioctl(caller, command, argument),
            };
        }
    }
}
