using Runsc.Common;
using Runsc.Host.Seccomp;
using Runsc.Linux;
using Runsc.Platform;
using Runsc.Sentry.Kernel.Seccomp;
using Runsc.Sentry.Kernel.Signals;

namespace Runsc.Sentry.Kernel.Tasks;

/// <summary>Filters of system calls that the application has set for itself (seccomp(2)).</summary>
internal sealed unsafe partial class Task
{
    private const int SYS_SECCOMP = 1;

    private volatile SeccompFilters? _seccomp;

    /// <summary>Null: none. Written by the task itself, and by a thread of its process that synchronises (under the task lock).</summary>
    public SeccompFilters? Seccomp => _seccomp;

    /// <summary>Seccomp of /proc/PID/status.</summary>
    public int SeccompMode => _seccomp is not SeccompFilters filters ? Misc.SECCOMP_MODE_DISABLED : filters.IsStrict ? Misc.SECCOMP_MODE_STRICT : Misc.SECCOMP_MODE_FILTER;

    /// <summary>Filters that a task has from its beginning. Called before it runs.</summary>
    public void AdoptSeccomp(SeccompFilters? filters) => _seccomp = filters;

    /// <summary>SECCOMP_SET_MODE_STRICT. EINVAL when there are filters.</summary>
    public Errno SetStrictSeccomp()
    {
        lock (Kernel.TaskLock)
        {
            if (_seccomp is { IsStrict: false })
            {
                return Errno.EINVAL;
            }

            _seccomp = SeccompFilters.Strict;
            return Errno.None;
        }
    }

    /// <summary>
    /// SECCOMP_SET_MODE_FILTER. With <paramref name="synchronize"/> all threads of the process get the caller's filters; <paramref name="obstacle"/> is the thread
    /// that has others of its own, and nothing is changed then. EINVAL in strict mode, ENOMEM.
    /// </summary>
    public Errno AddSeccompFilter(BpfProgram program, bool log, bool synchronize, out int obstacle)
    {
        obstacle = 0;
        lock (Kernel.TaskLock)
        {
            SeccompFilters? present = _seccomp;
            if (present is { IsStrict: true })
            {
                return Errno.EINVAL;
            }

            if (synchronize)
            {
                foreach (Task thread in ThreadGroup.Tasks)
                {
                    if (thread != this && !thread.HasExited && thread._seccomp is SeccompFilters other && !(present?.IsDescendantOf(other) ?? false))
                    {
                        obstacle = thread.ThreadId;
                        return Errno.None;
                    }
                }
            }

            Errno error = SeccompFilters.TryAdd(program, present, log, out SeccompFilters? added);
            if (error != Errno.None)
            {
                return error;
            }

            _seccomp = added;
            if (synchronize)
            {
                bool noNewPrivileges = Credentials.NoNewPrivileges;
                foreach (Task thread in ThreadGroup.Tasks)
                {
                    if (thread != this && !thread.HasExited)
                    {
                        thread._seccomp = added;
                        if (noNewPrivileges && !thread.Credentials.NoNewPrivileges)
                        {
                            thread.Credentials = thread.Credentials with { NoNewPrivileges = true };
                        }
                    }
                }
            }

            return Errno.None;
        }
    }

    /// <summary>Asks the filters about the call that the registers hold. False: it is not made, and <paramref name="result"/> is what it returns.</summary>
    public bool PassesSeccomp(SeccompFilters filters, out long result) => PassesSeccomp(filters, out result, isSecondLook: false);

    private bool PassesSeccomp(SeccompFilters filters, out long result, bool isSecondLook)
    {
        ref TrapFrame frame = ref Context.Frame;
        int number = unchecked((int)frame.OrigRax);
        result = 0;
        if (filters.AlwaysAllows(number))
        {
            return true;
        }

        SeccompData data = new() { Number = number, Architecture = SeccompProgram.AuditArchX64, InstructionPointer = frame.Rip };
        data.Arguments[0] = frame.Rdi;
        data.Arguments[1] = frame.Rsi;
        data.Arguments[2] = frame.Rdx;
        data.Arguments[3] = frame.R10;
        data.Arguments[4] = frame.R8;
        data.Arguments[5] = frame.R9;
        uint verdict = filters.Run(data);
        uint value = verdict & Misc.SECCOMP_RET_DATA;
        switch (verdict & Misc.SECCOMP_RET_ACTION_FULL)
        {
            case Misc.SECCOMP_RET_ALLOW:
                return true;
            case Misc.SECCOMP_RET_LOG:
                Log.Info($"seccomp of process {ProcessId} ({Name}): system call {number}");
                return true;
            case Misc.SECCOMP_RET_ERRNO:
                result = -(long)System.Math.Min(value, 4095);
                return false;
            case Misc.SECCOMP_RET_TRAP:
                // The registers are as before the call.
                result = number;
                ForceSignal(new SignalInfo
                {
                    Signal = Signal.SIGSYS,
                    Code = SYS_SECCOMP,
                    Errno = (int)value,
                    Address = frame.Rip,
                    Value = ((ulong)SeccompProgram.AuditArchX64 << 32) | (uint)number,
                });
                return false;
            case Misc.SECCOMP_RET_TRACE when isSecondLook:
                return true;
            case Misc.SECCOMP_RET_TRACE when ReportSeccomp(ref frame, value):
                result = unchecked((long)frame.Rax);
                return !_mustEnd && unchecked((int)frame.OrigRax) != -1 && PassesSeccomp(filters, out result, isSecondLook: true);
            case Misc.SECCOMP_RET_TRACE:
            case Misc.SECCOMP_RET_USER_NOTIF:
                // Nobody listens.
                result = -(long)Errno.ENOSYS;
                return false;
            case Misc.SECCOMP_RET_KILL_THREAD:
                Kill(filters.IsStrict ? Signal.SIGKILL : Signal.SIGSYS, wholeProcess: false);
                return false;
            default:
                Kill(Signal.SIGSYS, wholeProcess: true);
                return false;
        }
    }

    private void Kill(int signal, bool wholeProcess)
    {
        Log.Debug($"seccomp ends {(wholeProcess ? "process" : "thread")} {ThreadId} ({Name}) at system call {unchecked((int)Context.Frame.OrigRax)}");
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
