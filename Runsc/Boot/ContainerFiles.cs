using System;
using System.Collections.Generic;
using System.IO;
using System.Text;
using Runsc.Common;
using Runsc.Linux;
using Runsc.Oci;
using Runsc.Sentry.FileSystems.Tmpfs;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Vfs;

namespace Runsc.Boot;

/// <summary>What a specification says of single files of a container: devices, sysctls, masked and read-only paths.</summary>
internal sealed class ContainerFiles(SentryKernel kernel, BuilderCaller caller, MountNamespace mounts)
{
    private const uint DirectoryMode = (uint)Stat.S_IFDIR | 0x1ed;

    /// <summary>The working directory, if it is not there, as runc makes it; it belongs to the process's user.</summary>
    public void MakeWorkingDirectory(string path, UserSpec? user)
    {
        byte[] text = Encoding.UTF8.GetBytes(Path.GetFullPath(path));
        if (caller.Resolve(text, out VfsPath there) == Errno.None)
        {
            there.DecRef();
            return;
        }

        VfsPath root = mounts.GetRootPath();
        for (int slash = 1; slash <= text.Length; slash++)
        {
            if (slash < text.Length && text[slash] != (byte)'/')
            {
                continue;
            }

            if (VirtualFileSystem.Create(caller, root, text.AsSpan(0, slash), DirectoryMode, 0, out VfsPath made) == Errno.None)
            {
                if (slash == text.Length && user is not null)
                {
                    AttributeChange owner = new() { Mask = AttributeMask.Uid | AttributeMask.Gid, Uid = user.Uid, Gid = user.Gid };
                    _ = made.Dentry.Inode!.SetAttributes(owner);
                }

                made.DecRef();
            }
        }

        // What could not be made is reported when the process wants to go there.
        root.DecRef();
    }

    /// <summary>
    /// Nodes of linux.devices. All are made; behind those that the application kernel does not drive there is nothing, and open(2) fails with ENXIO.
    /// </summary>
    public void MakeDevices(List<DeviceSpec> devices)
    {
        foreach (DeviceSpec device in devices)
        {
            byte[] path = Encoding.UTF8.GetBytes(Path.GetFullPath(device.Path!));
            uint type = device.Type switch { "b" => (uint)Stat.S_IFBLK, "p" => (uint)Stat.S_IFIFO, _ => (uint)Stat.S_IFCHR };
            uint mode = (device.FileMode ?? 0x1b6) & 0xfff;
            VfsPath root = mounts.GetRootPath();
            MakeParents(root, path);
            ulong number = type == (uint)Stat.S_IFIFO ? 0 : SpecialFiles.DeviceNumber(checked((uint)device.Major), checked((uint)device.Minor));
            Errno error = VirtualFileSystem.Create(caller, root, path, type | mode, number, out VfsPath made);
            if (error == Errno.EEXIST)
            {
                error = caller.Resolve(path, out made);
                if (error == Errno.None && (made.Dentry.Inode!.FileType != type || made.Dentry.Inode.DeviceNumber != number))
                {
                    made.DecRef();
                    throw new RunscException($"linux.devices: {device.Path} is there already and is something else");
                }
            }

            root.DecRef();
            if (error != Errno.None)
            {
                throw new RunscException($"linux.devices: cannot make {device.Path}: {ErrorText.Of(error)}");
            }

            AttributeChange change = new() { Mask = AttributeMask.Uid | AttributeMask.Gid | AttributeMask.Mode, Uid = device.Uid ?? 0, Gid = device.Gid ?? 0, Mode = mode };
            _ = made.Dentry.Inode!.SetAttributes(change);
            made.DecRef();
        }
    }

    private void MakeParents(in VfsPath root, ReadOnlySpan<byte> path)
    {
        for (int slash = 1; slash < path.Length; slash++)
        {
            if (path[slash] == (byte)'/' && VirtualFileSystem.Create(caller, root, path[..slash], DirectoryMode, 0, out VfsPath made) == Errno.None)
            {
                made.DecRef();
            }
        }
    }

    /// <summary>Writes linux.sysctl below /proc/sys. Values of the network that this kernel does not have are not missed.</summary>
    public void SetSysctls(Dictionary<string, string> values)
    {
        foreach ((string name, string value) in values)
        {
            byte[] path = Encoding.UTF8.GetBytes("/proc/sys/" + (name.Contains('/', StringComparison.Ordinal) ? name : name.Replace('.', '/')));
            Errno error = Write(path, Encoding.UTF8.GetBytes(value));
            if (error == Errno.None)
            {
                continue;
            }

            if (!name.StartsWith("net.", StringComparison.Ordinal) && !name.StartsWith("net/", StringComparison.Ordinal))
            {
                throw new RunscException($"linux.sysctl: cannot set {name} to \"{value}\": {ErrorText.Of(error)}");
            }

            Log.Warning($"linux.sysctl: {name} = {value} has no effect: {ErrorText.Of(error)}");
        }
    }

    private Errno Write(byte[] path, byte[] text)
    {
        VfsPath root = mounts.GetRootPath();
        Errno error = kernel.Vfs.Open(caller, root, path, Fcntl.O_WRONLY, 0, 0, out FileDescription? file);
        root.DecRef();
        if (error != Errno.None)
        {
            return error;
        }

        IoBuffer buffer = new(text);
        long n = file!.Write(caller, ref buffer);
        file.DecRef();
        return n < 0 ? (Errno)(-n) : Errno.None;
    }

    /// <summary>An empty read-only directory over a directory, /dev/null over a file. What is not there needs no mask.</summary>
    public void Mask(string path)
    {
        if (caller.Resolve(Encoding.UTF8.GetBytes(Path.GetFullPath(path)), out VfsPath place) != Errno.None)
        {
            return;
        }

        Errno error;
        if (place.Dentry.Inode!.IsDirectory)
        {
            TmpfsSuperBlock empty = new(kernel, 4096, mode: 0x16d) { Device = kernel.NewDevice() };
            error = mounts.Attach(MountNamespace.NewMount(empty, MountNamespace.NewRootDentry(empty), Linux.Mount.MS_RDONLY), place);
        }
        else
        {
            error = caller.Resolve("/dev/null"u8, out VfsPath nothing);
            if (error == Errno.None)
            {
                error = Bind(nothing, place, 0);
                nothing.DecRef();
            }
        }

        place.DecRef();
        if (error != Errno.None)
        {
            throw new RunscException($"linux.maskedPaths: cannot mask {path}: {ErrorText.Of(error)}");
        }
    }

    /// <summary>The same again over itself, read-only.</summary>
    public void MakeReadOnly(string path)
    {
        if (caller.Resolve(Encoding.UTF8.GetBytes(Path.GetFullPath(path)), out VfsPath place) != Errno.None)
        {
            return;
        }

        Errno error = Bind(place, place, Linux.Mount.MS_RDONLY);
        place.DecRef();
        if (error != Errno.None)
        {
            throw new RunscException($"linux.readonlyPaths: cannot protect {path}: {ErrorText.Of(error)}");
        }
    }

    private Errno Bind(in VfsPath source, in VfsPath place, ulong flags)
    {
        source.Dentry.IncRef();
        return mounts.Attach(MountNamespace.NewMount(source.Mount.Super, source.Dentry, source.Mount.Flags | flags), place);
    }
}
