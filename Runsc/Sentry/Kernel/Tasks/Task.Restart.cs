using Runsc.Linux;
using Runsc.Platform;
using Runsc.Sentry.Kernel.Signals;

namespace Runsc.Sentry.Kernel.Tasks;

/// <summary>Interrupted system calls (signal(7), "Interruption of system calls"). All of it on the task's own thread.</summary>
internal sealed unsafe partial class Task
{
    private delegate*<Task, long> _restartFunction;

    // What the restart function needs; their meaning is its own.
    public ulong RestartA;
    public ulong RestartB;
    public ulong RestartC;
    public ulong RestartD;
    public long RestartDeadline;

    /// <summary>
    /// Says how restart_syscall(2) goes on with the present call, whose result must then be −ERESTART_RESTARTBLOCK. Arguments go into
    /// RestartA–D and RestartDeadline.
    /// </summary>
    public long SetRestart(delegate*<Task, long> function)
    {
        _restartFunction = function;
        return -(long)Errno.ERESTART_RESTARTBLOCK;
    }

    /// <summary>restart_syscall(2): EINTR when there is nothing to go on with.</summary>
    public long Restart()
    {
        delegate*<Task, long> function = _restartFunction;
        _restartFunction = null;
        return function is null ? -(long)Errno.EINTR : function(this);
    }

    /// <summary>A handler is about to run: the call that it interrupts fails with EINTR or begins again after it.</summary>
    private void RestartBeforeHandler(in SignalAction action)
    {
        ref TrapFrame frame = ref Context.Frame;
        if (frame.OrigRax == NoSystemCall)
        {
            return;
        }

        switch (unchecked((long)frame.Rax))
        {
            case -(long)Errno.ERESTART_RESTARTBLOCK:
            case -(long)Errno.ERESTARTNOHAND:
                frame.Rax = unchecked((ulong)-(long)Errno.EINTR);
                break;
            case -(long)Errno.ERESTARTSYS when !action.Has(Signal.SA_RESTART):
                frame.Rax = unchecked((ulong)-(long)Errno.EINTR);
                break;
            case -(long)Errno.ERESTARTSYS:
            case -(long)Errno.ERESTARTNOINTR:
                Rewind(ref frame, frame.OrigRax);
                break;
        }

        frame.OrigRax = NoSystemCall;
    }

    /// <summary>No handler runs: every interrupted call begins again.</summary>
    private void RestartWithoutHandler()
    {
        ref TrapFrame frame = ref Context.Frame;
        if (frame.OrigRax == NoSystemCall)
        {
            return;
        }

        switch (unchecked((long)frame.Rax))
        {
            case -(long)Errno.ERESTARTSYS:
            case -(long)Errno.ERESTARTNOINTR:
            case -(long)Errno.ERESTARTNOHAND:
                Rewind(ref frame, frame.OrigRax);
                break;
            case -(long)Errno.ERESTART_RESTARTBLOCK:
                Rewind(ref frame, SysNo.restart_syscall);
                break;
        }

        frame.OrigRax = NoSystemCall;
    }

    private static void Rewind(ref TrapFrame frame, ulong number)
    {
        // The SYSCALL instruction is two bytes long.
        frame.Rax = number;
        frame.Rip = unchecked(frame.Rip - 2);
    }
}
