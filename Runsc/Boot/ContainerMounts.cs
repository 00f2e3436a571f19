using System;
using System.Collections.Generic;
using System.IO;
using System.Text;
using Runsc.Common;
using Runsc.Control;
using Runsc.Linux;
using Runsc.Oci;
using Runsc.Sentry.Auth;
using Runsc.Sentry.FileSystems.Gofer;
using Runsc.Sentry.FileSystems.Overlay;
using Runsc.Sentry.FileSystems.Tmpfs;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Vfs;

namespace Runsc.Boot;

/// <summary>Builds a container's mounts from its specification.</summary>
internal static class ContainerMounts
{
    /// <exception cref="RunscException">A mount cannot be made.</exception>
    public static MountNamespace Build(SentryKernel kernel, StartInfo info)
    {
        Spec spec = info.Spec!;
        SuperBlock root = OpenTree(kernel, info, info.Trees[0], isRoot: true);
        MountNamespace mounts = new(root, spec.Root!.Readonly ? (ulong)Linux.Mount.MS_RDONLY : 0);
        BuilderCaller caller = new(mounts);
        HashSet<string> done = [];
        for (int i = 0; i < (spec.Mounts?.Count ?? 0); i++)
        {
            MountSpec mount = spec.Mounts![i];
            SuperBlock? super = MakeSuper(kernel, info, mount, i);
            if (super is null)
            {
                Log.Warning($"mount of type {mount.Type} at {mount.Destination} is left out");
                continue;
            }

            Attach(kernel, caller, mounts, super, mount.Destination!, ToFlags(mount.Options));
            done.Add(mount.Destination!.TrimEnd('/'));
        }

        // What every program expects to be there.
        foreach ((string type, string place) in new[] { ("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev") })
        {
            if (!done.Contains(place) && Make(kernel, type, "") is SuperBlock super)
            {
                Attach(kernel, caller, mounts, super, place, 0);
            }
        }

        foreach ((string type, string place, string options) in new[] { ("devpts", "/dev/pts", ""), ("tmpfs", "/dev/shm", "mode=1777") })
        {
            if (!done.Contains(place) && Make(kernel, type, options) is SuperBlock super)
            {
                Attach(kernel, caller, mounts, super, place, Linux.Mount.MS_NOSUID | Linux.Mount.MS_NODEV);
            }
        }

        return mounts;
    }

    private static SuperBlock? MakeSuper(SentryKernel kernel, StartInfo info, MountSpec mount, int index)
    {
        TreeInfo? tree = info.Trees.Find(candidate => candidate.Mount == index);
        if (tree is not null)
        {
            return OpenTree(kernel, info, tree, isRoot: false);
        }

        string type = mount.Type ?? "";
        if (type == "tmpfs" && mount.Destination!.TrimEnd('/') == "/dev")
        {
            type = "devtmpfs";
        }

        List<string> options = [];
        foreach (string option in mount.Options ?? [])
        {
            if (type == "tmpfs" && (option.Contains('=') || option.StartsWith("nr_", StringComparison.Ordinal)))
            {
                options.Add(option);
            }
        }

        return Make(kernel, type, string.Join(',', options));
    }

    private static SuperBlock? Make(SentryKernel kernel, string type, string options)
    {
        if (!kernel.FileSystemTypes.TryGetValue(type, out FileSystemMaker? maker))
        {
            return null;
        }

        Errno error = maker(kernel, default, options, out SuperBlock? super);
        return error == Errno.None ? super : throw new RunscException($"cannot make a file system of type {type} with options \"{options}\": {ErrorText.Of(error)}");
    }

