using System.Collections.Generic;
using Runsc.Linux;
using Runsc.Sentry.Auth;
using Runsc.Sentry.Kernel.Ipc;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.Kernel.Tasks;

/// <summary>A task's namespaces (namespaces(7)): new ones, and those that it enters. Own thread.</summary>
internal sealed partial class Task
{
    /// <summary>Namespaces other than the user's, which need CAP_SYS_ADMIN in the user namespace that will own them.</summary>
    public const ulong Namespaces = Sched.CLONE_NEWNS | Sched.CLONE_NEWUTS | Sched.CLONE_NEWIPC | Sched.CLONE_NEWNET;

    /// <summary>The task's credentials in a new user namespace. ENOSPC, EPERM, also for who was put into another root directory: that would be a way out.</summary>
    private Errno CreateUserNamespace(out Credentials made)
    {
        made = Credentials;
        VfsPath root = _fs.GetRoot(), first = MountNamespace.GetRootPath();
        bool isChrooted = root != first;
        root.DecRef();
        first.DecRef();
        return isChrooted ? Errno.EPERM : UserNamespace.Create(Credentials, out made);
    }

    /// <summary>unshare(2) with CLONE_NEW* and CLONE_SYSVSEM among the flags; a new user namespace is made first and owns the others. EPERM, ENOSPC.</summary>
    public Errno UnshareNamespaces(ulong flags)
    {
        Credentials credentials = Credentials;
        Errno error = (flags & Sched.CLONE_NEWUSER) != 0 ? CreateUserNamespace(out credentials) : Errno.None;
        if (error == Errno.None && (flags & Namespaces) != 0 && !credentials.HasOwnCapability(Capability.CAP_SYS_ADMIN))
        {
            error = Errno.EPERM;
        }

        if (error != Errno.None)
        {
            return error;
        }

        UserNamespace users = credentials.UserNamespace;
        Credentials = credentials;
        if ((flags & Sched.CLONE_NEWNS) != 0)
        {
            UnshareFs();
            MountNamespace former = MountNamespace;
            MountNamespace = former.Clone(users, out Dictionary<Vfs.Mount, Vfs.Mount> map);
            _fs.MoveTo(map);
            former.DecUsers();
        }

        if ((flags & Sched.CLONE_NEWUTS) != 0)
        {
            Uts = Uts.Clone(users);
        }

        if ((flags & (Sched.CLONE_SYSVSEM | Sched.CLONE_NEWIPC)) != 0)
        {
            UnshareSemaphores();
        }

        if ((flags & Sched.CLONE_NEWIPC) != 0)
        {
            Ipc = new IpcNamespace(users);
        }

        if ((flags & Sched.CLONE_NEWNET) != 0)
        {
            Network = Network.CreateEmpty(users);
        }

        return Errno.None;
    }

    /// <summary>setns(2). EINVAL, EPERM.</summary>
    public Errno Enter(Namespace space)
    {
        Credentials own = Credentials;
        if (space is UserNamespace users)
        {
            return EnterUsers(users);
        }

        if (!own.HasCapability(Capability.CAP_SYS_ADMIN, space.Owner) || !own.HasOwnCapability(Capability.CAP_SYS_ADMIN)
            || (space is MountNamespace && !own.HasOwnCapability(Capability.CAP_SYS_CHROOT)))
        {
            return Errno.EPERM;
        }

        switch (space)
        {
            case NetworkNamespace network:
                Network = network.IncUsers();
                return Errno.None;
            case UtsNamespace uts:
                Uts = uts;
                return Errno.None;
            case IpcNamespace ipc:
                UnshareSemaphores();
                Ipc = ipc;
                return Errno.None;
            case MountNamespace mounts:
                return EnterMounts(mounts);
            default:
                // Of the others there is only one.
                return Errno.None;
        }
    }

    // Not with threads, which would have other rights, and not from the namespace itself, which would give lost capabilities back.
    private Errno EnterUsers(UserNamespace users)
    {
        Credentials own = Credentials;
        if (users == own.UserNamespace || ThreadGroup.Tasks.Count > 1 || _fs.IsShared)
        {
            return Errno.EINVAL;
        }

        if (!own.HasCapability(Capability.CAP_SYS_ADMIN, users))
        {
            return Errno.EPERM;
        }

        Credentials now = users.Enter(own);
        if (GainsRights(own, now))
        {
            ThreadGroup.Dumpable = 0;
            ParentDeathSignal = 0;
        }

        Credentials = now;
        return Errno.None;
    }

    private Errno EnterMounts(MountNamespace mounts)
    {
        if (_fs.IsShared || !mounts.TryIncUsers())
        {
            return Errno.EINVAL;
        }

        MountNamespace former = MountNamespace;
        MountNamespace = mounts;
        _fs.SetRoot(mounts.GetRootPath());
        _fs.SetWorkingDirectory(mounts.GetRootPath());
        former.DecUsers();
        return Errno.None;
    }
}
