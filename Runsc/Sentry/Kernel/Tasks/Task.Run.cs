using System;
using System.Threading;
using Runsc.Common;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.Platform;
using Runsc.Sentry.Kernel.Signals;
using Runsc.Sentry.Memory;

namespace Runsc.Sentry.Kernel.Tasks;

internal sealed partial class Task
{
    /// <summary>Small: handlers use spans of a few KiB at most, and many tasks may be there.</summary>
    private const int StackSize = 512 << 10;

    /// <summary>Lets the task begin, on a thread of its own.</summary>
    public void Start() => new Thread(RunToEnd, StackSize) { IsBackground = true, Name = "task" }.Start();

    private void RunToEnd()
    {
        try
        {
            Run();
        }
        catch (Exception error)
        {
            // Nothing that an application does may lead here: it is a bug of the kernel, and the sandbox ends.
            Kernel.Panic(error);
        }
    }

    private void Run()
    {
        long entered = HostTime.Now(TimeConstants.CLOCK_MONOTONIC);
        while (true)
        {
            if (HasInterrupt && !HandleInterrupts())
            {
                break;
            }

            long now = HostTime.Now(TimeConstants.CLOCK_MONOTONIC);
            SystemTime += now - entered;
            Context.Switch(Memory.AddressSpace, out TrapInfo trap);
            entered = HostTime.Now(TimeConstants.CLOCK_MONOTONIC);
            UserTime += entered - now;
            switch (trap.Kind)
            {
                case TrapKind.SystemCall:
                    DoSystemCall();
                    break;
                case TrapKind.PageFault:
                    HandlePageFault(trap);
                    break;
                case TrapKind.Exception:
                    HandleException(trap);
                    break;
                case TrapKind.Interrupted:
                    InvoluntarySwitches++;
                    break;
                default:
                    Invariant.Fail("unknown kind of trap");
                    break;
            }

            if (_ending)
            {
                break;
            }
        }

        Exit();
    }

    private void DoSystemCall()
    {
        ref TrapFrame frame = ref Context.Frame;
        frame.Rax = unchecked((ulong)-(long)Errno.ENOSYS);
        _skipResult = false;
        long result = Kernel.SystemCall(this);
        if (!_skipResult)
        {
            Context.Frame.Rax = unchecked((ulong)result);
        }
    }

    /// <summary>Set by calls that replace the whole register frame (execve, rt_sigreturn).</summary>
    private bool _skipResult;

    /// <summary>The present system call has set all registers: its result is not stored.</summary>
    public void SkipResult() => _skipResult = true;

    private void HandlePageFault(in TrapInfo trap)
    {
        FaultResult result = Memory.HandleFault(trap.FaultAddress, trap.Access);
        if (result == FaultResult.Handled)
        {
            return;
        }

        if (result == FaultResult.OutOfMemory)
        {
            Log.Warning($"task {ThreadId} ({Name}) is killed: the sandbox is out of memory");
            KillGroup(Signal.SIGKILL);
            return;
        }

        bool bus = result == FaultResult.Bus;
        _faultAddress = trap.FaultAddress;
        _faultError = trap.ErrorCode;
        _faultVector = TrapVector.PageFault;
        ForceSignal(new SignalInfo
        {
            Signal = bus ? Signal.SIGBUS : Signal.SIGSEGV,
            Code = bus ? 2 : result == FaultResult.NotMapped ? 1 : 2,
            Address = trap.FaultAddress,
        });
    }

    private void HandleException(in TrapInfo trap)
    {
        ulong rip = Context.Frame.Rip;
        _faultError = trap.ErrorCode;
        _faultVector = trap.Vector;
        (int signal, int code, ulong address) = trap.Vector switch
        {
            TrapVector.DivideError => (Signal.SIGFPE, 1, rip),
            TrapVector.Debug => (Signal.SIGTRAP, 2, rip),
            TrapVector.Breakpoint => (Signal.SIGTRAP, SignalInfo.SI_KERNEL, 0UL),
            TrapVector.Overflow or TrapVector.BoundRange or TrapVector.GeneralProtection or TrapVector.StackFault => (Signal.SIGSEGV, SignalInfo.SI_KERNEL, 0UL),
            TrapVector.InvalidOpcode => (Signal.SIGILL, 2, rip),
            TrapVector.X87 or TrapVector.Simd => (Signal.SIGFPE, 8, rip),
            TrapVector.AlignmentCheck => (Signal.SIGBUS, 1, 0UL),
            _ => (Signal.SIGSEGV, SignalInfo.SI_KERNEL, 0UL),
        };
        ForceSignal(new SignalInfo { Signal = signal, Code = code, Address = address });
    }
}
