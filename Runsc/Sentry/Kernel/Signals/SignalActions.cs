using System;
using System.Runtime.InteropServices;
using Runsc.Linux;

namespace Runsc.Sentry.Kernel.Signals;

/// <summary>struct sigaction as the kernel takes it (rt_sigaction(2)).</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct SignalAction
{
    public const int SizeInBytes = 32;

    public const ulong SIG_DFL = 0;
    public const ulong SIG_IGN = 1;

    /// <summary>sa_restorer is set; x86-64 has no other way back from a handler.</summary>
    public const ulong SA_RESTORER = 0x04000000;

    /// <summary>Flags that Linux knows on x86-64; others are cleared, so that programs can probe (SA_UNSUPPORTED).</summary>
    public const ulong KnownFlags =
        (ulong)Signal.SA_NOCLDSTOP | (ulong)Signal.SA_NOCLDWAIT | (ulong)Signal.SA_SIGINFO | SA_RESTORER
        | (ulong)Signal.SA_ONSTACK | (ulong)Signal.SA_RESTART | (ulong)Signal.SA_NODEFER | Signal.SA_RESETHAND;

    public ulong Handler;
    public ulong Flags;
    public ulong Restorer;
    public ulong Mask;

    public readonly bool Has(ulong flag) => (Flags & flag) != 0;
}

/// <summary>What a signal does when there is no handler (signal(7)).</summary>
internal enum DefaultAction
{
    Terminate,
    Ignore,
    Core,
    Stop,
    Continue,
}

/// <summary>Dispositions of a process; shared by tasks made with CLONE_SIGHAND. Guarded by the kernel's task lock.</summary>
internal sealed class SignalActions
{
    private readonly SignalAction[] _actions = new SignalAction[65];

    public int Users = 1;

    public ref SignalAction this[int signal] => ref _actions[signal];

    public SignalActions Fork()
    {
        SignalActions copy = new();
        Array.Copy(_actions, copy._actions, _actions.Length);
        return copy;
    }

    /// <summary>execve: handlers go back to the default, ignored signals stay ignored.</summary>
    public void ResetHandlers()
    {
        for (int signal = 1; signal <= 64; signal++)
        {
            ulong handler = _actions[signal].Handler == SignalAction.SIG_IGN ? SignalAction.SIG_IGN : SignalAction.SIG_DFL;
            _actions[signal] = new SignalAction { Handler = handler };
        }
    }

    /// <summary>CLONE_CLEAR_SIGHAND: handlers go back to the default, the rest stays.</summary>
    public void ClearHandlers() => ResetHandlers();

    public bool HasHandler(int signal) => _actions[signal].Handler > SignalAction.SIG_IGN;

    public bool IsIgnored(int signal)
    {
        ulong handler = _actions[signal].Handler;
        return handler == SignalAction.SIG_IGN || (handler == SignalAction.SIG_DFL && Default(signal) is DefaultAction.Ignore);
    }

    public static DefaultAction Default(int signal) => signal switch
    {
        Signal.SIGCHLD or Signal.SIGURG or Signal.SIGWINCH => DefaultAction.Ignore,
        Signal.SIGCONT => DefaultAction.Continue,
        Signal.SIGSTOP or Signal.SIGTSTP or Signal.SIGTTIN or Signal.SIGTTOU => DefaultAction.Stop,
        Signal.SIGQUIT or Signal.SIGILL or Signal.SIGTRAP or Signal.SIGABRT or Signal.SIGFPE or Signal.SIGBUS or Signal.SIGSEGV
            or Signal.SIGXCPU or Signal.SIGXFSZ or Signal.SIGSYS => DefaultAction.Core,
        _ => DefaultAction.Terminate,
    };
}
