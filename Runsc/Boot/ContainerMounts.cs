using System;
using System.Collections.Generic;
using System.IO;
using System.Text;
using Runsc.Common;
using Runsc.Control;
using Runsc.Linux;
using Runsc.Oci;
using Runsc.Sentry.FileSystems.Gofer;
using Runsc.Sentry.FileSystems.Mqueue;
using Runsc.Sentry.FileSystems.Overlay;
using Runsc.Sentry.FileSystems.Proc;
using Runsc.Sentry.FileSystems.Tmpfs;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Kernel.Ipc;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Vfs;

namespace Runsc.Boot;

/// <summary>Builds a container's mounts from its specification.</summary>
internal sealed class ContainerMounts
{
    private const uint DirectoryMode = (uint)Stat.S_IFDIR | 0x1ed, FileMode = (uint)Stat.S_IFREG | 0x1a4;

    private readonly SentryKernel _kernel;
    private readonly StartInfo _info;
    private readonly string _container;
    private readonly MountNamespace _mounts;
    private readonly BuilderCaller _caller;
    private readonly IpcNamespace _ipc;

    private ContainerMounts(SentryKernel kernel, StartInfo info, string container, SuperBlock root, UtsNamespace uts, IpcNamespace ipc)
    {
        _kernel = kernel;
        _info = info;
        _container = container;

        // Read-only at the end: mount points are made first.
        _mounts = new MountNamespace(root, 0);
        _caller = new BuilderCaller(_mounts, uts, ipc);
        _ipc = ipc;
    }

    /// <exception cref="RunscException">A mount cannot be made.</exception>
    public static MountNamespace Build(SentryKernel kernel, StartInfo info, string container, UtsNamespace uts, IpcNamespace ipc)
    {
        SuperBlock root = OpenTree(kernel, info, info.Trees[0], isRoot: true);
        ContainerMounts build = new(kernel, info, container, root, uts, ipc);
        build.AttachAll();
        build.Finish();
        return build._mounts;
    }

    private void AttachAll()
    {
        Spec spec = _info.Spec!;
        HashSet<string> done = [];
        for (int i = 0; i < (spec.Mounts?.Count ?? 0); i++)
        {
            MountSpec mount = spec.Mounts![i];
            MountOptions options = MountOptions.Parse(mount);
            SuperBlock? super = MakeSuper(mount, options, i);
            if (super is not null && !options.IsBind && !string.IsNullOrEmpty(mount.Source))
            {
                super.GivenSource = mount.Source;
            }

            if (super is null)
            {
                // As a kernel without that file system, but that the container still starts: mqueue and cgroup are in every specification.
                Log.Warning($"mount of type {mount.Type} at {mount.Destination} is left out");
                continue;
            }

            Attach(super, mount.Destination!, options.Flags, options.CopiesUp);
            done.Add(Path.GetFullPath("/" + mount.Destination).TrimEnd('/'));
        }

        // What every program expects to be there.
        foreach ((string type, string place) in new[] { ("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev") })
        {
            if (!done.Contains(place) && Make(type, "") is SuperBlock super)
            {
                Attach(super, place, 0, copiesUp: false);
            }
        }

        foreach ((string type, string place, string options) in new[] { ("devpts", "/dev/pts", "gid=5,mode=620,ptmxmode=666"), ("tmpfs", "/dev/shm", "mode=1777") })
        {
            if (!done.Contains(place) && Make(type, options) is SuperBlock super)
            {
                Attach(super, place, type == "devpts" ? Linux.Mount.MS_NOSUID | (ulong)Linux.Mount.MS_NOEXEC : Linux.Mount.MS_NOSUID | (ulong)Linux.Mount.MS_NODEV, copiesUp: false);
            }
        }

        if (_info.Spec!.Process?.Terminal == true)
        {
            ConsoleSetup.MakeNode(_caller, _mounts);
        }
    }

    private void Finish()
    {
        Spec spec = _info.Spec!;
        ContainerFiles files = new(_kernel, _caller, _mounts);
        files.MakeWorkingDirectory(spec.Process!.Cwd!, spec.Process.User);
        files.MakeDevices(spec.Linux?.Devices ?? []);
        files.SetSysctls(spec.Linux?.Sysctl ?? []);
        foreach (string path in spec.Linux?.MaskedPaths ?? [])
        {
            files.Mask(path);
        }

        foreach (string path in spec.Linux?.ReadonlyPaths ?? [])
        {
            files.MakeReadOnly(path);
        }

        if (spec.Root!.Readonly)
        {
            _mounts.Root.Flags |= Linux.Mount.MS_RDONLY;
        }
    }

