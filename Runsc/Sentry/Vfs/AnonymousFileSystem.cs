using System;
using System.Text;
using System.Threading;
using Runsc.Linux;
using Runsc.Sentry.Auth;

namespace Runsc.Sentry.Vfs;

/// <summary>The home of files without a name: pipes, sockets, eventfd, epoll and the like. Each has an inode and a dentry of its own.</summary>
internal sealed class AnonymousFileSystem : SuperBlock
{
    private readonly Mount _mount;
    private readonly AnonymousInode _root;
    private long _nextInode;

    public AnonymousFileSystem()
    {
        _root = new AnonymousInode(this, 1, (uint)Stat.S_IFDIR | 0x1c0, 0, 0);
        _mount = MountNamespace.NewMount(this, new Dentry(null, [], _root), 0);
    }

    public override string TypeName => "anon_inodefs";

    public override Inode Root => _root;

    /// <summary>A path for a new nameless file. "pipe:" and "socket:" names get their inode number in brackets.</summary>
    /// <param name="name">What /proc/PID/fd shows.</param>
    /// <param name="mode">Type and permission bits.</param>
    /// <param name="owner">Whose it is; null: root's.</param>
    public VfsPath NewPath(string name, uint mode, Credentials? owner = null)
    {
        ulong number = (ulong)Interlocked.Increment(ref _nextInode) + 1;
        if (name.EndsWith(':'))
        {
            name = $"{name}[{number}]";
        }

        AnonymousInode inode = new(this, number, mode, owner?.FsUid ?? 0, owner?.FsGid ?? 0);
        _mount.IncRef();
        return new VfsPath(_mount, new Dentry(null, Encoding.ASCII.GetBytes(name), inode));
    }

    public override Errno GetStatfs(out Statfs statfs)
    {
        statfs = new Statfs { Type = Stat.ANON_INODE_FS_MAGIC, BlockSize = 4096, FragmentSize = 4096, NameLength = 255 };
        return Errno.None;
    }

    private sealed class AnonymousInode(AnonymousFileSystem super, ulong number, uint mode, uint uid, uint gid) : Inode(super)
    {
        private readonly Lock _mu = new();
        private readonly FileTime _created = Now();

        // Guarded by _mu.
        private uint _mode = mode;
        private uint _uid = uid;
        private uint _gid = gid;

        public override uint FileType => Volatile.Read(ref _mode) & (uint)Stat.S_IFMT;

        public override Errno GetAttributes(out FileAttributes attributes)
        {
            lock (_mu)
            {
                attributes = new FileAttributes
                {
                    Mode = _mode,
                    Uid = _uid,
                    Gid = _gid,
                    Device = Super.Device,
                    Inode = number,
                    Links = 1,
                    BlockSize = 4096,
                    AccessTime = _created,
                    ModifyTime = _created,
                    ChangeTime = _created,
                };
            }

            return Errno.None;
        }

        /// <summary>Mode and owner can be changed, by fchmod(2) on a pipe for one.</summary>
        public override Errno SetAttributes(in AttributeChange change)
        {
            lock (_mu)
            {
                _mode = (change.Mask & AttributeMask.Mode) != 0 ? (_mode & (uint)Stat.S_IFMT) | (change.Mode & 0xfff) : _mode;
                _uid = (change.Mask & AttributeMask.Uid) != 0 ? change.Uid : _uid;
                _gid = (change.Mask & AttributeMask.Gid) != 0 ? change.Gid : _gid;
            }

            return Errno.None;
        }

        private static FileTime Now()
        {
            long ticks = (DateTime.UtcNow - DateTime.UnixEpoch).Ticks;
            return new FileTime(ticks / TimeSpan.TicksPerSecond, (uint)(ticks % TimeSpan.TicksPerSecond) * 100);
        }

        public override Errno Open(ICaller caller, in VfsPath path, int flags, out FileDescription? file)
        {
            file = null;
            return Errno.ENXIO;
        }
    }
}
