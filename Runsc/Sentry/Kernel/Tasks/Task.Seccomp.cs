using Runsc.Common;
using Runsc.Host.Seccomp;
using Runsc.Linux;
using Runsc.Platform;
using Runsc.Sentry.Kernel.Seccomp;
using Runsc.Sentry.Kernel.Signals;

namespace Runsc.Sentry.Kernel.Tasks;

/// <summary>The application's own restrictions on its system calls (seccomp(2)).</summary>
internal sealed partial class Task
{
    // SYS_SECCOMP: si_code of SIGSYS.
    private const int SeccompSignalCode = 1;
    private const uint MaxErrno = 4095;

    private volatile CallFilter? _seccompFilter;
    private volatile bool _seccompStrict;

    /// <summary>The newest filter; null for none. Set by the task, or under the task lock by another thread of its process (SECCOMP_FILTER_FLAG_TSYNC).</summary>
    public CallFilter? SeccompFilter
    {
        get => _seccompFilter;
        set => _seccompFilter = value;
    }

    /// <summary>SECCOMP_MODE_STRICT: read, write, exit and sigreturn only.</summary>
    public bool IsSeccompStrict
    {
        get => _seccompStrict;
        set => _seccompStrict = value;
    }

    /// <summary>SECCOMP_MODE_*, as prctl(2) and /proc tell.</summary>
    public int SeccompMode => _seccompStrict ? Misc.SECCOMP_MODE_STRICT : _seccompFilter is not null ? Misc.SECCOMP_MODE_FILTER : Misc.SECCOMP_MODE_DISABLED;

    /// <summary>May the present call go on? If not, <paramref name="result"/> is its result; it may have caused a signal, or the task's end. Own thread.</summary>
    private bool PassesSeccomp(out long result)
    {
        result = 0;
        ref TrapFrame frame = ref Context.Frame;
        int number = unchecked((int)frame.OrigRax);
        if (_seccompStrict)
        {
            if (number is SysNo.read or SysNo.write or SysNo.exit or SysNo.rt_sigreturn)
            {
                return true;
            }

            EndBySeccomp(Signal.SIGKILL, wholeProcess: false);
            return false;
        }

        SeccompData data = new()
        {
            Number = number,
            Architecture = SeccompProgram.AuditArchX64,
            InstructionPointer = frame.Rip,
            Argument0 = frame.Rdi,
            Argument1 = frame.Rsi,
            Argument2 = frame.Rdx,
            Argument3 = frame.R10,
            Argument4 = frame.R8,
            Argument5 = frame.R9,
        };
        uint answer = _seccompFilter!.Evaluate(data);
        uint value = answer & Misc.SECCOMP_RET_DATA;
        switch (answer & Misc.SECCOMP_RET_ACTION_FULL)
        {
            case Misc.SECCOMP_RET_LOG:
                Log.Info($"seccomp: process {ProcessId} ({Name}) calls {number}");
                return true;
            case Misc.SECCOMP_RET_ALLOW:
                return true;
            case Misc.SECCOMP_RET_ERRNO:
                result = -(long)System.Math.Min(value, MaxErrno);
                return false;
            case Misc.SECCOMP_RET_TRAP:
                // The registers are as they were before the call; the handler may change them.
                frame.Rax = frame.OrigRax;
                SkipResult();
                ForceSignal(new SignalInfo
                {
                    Signal = Signal.SIGSYS,
                    Errno = (int)value,
                    Code = SeccompSignalCode,
                    Address = frame.Rip,
                    Value = (uint)number | ((ulong)SeccompProgram.AuditArchX64 << 32),
                });
                return false;
            case Misc.SECCOMP_RET_TRACE:
            case Misc.SECCOMP_RET_USER_NOTIF:
                // Nobody is there to ask.
                result = -(long)Errno.ENOSYS;
                return false;
            case Misc.SECCOMP_RET_KILL_THREAD:
                EndBySeccomp(Signal.SIGSYS, wholeProcess: false);
                return false;
            default:
                EndBySeccomp(Signal.SIGSYS, wholeProcess: true);
                return false;
        }
    }

    private void EndBySeccomp(int signal, bool wholeProcess)
    {
        Log.Info($"seccomp: process {ProcessId} ({Name}) is ended for system call {unchecked((int)Context.Frame.OrigRax)}");
        lock (Kernel.TaskLock)
        {
            if (wholeProcess || ThreadGroup.LiveCountLocked() == 1)
            {
                ThreadGroup.StartExitLocked(signal);
            }
        }

        _exitStatus = signal;
        _ending = true;
    }
}
