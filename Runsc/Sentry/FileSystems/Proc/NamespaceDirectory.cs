using System.Text;
using Runsc.Linux;
using Runsc.Sentry.Auth;
using Runsc.Sentry.FileSystems.Pseudo;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.FileSystems.Proc;

/// <summary>/proc/PID/ns: links to the files of namespaces.</summary>
internal sealed class NamespaceDirectory : PseudoDirectory
{
    private static readonly SingleNamespace s_cgroup = new("cgroup", Sched.CLONE_NEWCGROUP, 4026531835);
    private static readonly SingleNamespace s_pid = new("pid", Sched.CLONE_NEWPID, 4026531836);
    private static readonly SingleNamespace s_time = new("time", Sched.CLONE_NEWTIME, 4026531834);

    public NamespaceDirectory(PseudoSuperBlock super, Task task, ulong number)
        : base(super)
    {
        Number = number;
        foreach (int type in new[] { Sched.CLONE_NEWCGROUP, Sched.CLONE_NEWIPC, Sched.CLONE_NEWNS, Sched.CLONE_NEWNET, Sched.CLONE_NEWPID, Sched.CLONE_NEWTIME, Sched.CLONE_NEWUSER, Sched.CLONE_NEWUTS })
        {
            Add(Of(task, type).Kind, new NamespaceLink(super, task, type));
        }
    }

    private static Namespace Of(Task task, int type) => type switch
    {
        Sched.CLONE_NEWIPC => task.Ipc,
        Sched.CLONE_NEWNS => task.MountNamespace,
        Sched.CLONE_NEWNET => task.Network,
        Sched.CLONE_NEWUSER => task.Credentials.UserNamespace,
        Sched.CLONE_NEWUTS => task.Uts,
        Sched.CLONE_NEWCGROUP => s_cgroup,
        Sched.CLONE_NEWPID => s_pid,
        _ => s_time,
    };

    private sealed class NamespaceLink(PseudoSuperBlock super, Task task, int type) : PseudoInode(super, (uint)Stat.S_IFLNK | 0x1ff)
    {
        protected override (uint Uid, uint Gid) Owner => TaskFile.OwnerOf(task);

        public override bool TryFollowMagicLink(ICaller caller, out VfsPath path, out Errno error)
        {
            path = default;
            error = TaskFile.CheckAccess(caller, task);
            if (error == Errno.None && (task.HasExited || !task.Kernel.NamespaceFiles.TryGetPath(Of(task, type), out path)))
            {
                error = Errno.ENOENT;
            }

            return true;
        }

        public override Errno ReadLink(ICaller caller, out byte[] target)
        {
            Errno error = TaskFile.CheckAccess(caller, task);
            error = error == Errno.None && task.HasExited ? Errno.ENOENT : error;
            target = error == Errno.None ? Encoding.ASCII.GetBytes(NamespaceFileSystem.NameOf(Of(task, type))) : [];
            return error;
        }

        public override Errno Open(ICaller caller, in VfsPath path, int flags, out FileDescription? file)
        {
            file = null;
            return Errno.ELOOP;
        }
    }
}
