using System;
using System.Buffers.Binary;
using System.Collections.Generic;
using System.Text;
using Runsc.Common;
using Runsc.Host.Processes;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.Oci;

namespace Runsc.Container.Namespaces;

/// <summary>
/// Trees of the host for a container as mounts of their own (open_tree(2)), and such whose owners the kernel maps (mount_setattr(2)): for containers with a user
/// namespace, whose gofer cannot name the owners on the file system. Without one the gofer maps them itself.
/// </summary>
internal static class TreeMount
{
    private const uint OPEN_TREE_CLONE = 1;
    private const ulong MOUNT_ATTR_IDMAP = 0x00100000;

    // struct mount_attr: set, cleared, propagation, user namespace.
    private const int AttributesSize = 32;

    /// <summary>
    /// The root of a tree, as a mount of its own: with all that is mounted below, which would not outlive the old root of the gofer; or without,
    /// where the tree is not recursive. What the host mounts later is not in it. A descriptor, close-on-exec.
    /// </summary>
    /// <exception cref="RunscException">One line for the user.</exception>
    public static int OpenTree(string path, bool recursive)
    {
        int plain = HostFile.OpenAt(Fcntl.AT_FDCWD, [.. Encoding.UTF8.GetBytes(path), 0], Fcntl.O_PATH);
        if (plain < 0)
        {
            throw new RunscException($"cannot open {path}: errno {-plain}");
        }

        if (HostFile.Stat(plain, out StatBuffer stat) == 0 && (stat.Mode & Stat.S_IFMT) != Stat.S_IFDIR)
        {
            return plain;
        }

        int fd = Clone(path, recursive);
        if (fd == -(int)Errno.ENOSYS && recursive)
        {
            // Before Linux 5.2.
            return plain;
        }

        _ = HostFile.Close(plain);
        return fd >= 0 ? fd
            : fd == -(int)Errno.EINVAL ? throw new RunscException($"mounts: source {path}: this user may not bind it without what is mounted below (rbind is possible)")
            : throw new RunscException($"cannot bind {path}: errno {-fd}");
    }

    /// <summary>A tree with all that is mounted below, as a mount that is nowhere: a descriptor, close-on-exec; null where the host cannot.</summary>
    public static int? TryClone(string path) => Clone(path, recursive: true) is >= 0 and int tree ? tree : null;

    /// <summary>A tree as a mount that is nowhere, and that nothing reaches: a descriptor, close-on-exec, or −errno.</summary>
    /// <param name="path">Its root.</param>
    /// <param name="recursive">With what is mounted below.</param>
    private static int Clone(string path, bool recursive)
    {
        const uint flags = OPEN_TREE_CLONE | (uint)Fcntl.O_CLOEXEC;
        int tree = HostFile.OpenTree([.. Encoding.UTF8.GetBytes(path), 0], recursive ? flags | (uint)Fcntl.AT_RECURSIVE : flags);
        if (tree >= 0)
        {
            // Before Linux 5.12 it stays what its source is.
            byte[] attributes = new byte[AttributesSize];
            BinaryPrimitives.WriteUInt64LittleEndian(attributes.AsSpan(16), Mount.MS_PRIVATE);
            _ = HostFile.SetMountAttributes(tree, Fcntl.AT_EMPTY_PATH | (recursive ? Fcntl.AT_RECURSIVE : 0), attributes);
        }

        return tree;
    }

    /// <summary>A tree with mapped ids: a descriptor, close-on-exec.</summary>
    /// <param name="path">Its root.</param>
    /// <param name="recursive">With what is mounted below.</param>
    /// <param name="mapsBelow">What is mounted below has mapped ids, too.</param>
    /// <param name="users">From the file system's (container) to the mount's (host).</param>
    /// <param name="groups">The same for groups.</param>
    /// <exception cref="RunscException">The host cannot.</exception>
    public static int OpenMapped(string path, bool recursive, bool mapsBelow, IReadOnlyList<IdMappingSpec> users, IReadOnlyList<IdMappingSpec> groups)
    {
        int tree = Clone(path, recursive);
        if (tree < 0)
        {
            throw new RunscException($"cannot clone the mount at {path}: errno {-tree}");
        }

        int space = -1;
        try
        {
            space = MakeUserNamespace(users, groups);
            byte[] attributes = new byte[AttributesSize];
            BinaryPrimitives.WriteUInt64LittleEndian(attributes, MOUNT_ATTR_IDMAP);
            BinaryPrimitives.WriteUInt64LittleEndian(attributes.AsSpan(24), (ulong)space);
            int result = HostFile.SetMountAttributes(tree, Fcntl.AT_EMPTY_PATH | (mapsBelow ? Fcntl.AT_RECURSIVE : 0), attributes);
            return result >= 0 ? tree : throw new RunscException($"the file system at {path} cannot have mapped ids: errno {-result}");
        }
        catch
        {
            _ = HostFile.Close(tree);
            throw;
        }
        finally
        {
            _ = space >= 0 ? HostFile.Close(space) : 0;
        }
    }

    /// <summary>A user namespace with these maps, which a process must have made.</summary>
    private static int MakeUserNamespace(IReadOnlyList<IdMappingSpec> users, IReadOnlyList<IdMappingSpec> groups)
    {
        int result = HostPacketSocket.Pair(out int one, out int other);
        if (result < 0)
        {
            throw new RunscException($"cannot make a socket pair: errno {-result}");
        }

        int program = HolderProgram.Open(other), process = -1;
        try
        {
            _ = HostFile.SetCloseOnExec(other, false);
            process = program < 0 ? program : HostProcess.Start(program, ["runsc-ids"], [], HostProcess.CLONE_NEWUSER);
            if (process < 0)
            {
                throw new RunscException($"cannot make a user namespace for mapped ids: errno {-process}");
            }

            NamespacePlan.WriteMap($"/proc/{process}/uid_map", users);
            NamespacePlan.WriteMap($"/proc/{process}/gid_map", groups);
            return NamespacePlan.Open($"/proc/{process}/ns/user");
        }
        finally
        {
            // It ends when nobody has the other end.
            foreach (int fd in (int[])[one, other, program])
            {
                _ = fd >= 0 ? HostFile.Close(fd) : 0;
            }

            _ = process > 0 ? HostProcess.Wait(process, out _) : 0;
        }
    }
}
