using System.Text;
using System.Threading;
using Runsc.Linux;

namespace Runsc.Sentry.Vfs;

/// <summary>The home of files without a name: pipes, sockets, eventfd, epoll and the like. Each has an inode and a dentry of its own.</summary>
internal sealed class AnonymousFileSystem : SuperBlock
{
    private readonly Mount _mount;
    private readonly AnonymousInode _root;
    private long _nextInode;

    public AnonymousFileSystem()
    {
        _root = new AnonymousInode(this, 1, (uint)Stat.S_IFDIR | 0x1c0);
        _mount = MountNamespace.NewMount(this, new Dentry(null, [], _root), 0);
    }

    public override string TypeName => "anon_inodefs";

    public override Inode Root => _root;

    /// <summary>A path for a new nameless file. "pipe:" and "socket:" names get their inode number in brackets.</summary>
    public VfsPath NewPath(string name, uint mode)
    {
        ulong number = (ulong)Interlocked.Increment(ref _nextInode) + 1;
        if (name.EndsWith(':'))
        {
            name = $"{name}[{number}]";
        }

        AnonymousInode inode = new(this, number, mode);
        _mount.IncRef();
        return new VfsPath(_mount, new Dentry(null, Encoding.ASCII.GetBytes(name), inode));
    }

    public override Errno GetStatfs(out Statfs statfs)
    {
        statfs = new Statfs { Type = Stat.ANON_INODE_FS_MAGIC, BlockSize = 4096, FragmentSize = 4096, NameLength = 255 };
        return Errno.None;
    }

    private sealed class AnonymousInode(AnonymousFileSystem super, ulong number, uint mode) : Inode(super)
    {
        public override uint FileType => mode & (uint)Stat.S_IFMT;

        public override Errno GetAttributes(out FileAttributes attributes)
        {
            attributes = new FileAttributes { Mode = mode, Device = Super.Device, Inode = number, Links = 1, BlockSize = 4096 };
            return Errno.None;
        }

        public override Errno Open(ICaller caller, in VfsPath path, int flags, out FileDescription? file)
        {
            file = null;
            return Errno.ENXIO;
        }
    }
}
