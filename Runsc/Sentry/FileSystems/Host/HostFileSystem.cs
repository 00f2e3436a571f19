using System.Threading;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.Sentry.Vfs;
using Runsc.Sentry.Waiting;

namespace Runsc.Sentry.FileSystems.Host;

/// <summary>The home of descriptors that come from the host. They have no names.</summary>
internal sealed class HostFileSystem : SuperBlock
{
    private readonly HostInode _root;
    private readonly Vfs.Mount _mount;
    private readonly HostWatcher _watcher = new();

    public HostFileSystem()
    {
        _root = new HostInode(this, -1, new StatBuffer { Mode = (uint)Stat.S_IFDIR | 0x1c0 });
        _mount = MountNamespace.NewMount(this, new Dentry(null, [], _root), 0);
    }

    public override string TypeName => "host";

    public override Inode Root => _root;

    /// <summary>A description for a descriptor of the host, which it owns from now on. Errors of fstat(2) and fcntl(2).</summary>
    public Errno Open(int fd, out FileDescription? file)
    {
        file = null;
        int result = HostFile.Stat(fd, out StatBuffer stat);
        int flags = result < 0 ? result : HostFile.GetFlags(fd);
        if (flags < 0)
        {
            return (Errno)(-flags);
        }

        uint type = stat.Mode & (uint)Stat.S_IFMT;
        string name = type switch
        {
            Stat.S_IFIFO => $"pipe:[{stat.Inode}]",
            Stat.S_IFSOCK => $"socket:[{stat.Inode}]",
            _ => $"host:[{stat.Inode}]",
        };
        HostInode inode = new(this, fd, stat);
        _mount.IncRef();
        VfsPath path = new(_mount, new Dentry(null, System.Text.Encoding.ASCII.GetBytes(name), inode));
        file = new HostFileDescription(_watcher, fd, path, flags & (Fcntl.O_ACCMODE | Fcntl.O_APPEND | Fcntl.O_DIRECT | Fcntl.O_SYNC));
        return Errno.None;
    }

    public override Errno GetStatfs(out Statfs statfs)
    {
        statfs = new Statfs { Type = Stat.ANON_INODE_FS_MAGIC, BlockSize = 4096, FragmentSize = 4096, NameLength = 255 };
        return Errno.None;
    }

    private sealed class HostInode(HostFileSystem super, int fd, in StatBuffer first) : Inode(super)
    {
        private readonly StatBuffer _first = first;
        private readonly Lock _mu = new();

        // Guarded by _mu: chown and chmod by the container stay its own affair.
        private uint? _mode;
        private uint? _uid;
        private uint? _gid;

        public override uint FileType => _first.Mode & (uint)Stat.S_IFMT;

        public override ulong DeviceNumber => _first.DeviceNumber;

        public override Errno GetAttributes(out FileAttributes attributes)
        {
            StatBuffer stat = _first;
            if (fd >= 0 && HostFile.Stat(fd, out StatBuffer now) == 0)
            {
                stat = now;
            }

            lock (_mu)
            {
                attributes = new FileAttributes
                {
                    Mode = (stat.Mode & (uint)Stat.S_IFMT) | (_mode ?? (stat.Mode & 0xfff)),
                    Uid = _uid ?? stat.Uid,
                    Gid = _gid ?? stat.Gid,
                    Device = Super.Device,
                    Inode = stat.Inode,
                    Links = stat.Links,
                    DeviceNumber = stat.DeviceNumber,
                    Size = stat.Size,
                    Blocks = (ulong)stat.Blocks,
                    BlockSize = 4096,
                    AccessTime = new FileTime(stat.AccessTime.Seconds, (uint)stat.AccessTime.Nanoseconds),
                    ModifyTime = new FileTime(stat.ModifyTime.Seconds, (uint)stat.ModifyTime.Nanoseconds),
                    ChangeTime = new FileTime(stat.ChangeTime.Seconds, (uint)stat.ChangeTime.Nanoseconds),
                };
            }

            return Errno.None;
        }

        public override Errno SetAttributes(in AttributeChange change)
        {
            lock (_mu)
            {
                _mode = (change.Mask & AttributeMask.Mode) != 0 ? change.Mode : _mode;
                _uid = (change.Mask & AttributeMask.Uid) != 0 ? change.Uid : _uid;
                _gid = (change.Mask & AttributeMask.Gid) != 0 ? change.Gid : _gid;
                return Errno.None;
            }
        }

        /// <summary>Opening /proc/self/fd/0 again: the same file, by the same descriptor. ENXIO for a socket, as open(2) has it.</summary>
        public override Errno Open(ICaller caller, in VfsPath path, int flags, out FileDescription? file)
        {
            file = null;
            if (FileType == Stat.S_IFSOCK)
            {
                return Errno.ENXIO;
            }

            int copy = HostFile.Duplicate(fd);
            if (copy < 0)
            {
                return (Errno)(-copy);
            }

            file = new HostFileDescription(((HostFileSystem)Super)._watcher, copy, path, flags & (Fcntl.O_ACCMODE | Fcntl.O_APPEND | Fcntl.O_NONBLOCK));
            return Errno.None;
        }

        public override bool OpensItself => true;
    }
}
