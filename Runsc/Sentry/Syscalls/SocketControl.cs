using System;
using System.Runtime.InteropServices;
using Runsc.Linux;
using Runsc.Sentry.Auth;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Sockets;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.Syscalls;

/// <summary>Control messages that concern the task: descriptors and credentials (unix(7), cmsg(3)).</summary>
internal static class SocketControl
{
    /// <summary>net.core.optmem_max: what one sendmsg may bring.</summary>
    public const int MaximumLength = 131_072;

    /// <summary>Checks the messages' lengths and takes in descriptors and credentials. EINVAL, EBADF, EPERM, ESRCH.</summary>
    public static Errno Parse(Task task, SocketDescription socket, ReadOnlySpan<byte> control, ref SendRequest request)
    {
        request.Control = control;
        while (control.Length >= ControlWriter.HeaderSize)
        {
            ulong length = MemoryMarshal.Read<ulong>(control);
            int level = MemoryMarshal.Read<int>(control[8..]), type = MemoryMarshal.Read<int>(control[12..]);
            if (length < ControlWriter.HeaderSize || length > (ulong)control.Length)
            {
                return Errno.EINVAL;
            }

            ReadOnlySpan<byte> data = control[ControlWriter.HeaderSize..(int)length];
            if (level == Socket.SOL_SOCKET && socket.Family is not (Socket.AF_INET or Socket.AF_INET6))
            {
                Errno error = ParseSocketLevel(task, socket, type, data, ref request);
                if (error != Errno.None)
                {
                    Release(ref request);
                    return error;
                }
            }

            control = control[Math.Min(ControlWriter.Align((int)length), control.Length)..];
        }

        return Errno.None;
    }

    private static Errno ParseSocketLevel(Task task, SocketDescription socket, int type, ReadOnlySpan<byte> data, ref SendRequest request)
    {
        switch (type)
        {
            case Socket.SCM_RIGHTS:
                return socket.PassesDescriptors ? AddDescriptors(task, data, ref request) : Errno.EINVAL;
            case Socket.SCM_CREDENTIALS:
                return AddCredentials(task, data, ref request);
            default:
                // The family may know others (SO_MARK, SO_TXTIME): a Unix socket knows none.
                return socket.PassesDescriptors ? Errno.EINVAL : Errno.None;
        }
    }

    private static Errno AddDescriptors(Task task, ReadOnlySpan<byte> data, ref SendRequest request)
    {
        ReadOnlySpan<int> numbers = MemoryMarshal.Cast<byte, int>(data);
        int before = request.Rights?.Length ?? 0;
        if (numbers.Length + before > Socket.SCM_MAX_FD)
        {
            return Errno.EINVAL;
        }

        if (numbers.IsEmpty)
        {
            return Errno.None;
        }

        FileDescription[] files = new FileDescription[before + numbers.Length];
        request.Rights?.CopyTo(files, 0);
        for (int i = 0; i < numbers.Length; i++)
        {
            if (task.Files.Get(numbers[i]) is not FileDescription file)
            {
                for (int taken = 0; taken < i; taken++)
                {
                    files[before + taken].DecRef();
                }

                return Errno.EBADF;
            }

            files[before + i] = file;
        }

        Credentials own = task.Credentials;
        bool unlimited = own.HasCapability(Capability.CAP_SYS_RESOURCE) || own.HasCapability(Capability.CAP_SYS_ADMIN);
        request.Rights = files;
        request.Limits = new FlightLimits(own.RealUid, unlimited ? ulong.MaxValue : task.DescriptorLimit);
        return Errno.None;
    }

    // What one may say that one is: see credentials(7) and unix(7).
    private static Errno AddCredentials(Task task, ReadOnlySpan<byte> data, ref SendRequest request)
    {
        if (data.Length != UserCredentials.SizeInBytes)
        {
            return Errno.EINVAL;
        }

        UserCredentials wanted = MemoryMarshal.Read<UserCredentials>(data);
        Credentials own = task.Credentials;
        wanted = new UserCredentials(wanted.ProcessId, own.UserNamespace.Uids.ToKernel(wanted.Uid), own.UserNamespace.Gids.ToKernel(wanted.Gid));
        if (wanted.Uid == IdMap.Invalid || wanted.Gid == IdMap.Invalid)
        {
            return Errno.EINVAL;
        }

        bool mayBe = (wanted.ProcessId == task.ProcessId || own.HasCapability(Capability.CAP_SYS_ADMIN))
            && (wanted.Uid == own.RealUid || wanted.Uid == own.EffectiveUid || wanted.Uid == own.SavedUid || own.HasOwnCapability(Capability.CAP_SETUID))
            && (wanted.Gid == own.RealGid || wanted.Gid == own.EffectiveGid || wanted.Gid == own.SavedGid || own.HasOwnCapability(Capability.CAP_SETGID));
        if (!mayBe)
        {
            return Errno.EPERM;
        }

        if (wanted.ProcessId != task.ProcessId)
        {
            lock (task.Kernel.TaskLock)
            {
                if (task.Kernel.FindTaskLocked(wanted.ProcessId) is null)
                {
                    return Errno.ESRCH;
                }
            }
        }

        request.Credentials = wanted;
        return Errno.None;
    }

    /// <summary>Gives back descriptors that were not sent.</summary>
    public static void Release(ref SendRequest request)
    {
        FileDescription[] files = request.Rights ?? [];
        request.Rights = null;
        foreach (FileDescription file in files)
        {
            file.DecRef();
        }
    }

    /// <summary>
    /// Puts received descriptors into the task's table and their numbers into the control messages, as many as there is room for; the rest is
    /// closed. <paramref name="hasRoom"/>: the caller gave a buffer at all.
    /// </summary>
    public static void Install(Task task, SocketDescription socket, ref ReceiveRequest request, bool hasRoom)
    {
        bool closeOnExec = (request.Flags & Socket.MSG_CMSG_CLOEXEC) != 0;
        if (request.WantsProcess && request.SenderProcess is ThreadGroup process && hasRoom)
        {
            PidFd pidFd = new(task.Kernel, process, 0);
            int number = task.Files.Add(pidFd, closeOnExec: true, task.DescriptorLimit);
            if (number < 0)
            {
                pidFd.DecRef();
            }

            request.Control.Add(Socket.SOL_SOCKET, Socket.SCM_PIDFD, number);
        }

        if (!hasRoom && socket.Has(SocketFlags.PassCredentials))
        {
            request.ResultFlags |= Socket.MSG_CTRUNC;
        }

        if (request.Rights is not { } files)
        {
            return;
        }

        request.Rights = null;
        int room = Math.Max((request.Control.Room - ControlWriter.HeaderSize) / sizeof(int), 0), done = 0;
        Span<int> numbers = stackalloc int[Math.Min(room, files.Length)];
        for (; done < numbers.Length; done++)
        {
            files[done].IncRef();
            int number = task.Files.Add(files[done], closeOnExec, task.DescriptorLimit);
            if (number < 0)
            {
                files[done].DecRef();
                break;
            }

            numbers[done] = number;
        }

        if (done > 0)
        {
            request.Control.Add(Socket.SOL_SOCKET, Socket.SCM_RIGHTS, MemoryMarshal.AsBytes(numbers[..done]));
        }

        if (done < files.Length)
        {
            request.ResultFlags |= Socket.MSG_CTRUNC;
        }

        socket.Network.System.InFlight.Release(files);
    }
}