    private static SuperBlock OpenTree(SentryKernel kernel, StartInfo info, TreeInfo tree, bool isRoot)
    {
        bool exclusive = isRoot && info.Config.FileAccess == "exclusive";
        Errno error = GoferSuperBlock.Connect(kernel, tree.Socket, new GoferOptions(exclusive, "none"), out GoferSuperBlock? super);
        if (error != Errno.None)
        {
            throw new RunscException($"the gofer does not serve {tree.Path}: {ErrorText.Of(error)}");
        }

        bool overlaid = isRoot ? info.Config.Overlay2 != "none" : info.Config.Overlay2.StartsWith("all:", StringComparison.Ordinal);
        return overlaid && super!.Root.IsDirectory
            ? new OverlaySuperBlock(kernel, super, new TmpfsSuperBlock(kernel, (long)kernel.Memory.Limit) { Device = kernel.NewDevice() })
            : super!;
    }

    private static ulong ToFlags(List<string>? options)
    {
        ulong flags = 0;
        foreach (string option in options ?? [])
        {
            flags |= option switch
            {
                "ro" => Linux.Mount.MS_RDONLY,
                "nosuid" => Linux.Mount.MS_NOSUID,
                "nodev" => Linux.Mount.MS_NODEV,
                "noexec" => Linux.Mount.MS_NOEXEC,
                "noatime" => Linux.Mount.MS_NOATIME,
                "relatime" => Linux.Mount.MS_RELATIME,
                _ => 0,
            };
        }

        return flags;
    }

    private static void Attach(SentryKernel kernel, BuilderCaller caller, MountNamespace mounts, SuperBlock super, string destination, ulong flags)
    {
        bool isFile = !super.Root.IsDirectory;
        Errno error = MakePlace(caller, mounts, destination, isFile, out VfsPath place);
        if (error == Errno.None)
        {
            error = mounts.Attach(MountNamespace.NewMount(super, MountNamespace.NewRootDentry(super), flags), place);
            place.DecRef();
        }

        if (error != Errno.None)
        {
            throw new RunscException($"cannot mount at {destination}: {ErrorText.Of(error)}");
        }

        Log.Debug($"mounted {super.TypeName} at {destination}");
    }

    /// <summary>The mount point, made if it is not there. Links in its path are followed inside the container's root.</summary>
    private static Errno MakePlace(BuilderCaller caller, MountNamespace mounts, string destination, bool isFile, out VfsPath place)
    {
        VfsPath root = mounts.GetRootPath();
        byte[] path = Encoding.UTF8.GetBytes(Path.GetFullPath("/" + destination));
        Errno error = PathWalker.Resolve(caller, root, path, WalkFlags.FollowLast, out place);
        for (int slash = 1; error == Errno.ENOENT && slash <= path.Length; slash++)
        {
            if (slash < path.Length && path[slash] != (byte)'/')
            {
                continue;
            }

            bool last = slash == path.Length;
            uint mode = last && isFile ? (uint)Stat.S_IFREG | 0x1a4 : (uint)Stat.S_IFDIR | 0x1ed;
            Errno made = VirtualFileSystem.Create(caller, root, path.AsSpan(0, slash), mode, 0, out VfsPath step);
            if (made == Errno.None)
            {
                step.DecRef();
            }
            else if (made != Errno.EEXIST)
            {
                root.DecRef();
                return made;
            }

            if (last)
            {
                error = PathWalker.Resolve(caller, root, path, WalkFlags.FollowLast, out place);
                break;
            }
        }

        root.DecRef();
        return error;
    }

    /// <summary>Root, before there is a task.</summary>
    private sealed class BuilderCaller : ICaller
    {
        public BuilderCaller(MountNamespace mounts)
        {
            MountNamespace = mounts;
            VfsPath root = mounts.GetRootPath();
            root.IncRef();
            Fs = new FsContext(root, root, 0);
        }

        public Credentials Credentials { get; } = new() { Effective = ExecCredentials.AllCapabilities, Permitted = ExecCredentials.AllCapabilities };

        public IUserMemory UserMemory => throw new InvalidOperationException("there is no application yet");

        public FsContext? Fs { get; }

        public MountNamespace MountNamespace { get; }

        public int ProcessId => 0;

        public ulong FileSizeLimit => ulong.MaxValue;

        public void FileSizeExceeded()
        {
        }
    }
}
