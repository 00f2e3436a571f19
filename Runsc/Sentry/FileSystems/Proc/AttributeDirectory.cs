using System;
using System.Text;
using Runsc.Linux;
using Runsc.Sentry.FileSystems.Pseudo;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.FileSystems.Proc;

/// <summary>/proc/PID/attr as a kernel without a security module has it: the files are there, and none has a value.</summary>
internal sealed class AttributeDirectory : PseudoDirectory
{
    private static readonly string[] s_names = ["current", "exec", "fscreate", "keycreate", "prev", "sockcreate"];

    private readonly Task _task;

    public AttributeDirectory(PseudoSuperBlock super, Task task, ulong number)
        : base(super)
    {
        _task = task;
        Number = number;
        foreach (string name in s_names)
        {
            Add(name, new AttributeFile(super, task, name == "prev" ? 0x124u : 0x1b6u));
        }
    }

    protected override (uint Uid, uint Gid) Owner => TaskFile.OwnerOf(_task);

    private sealed class AttributeFile(PseudoSuperBlock super, Task task, uint permissions) : PseudoFile(super, permissions)
    {
        protected override (uint Uid, uint Gid) Owner => TaskFile.OwnerOf(task);

        public override Errno Generate(ICaller caller, StringBuilder text) => task.ThreadGroup.IsDead ? Errno.ESRCH : Errno.EINVAL;

        // A thread writes its own only (Linux: proc_pid_attr_write).
        public override Errno Store(ICaller caller, ReadOnlySpan<byte> value) =>
            caller == task ? Errno.EINVAL : (caller as Task)?.ThreadGroup == task.ThreadGroup ? Errno.EACCES : Errno.EPERM;
    }
}
