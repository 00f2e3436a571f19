using System;
using System.Globalization;
using System.Text;
using Runsc.Linux;
using Runsc.Sentry.FileSystems.Pseudo;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.FileSystems.Proc;

/// <summary>/proc/PID/loginuid: a thread writes its own, and changes it only with CAP_AUDIT_CONTROL (Linux: audit_set_loginuid).</summary>
internal sealed class LoginUserFile : PseudoFile
{
    private readonly Task _task;

    public LoginUserFile(PseudoSuperBlock super, Task task, ulong number)
        : base(super, 0x1a4)
    {
        _task = task;
        Number = number;
    }

    protected override (uint Uid, uint Gid) Owner => TaskFile.OwnerOf(_task);

    public override Errno Generate(ICaller caller, StringBuilder text)
    {
        text.Append(CultureInfo.InvariantCulture, $"{_task.Login.User}");
        return Errno.None;
    }

    public override Errno Store(ICaller caller, ReadOnlySpan<byte> value)
    {
        if (caller != _task)
        {
            return Errno.EPERM;
        }

        if (!ulong.TryParse(Encoding.Latin1.GetString(value).TrimEnd('\n'), NumberStyles.None, CultureInfo.InvariantCulture, out ulong user))
        {
            return Errno.EINVAL;
        }

        if (user > uint.MaxValue)
        {
            return Errno.ERANGE;
        }

        if (_task.Login != LoginSession.None && !caller.Credentials.HasCapability(Capability.CAP_AUDIT_CONTROL))
        {
            return Errno.EPERM;
        }

        _task.Login = LoginSession.Of((uint)user);
        return Errno.None;
    }
}
