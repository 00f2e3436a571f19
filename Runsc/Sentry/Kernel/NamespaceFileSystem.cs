using System;
using System.Globalization;
using System.Text;
using Runsc.Linux;
using Runsc.Sentry.Auth;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Vfs;
using Mount = Runsc.Sentry.Vfs.Mount;

namespace Runsc.Sentry.Kernel;

/// <summary>nsfs: the files that stand for namespaces. The links in /proc/PID/ns lead to them; opened or mounted elsewhere they keep the namespace.</summary>
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
    public bool TryGetPath(Namespace space, out VfsPath path)
    {
        path = default;
        if (!space.TryIncUsers())
        {
            return false;
        }

        _mount.IncRef();
        path = new VfsPath(_mount, new Dentry(null, Encoding.ASCII.GetBytes(NameOf(space)), new NamespaceInode(this, space)));
        return true;
    }

    /// <summary>What readlink(2) shows: net:[N].</summary>
    public static string NameOf(Namespace space) => string.Create(CultureInfo.InvariantCulture, $"{space.Kind}:[{space.Number}]");

    /// <summary>The namespace that an open file stands for, or null.</summary>
    public static Namespace? NamespaceOf(FileDescription file) => (file.Inode as NamespaceInode)?.Space;

    public override Errno GetStatfs(out Statfs statfs)
    {
        const int magic = 0x6e736673;
        statfs = new Statfs { Type = magic, BlockSize = 4096, FragmentSize = 4096, NameLength = 255 };
        return Errno.None;
    }

    /// <summary>One of possibly several for a namespace: device and number are the same, so programs see one file.</summary>
    private sealed class NamespaceInode(NamespaceFileSystem super, Namespace? space) : Inode(super)
    {
        public Namespace? Space => space;

        public override uint FileType => space is null ? (uint)Stat.S_IFDIR : (uint)Stat.S_IFREG;

        public override Errno GetAttributes(out FileAttributes attributes)
        {
            attributes = new FileAttributes { Mode = FileType | 0x124, Device = Super.Device, Inode = space?.Number ?? 1, Links = 1, BlockSize = 4096 };
            return Errno.None;
        }

        public override Errno Open(ICaller caller, in VfsPath path, int flags, out FileDescription? file)
        {
            file = null;
            if (space is null || (flags & Fcntl.O_ACCMODE) != Fcntl.O_RDONLY)
            {
                return space is null ? Errno.ENXIO : Errno.EACCES;
            }

            file = new NamespaceDescription(space, path, flags);
            return Errno.None;
        }

        protected override void OnRelease() => space?.DecUsers();
    }

    private sealed class NamespaceDescription(Namespace space, in VfsPath path, int flags) : FileDescription(path, flags)
    {
        public override string? ShownName => Path.Mount.Parent is null ? NameOf(space) : null;

        /// <summary>ioctl_ns(2).</summary>
        public override long Ioctl(ICaller caller, uint command, ulong argument)
        {
            const uint getUserNamespace = 0xb701, getParent = 0xb702, getType = 0xb703, getOwnerUid = 0xb704;
            switch (command)
            {
                case getType:
                    return space.Type;
                case getParent when space.Type is not (Sched.CLONE_NEWUSER or Sched.CLONE_NEWPID):
                case getOwnerUid when space is not UserNamespace:
                    return -(long)Errno.EINVAL;
                case getParent when space is not UserNamespace:
                    return -(long)Errno.EPERM;
                case getUserNamespace or getParent:
                    return OpenOwner(caller);
                case getOwnerUid:
                    uint uid = caller.Credentials.UserNamespace.Uids.Shown(((UserNamespace)space).OwnerUid);
                    return caller.UserMemory.CopyOut(argument, BitConverter.GetBytes(uid)) == sizeof(uint) ? 0 : -(long)Errno.EFAULT;
                default:
                    return base.Ioctl(caller, command, argument);
            }
        }

        // Of a user namespace, the parent. What is not below the caller's own is not shown.
        private long OpenOwner(ICaller caller)
        {
            if (caller is not Task task || space.Owner is not { } owner || !owner.IsWithin(task.Credentials.UserNamespace))
            {
                return -(long)Errno.EPERM;
            }

            if (!task.Kernel.NamespaceFiles.TryGetPath(owner, out VfsPath path))
            {
                return -(long)Errno.EPERM;
            }

            NamespaceDescription file = new(owner, path, Fcntl.O_RDONLY);
            int descriptor = task.Files.Add(file, closeOnExec: true, task.DescriptorLimit);
            if (descriptor < 0)
            {
                file.DecRef();
            }

            return descriptor;
        }
    }
}
