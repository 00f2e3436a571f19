using System;
using Runsc.Linux;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.Sockets.Netlink;

/// <summary>Network namespaces as netlink messages name them: by a process or by an open file.</summary>
internal static class LinkNamespace
{
    /// <summary>As <see cref="Find"/>, for who puts something into the namespace: EPERM unless he may change its network.</summary>
    public static Errno FindOwn(ICaller caller, ReadOnlySpan<byte> process, ReadOnlySpan<byte> file, out NetworkNamespace? found)
    {
        Errno error = Find(caller, process, file, out found);
        if (found is not null && !caller.Credentials.HasCapability(Capability.CAP_NET_ADMIN, found.Owner))
        {
            found.DecUsers();
            found = null;
            error = Errno.EPERM;
        }

        return error;
    }

    /// <summary>The namespace, with a user for the caller of this method; null when neither attribute is there. ESRCH, EBADF, EINVAL.</summary>
    /// <param name="caller">Whose processes and descriptors are meant.</param>
    /// <param name="process">A process id, or empty.</param>
    /// <param name="file">A descriptor, or empty.</param>
    /// <param name="found">The namespace.</param>
    public static Errno Find(ICaller caller, ReadOnlySpan<byte> process, ReadOnlySpan<byte> file, out NetworkNamespace? found)
    {
        found = null;
        if (process.IsEmpty && file.IsEmpty)
        {
            return Errno.None;
        }

        if (caller is not Task task || (process.IsEmpty ? file : process).Length < sizeof(int))
        {
            return Errno.EINVAL;
        }

        return process.IsEmpty ? OfFile(task, BitConverter.ToInt32(file), out found) : OfProcess(task, BitConverter.ToInt32(process), out found);
    }

    private static Errno OfProcess(Task caller, int id, out NetworkNamespace? found)
    {
        found = null;
        lock (caller.Kernel.TaskLock)
        {
            if (caller.Kernel.FindTaskLocked(id, caller.ThreadGroup.Container) is { HasExited: false, Network: { } network } && network.TryIncUsers())
            {
                found = network;
            }
        }

        return found is null ? Errno.ESRCH : Errno.None;
    }

    private static Errno OfFile(Task caller, int descriptor, out NetworkNamespace? found)
    {
        found = null;
        if (caller.Files.Get(descriptor) is not { } file)
        {
            return Errno.EBADF;
        }

        found = (NamespaceFileSystem.NamespaceOf(file) as NetworkNamespace)?.IncUsers();
        file.DecRef();
        return found is null ? Errno.EINVAL : Errno.None;
    }
}