    private SuperBlock? MakeSuper(MountSpec mount, MountOptions options, int index)
    {
        TreeInfo? tree = _info.Trees.Find(candidate => candidate.Mount == index);
        if (tree is not null)
        {
            SuperBlock bound = OpenTree(_kernel, _info, tree, isRoot: false);
            bound.RootPath = tree.Path == "/" ? "" : tree.Path;
            return bound;
        }

        string type = mount.Type ?? "";
        if (type == "tmpfs" && mount.Destination!.TrimEnd('/') == "/dev")
        {
            type = "devtmpfs";
        }

        return Make(type, type is "tmpfs" or "devpts" ? options.Data : "");
    }

    private SuperBlock? Make(string type, string options)
    {
        if (type == "proc")
        {
            // Each container has process ids of its own.
            return ProcFileSystem.Create(_kernel, _container);
        }

        if (type == "mqueue")
        {
            return MqueueFileSystem.Of(_kernel, _ipc).Super;
        }

        if (!_kernel.FileSystemTypes.TryGetValue(type, out FileSystemMaker? maker))
        {
            return null;
        }

        Errno error = maker(_kernel, _caller, default, options, out SuperBlock? super);
        return error == Errno.None ? super : throw new RunscException($"cannot make a file system of type {type} with options \"{options}\": {ErrorText.Of(error)}");
    }

    /// <summary>Milliseconds; less than any command takes that would look for the change.</summary>
    private const int RootValidity = 50;

    private static SuperBlock OpenTree(SentryKernel kernel, StartInfo info, TreeInfo tree, bool isRoot)
    {
        bool exclusive = isRoot && info.Config.IsRootExclusive;

        // Volumes are shared with other containers, which may tell each other of files by other ways; of a root only tools of the host change something.
        int validity = isRoot && info.Config.FileAccess.Length == 0 ? RootValidity : 0;
        Errno error = GoferSuperBlock.Connect(kernel, tree.Socket, new GoferOptions(exclusive, "none", tree.UserIds.Count > 0, validity), out GoferSuperBlock? super);
        if (error != Errno.None)
        {
            throw new RunscException($"the gofer does not serve {tree.Path}: {ErrorText.Of(error)}");
        }

        bool overlaid = isRoot ? info.Config.Overlay2 != "none" : info.Config.Overlay2.StartsWith("all:", StringComparison.Ordinal);
        return overlaid && super!.Root.IsDirectory
            ? new OverlaySuperBlock(kernel, super, new TmpfsSuperBlock(kernel, (long)kernel.Memory.Limit) { Device = kernel.NewDevice() })
            : super!;
    }

    private void Attach(SuperBlock super, string destination, ulong flags, bool copiesUp)
    {
        bool isFile = !super.Root.IsDirectory;
        Errno error = MakePlace(destination, isFile, out VfsPath place);
        if (error == Errno.None)
        {
            Sentry.Vfs.Mount mount = MountNamespace.NewMount(super, MountNamespace.NewRootDentry(super), copiesUp ? 0 : flags);
            if (copiesUp)
            {
                error = TreeCopy.Copy(_caller, place, new VfsPath(mount, mount.Root));
                mount.Flags = flags;
            }

            error = error == Errno.None ? _mounts.Attach(mount, place) : error;
            place.DecRef();
        }

        if (error != Errno.None)
        {
            throw new RunscException($"cannot mount at {destination}: {ErrorText.Of(error)}");
        }

        Log.Debug($"mounted {super.TypeName} at {destination}");
    }

    /// <summary>The mount point, made if it is not there. Links in its path are followed inside the container's root.</summary>
    private Errno MakePlace(string destination, bool isFile, out VfsPath place)
    {
        byte[] path = Encoding.UTF8.GetBytes(Path.GetFullPath("/" + destination));
        Errno error = _caller.Resolve(path, out place);
        if (error != Errno.ENOENT)
        {
            return error;
        }

        VfsPath root = _mounts.GetRootPath();
        for (int slash = 1; slash <= path.Length; slash++)
        {
            if (slash < path.Length && path[slash] != (byte)'/')
            {
                continue;
            }

            bool last = slash == path.Length;
            Errno made = VirtualFileSystem.Create(_caller, root, path.AsSpan(0, slash), last && isFile ? FileMode : DirectoryMode, 0, out VfsPath step);
            if (made == Errno.None)
            {
                step.DecRef();
            }
            else if (made != Errno.EEXIST)
            {
                root.DecRef();
                return made;
            }
        }

        root.DecRef();
        return _caller.Resolve(path, out place);
    }
}
