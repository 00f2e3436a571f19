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
    /// <summary>Small: handlers use spans of a few KiB at most, and many tasks may be there. The host commits what is touched.</summary>
    private const int StackSize = 512 << 10;

    /// <summary>OrigRax when the application did not stop for a system call, or the call has been dealt with.</summary>
    private const ulong NoSystemCall = ulong.MaxValue;

    // The thread is in Context.Switch or about to be: whoever sets an interrupt must kick it.
    private volatile bool _inApplication;

    // Set by the call that ends the task.
    private bool _ending;

    // Set by calls that replace the whole register frame (execve, rt_sigreturn).
    private bool _skipResult;

    /// <summary>The present system call has set all registers: its result is not stored, and it is not restarted. Own thread.</summary>
    public void SkipResult() => _skipResult = true;

    /// <summary>Number of the system call that the task is in, or −1. For /proc; racy by design.</summary>
    public int CurrentSystemCall { get; private set; } = -1;

    /// <summary>Lets the task begin, on a thread of its own.</summary>
    public void Start()
    {
        Interlocked.Increment(ref Kernel.LiveTasks);
        if (ThreadGroup.Limit(Resource.RLIMIT_CPU) != Resource.RLIM_INFINITY && ThreadGroup.Leader == this)
        {
            ThreadGroup.ApplyProcessorLimit();
        }

        new Thread(RunToEnd, StackSize) { IsBackground = true, Name = "task" }.Start();
    }

    private void RunToEnd()
    {
        try
        {
            HostThread = HostTime.ThreadId();
            MemoryFile.Payer = Kernel.AccountOf(ThreadGroup.Home);
            if (_childThreadIdAddress != 0)
            {
                // CLONE_CHILD_SETTID: a bad address is no error, as in Linux.
                _ = Memory.CopyOut(_childThreadIdAddress, ThreadId);
            }

            Run();
            ReportEvent(Misc.PTRACE_EVENT_EXIT, (ulong)TraceExitStatusLocked);
            Exit();
        }
        catch (Exception error)
        {
            // Nothing that an application does may lead here: it is a bug of the kernel, and the sandbox ends.
            Kernel.Panic(error);
        }
        finally
        {
            Interlocked.Decrement(ref Kernel.LiveTasks);
        }
    }

    private void Run()
    {
        while (true)
        {
            if (_rseqAddress != 0)
            {
                EnterProcessor();
            }

            _inApplication = true;

            // Pairs with the barrier in Interrupt: either it sees that the task is in the application, or we see the interrupt.
            Interlocked.MemoryBarrier();
            if (HasInterrupt || Kernel.IsPaused(this))
            {
                _inApplication = false;
                LeaveProcessor();
                Kernel.WaitWhilePaused(this);
                if (HasInterrupt && !HandleInterrupts())
                {
                    return;
                }

                continue;
            }

            if (_rseqAddress != 0)
            {
                Kernel.Ticker.Started();
            }

            bool takesTrapFlag = (_traceMode & TraceMode.Step) != 0 && SetTrapFlag();
            long entered = Kernel.Clock.Monotonic;
            Context.Switch(Memory.AddressSpace, out TrapInfo trap);
            _inApplication = false;
            if (takesTrapFlag)
            {
                Context.Frame.Rflags &= ~TrapFlag;
            }

            LeaveProcessor();
            ApplicationTime += Kernel.Clock.Monotonic - entered;
            switch (trap.Kind)
            {
                case TrapKind.SystemCall:
                    if (!DoSystemCall())
                    {
                        return;
                    }

                    break;
                case TrapKind.PageFault:
                    HandlePageFault(trap);
                    break;
                case TrapKind.Exception:
                    HandleException(trap);
                    break;
                case TrapKind.Interrupted:
                    InvoluntarySwitches++;
                    _rseqWork = true;
                    break;
                default:
                    Invariant.Fail("unknown kind of trap");
                    break;
            }
        }
    }

    /// <summary>False when the task is to end.</summary>
    private bool DoSystemCall()
    {
        ref TrapFrame frame = ref Context.Frame;
        CurrentSystemCall = unchecked((int)frame.OrigRax);
        _skipResult = false;
        bool isMade = _traceMode == TraceMode.None || ReportEntry(ref frame);
        long result = isMade ? Kernel.SystemCall(this) : unchecked((long)frame.Rax);
        CurrentSystemCall = -1;
        if (_ending)
        {
            return false;
        }

        if (_skipResult)
        {
            if (_traceMode != TraceMode.None)
            {
                ReportExit();
            }

            frame.OrigRax = NoSystemCall;
            return true;
        }

        frame.Rax = unchecked((ulong)result);
        if (_traceMode != TraceMode.None)
        {
            ReportExit();
            result = unchecked((long)frame.Rax);
        }

        bool restarts = result is <= -(long)Errno.ERESTARTSYS and >= -(long)Errno.ERESTART_RESTARTBLOCK;
        if (restarts || _hasSavedMask)
        {
            return HandleInterrupts();
        }

        return true;
    }

    private void HandlePageFault(in TrapInfo trap)
    {
        FaultResult result = Memory.HandleFault(trap.FaultAddress, trap.Access);
        switch (result)
        {
            case FaultResult.Handled:
                MinorFaults++;
                return;
            case FaultResult.OutOfMemory when MemoryFile.Payer is not null:
                // The container's reaper has been called: the access is tried again once it has killed this process or another.
                Thread.Sleep(1);
                return;
            case FaultResult.OutOfMemory:
                Log.Warning($"task {ThreadId} ({Name}) is killed: the sandbox is out of memory");
                ThreadGroup.SendSignal(SignalInfo.Kernel(Signal.SIGKILL));
                return;
        }

        (int signal, int code) = result switch
        {
            FaultResult.Bus => (Signal.SIGBUS, SignalInfo.BUS_ADRERR),
            FaultResult.NotAllowed => (Signal.SIGSEGV, SignalInfo.SEGV_ACCERR),
            _ => (Signal.SIGSEGV, SignalInfo.SEGV_MAPERR),
        };
        SetTrapRecord(TrapVector.PageFault, trap.ErrorCode, trap.FaultAddress);
        ForceSignal(new SignalInfo { Signal = signal, Code = code, Address = trap.FaultAddress });
    }

    private void HandleException(in TrapInfo trap)
    {
        ulong rip = Context.Frame.Rip;
        (int signal, int code, ulong address) = trap.Vector switch
        {
            TrapVector.DivideError => (Signal.SIGFPE, SignalInfo.FPE_INTDIV, rip),
            TrapVector.Debug => (Signal.SIGTRAP, SignalInfo.TRAP_TRACE, rip),
            TrapVector.Breakpoint => (Signal.SIGTRAP, SignalInfo.SI_KERNEL, 0UL),
            TrapVector.InvalidOpcode => (Signal.SIGILL, SignalInfo.ILL_ILLOPN, rip),
            TrapVector.X87 => (Signal.SIGFPE, FloatingPointCode(simd: false), rip),
            TrapVector.Simd => (Signal.SIGFPE, FloatingPointCode(simd: true), rip),
            TrapVector.AlignmentCheck => (Signal.SIGBUS, SignalInfo.BUS_ADRALN, 0UL),
            TrapVector.StackFault or TrapVector.SegmentNotPresent => (Signal.SIGBUS, SignalInfo.SI_KERNEL, 0UL),
            _ => (Signal.SIGSEGV, SignalInfo.SI_KERNEL, 0UL),
        };
        SetTrapRecord(trap.Vector, trap.ErrorCode, null);
        ForceSignal(new SignalInfo { Signal = signal, Code = code, Address = address });
    }

    /// <summary>Which unmasked floating-point exception it was: fpu__exception_code of Linux.</summary>
    private int FloatingPointCode(bool simd)
    {
        Span<byte> area = XStateBuffer();
        Context.SaveXState(area);
        uint flags;
        if (simd)
        {
            uint mxcsr = BitConverter.ToUInt32(area[24..]);
            flags = mxcsr & ~(mxcsr >> 7);
        }
        else
        {
            uint control = BitConverter.ToUInt16(area), status = BitConverter.ToUInt16(area[2..]);
            flags = status & ~control;
        }

        return (flags & 1) != 0 ? SignalInfo.FPE_FLTINV
            : (flags & 4) != 0 ? SignalInfo.FPE_FLTDIV
            : (flags & 8) != 0 ? SignalInfo.FPE_FLTOVF
            : (flags & 0x12) != 0 ? SignalInfo.FPE_FLTUND
            : (flags & 0x20) != 0 ? SignalInfo.FPE_FLTRES
            : 0;
    }
}
