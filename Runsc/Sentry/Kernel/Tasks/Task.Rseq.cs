using System.Numerics;
using System.Threading;
using Runsc.Linux;
using Runsc.Platform;
using Runsc.Sentry.Kernel.Time;

namespace Runsc.Sentry.Kernel.Tasks;

/// <summary>
/// Restartable sequences (rseq(2)). Own thread but for what says otherwise. A critical section is aborted when the task loses its processor, sleeps, is interrupted, or
/// gets a signal; a way back into the application without any of these costs a comparison and an exchange.
/// </summary>
internal sealed partial class Task
{
    private const int YieldsBeforeSleep = 20;

    // Address of the application's struct rseq, 0 when there is none.
    private ulong _rseqAddress;
    private uint _rseqLength;
    private uint _rseqSignature;

    // Something has happened that a critical section must not go on after, or the affinity was changed. Set by any thread.
    private volatile bool _rseqWork;

    // Shared by the tasks of an address space. Null until one of several tasks, or one that registers, needs it.
    private ProcessorSlots? _processors;

    // The processor that the task holds or has held last, and the one that its struct rseq says; −1: none.
    private int _processor = -1;
    private int _reportedProcessor = -1;
    private ulong _affinity = ulong.MaxValue;

    /// <summary>CPUs that it may run on, as sched_setaffinity(2) left them; bit per CPU. Any thread.</summary>
    public ulong Affinity
    {
        get => Volatile.Read(ref _affinity);
        set
        {
            Volatile.Write(ref _affinity, value);
            _rseqWork = true;
            Kick();
        }
    }

    /// <summary>
    /// What getcpu(2) tells: the processor that the task holds. A task without restartable sequences holds none; its number is steady, and that is all it promises.
    /// </summary>
    public int Cpu
    {
        get
        {
            int held = _processor;
            if (held >= 0)
            {
                return held;
            }

            int processors = Kernel.Processors;
            ulong allowed = Affinity & (processors >= 64 ? ulong.MaxValue : (1UL << processors) - 1);
            if (processors > 64 || allowed == 0)
            {
                return (ThreadId - 1) % processors;
            }

            for (int skip = (ThreadId - 1) % BitOperations.PopCount(allowed); skip > 0; skip--)
            {
                allowed &= allowed - 1;
            }

            return BitOperations.TrailingZeroCount(allowed);
        }
    }

    /// <summary>The registration, for PTRACE_GET_RSEQ_CONFIGURATION. The task is stopped.</summary>
    internal (ulong Address, uint Length, uint Signature) RseqRegistration => (_rseqAddress, _rseqLength, _rseqSignature);

    internal bool MayRunOn(int processor) => processor >= 64 || (Affinity >> processor & 1) != 0;

    /// <summary>rseq(2). EINVAL, EPERM (another signature), EBUSY (registered before), EFAULT.</summary>
    public Errno RegisterRseq(ulong address, uint length, uint signature)
    {
        if (_rseqAddress != 0)
        {
            return _rseqAddress != address || _rseqLength != length ? Errno.EINVAL : _rseqSignature != signature ? Errno.EPERM : Errno.EBUSY;
        }

        uint alignment = length == Rseq.OriginalSize ? Rseq.OriginalSize : Rseq.Alignment;
        if (length < Rseq.OriginalSize || address % alignment != 0)
        {
            return Errno.EINVAL;
        }

        ulong limit = Kernel.Platform.UserAddressLimit;
        if (address >= limit || length > limit - address || Memory.CopyOut(address + Rseq.CriticalSection, 0UL) != Errno.None)
        {
            return Errno.EFAULT;
        }

        if (address == 0)
        {
            return Errno.EFAULT;
        }

        _rseqAddress = address;
        _rseqLength = length;
        _rseqSignature = signature;
        _processors ??= new ProcessorSlots(Kernel.Processors);
        _reportedProcessor = -1;
        _rseqWork = true;
        return Errno.None;
    }

    /// <summary>rseq(2) with RSEQ_FLAG_UNREGISTER. EINVAL, EPERM, EFAULT.</summary>
    public Errno UnregisterRseq(ulong address, uint length, uint signature)
    {
        if (_rseqAddress == 0 || _rseqAddress != address || _rseqLength != length)
        {
            return Errno.EINVAL;
        }

        if (_rseqSignature != signature)
        {
            return Errno.EPERM;
        }

        if (!WriteRseqIds(0, Rseq.RSEQ_CPU_ID_UNINITIALIZED))
        {
            return Errno.EFAULT;
        }

        DropRseq();
        return Errno.None;
    }

    /// <summary>The registration ends: by unregistering, by execve, by the task's end.</summary>
    private void DropRseq()
    {
        _rseqAddress = 0;
        if (_processor >= 0)
        {
            _processors!.Release(_processor, ThreadId);
            _processor = -1;
        }
    }

    /// <summary>clone(2): a copy of the address space has the registration, another thread of the same one has not.</summary>
    private void ShareRseqWith(Task child, bool sharesMemory)
    {
        child._affinity = Affinity;
        if (sharesMemory)
        {
            child._processors = _processors ??= new ProcessorSlots(Kernel.Processors);
        }
        else if (_rseqAddress != 0)
        {
            child._rseqAddress = _rseqAddress;
            child._rseqLength = _rseqLength;
            child._rseqSignature = _rseqSignature;
            child._processors = new ProcessorSlots(Kernel.Processors);
            child._rseqWork = true;
        }
    }

    /// <summary>
    /// Before the task goes into the application: it gets a processor, and its struct rseq is brought up to date. When it does not get one, or the structure is bad, there is
    /// an interrupt to be handled first.
    /// </summary>
    private void EnterProcessor()
    {
        if (!_rseqWork && _processor >= 0 && _processors!.TryReenter(_processor, ThreadId))
        {
            return;
        }

        // Before what it stands for is looked at.
        _rseqWork = false;
        Interlocked.MemoryBarrier();
        if (!TakeProcessor())
        {
            _rseqWork = true;
            return;
        }

        bool isGood = AbortCriticalSection();
        if (isGood && _reportedProcessor != _processor)
        {
            isGood = WriteRseqIds((uint)_processor, (uint)_processor);
            _reportedProcessor = _processor;
        }

        if (!isGood)
        {
            ForceSegmentationFault(0);
        }
    }

    private void LeaveProcessor()
    {
        if (_processor >= 0)
        {
            _processors!.Leave(_processor, ThreadId);
        }
    }

    /// <summary>False: an interrupt came first. Afterwards the processor is held as by a task in the application.</summary>
    private bool TakeProcessor()
    {
        ProcessorSlots slots = _processors!;
        bool yields = false;
        if (_processor >= 0)
        {
            if (MayRunOn(_processor) && slots.TryReenter(_processor, ThreadId))
            {
                return true;
            }

            // To whoever has waited for it, even if that one needs a moment to come.
            yields = slots.IsWanted(_processor) && slots.HasWaiters;
            slots.Release(_processor, ThreadId);
            _processor = -1;
        }

        while (true)
        {
            int taken = yields ? -1 : slots.TryTake(this);

            // A holder's next system call is mostly near, and sleep is dear.
            for (int i = 0; i < YieldsBeforeSleep && taken < 0 && !yields && !HasInterrupt; i++)
            {
                Thread.Yield();
                taken = slots.TryTake(this);
            }

            if (taken < 0 && !HasInterrupt)
            {
                slots.AddWaiter(this);
                taken = yields ? -1 : slots.TryTake(this);
                if (taken < 0)
                {
                    if (!yields)
                    {
                        slots.Preempt(this);
                    }

                    _ = Sleep(Deadline.After(ProcessorSlots.TimeSlice));
                }

                slots.RemoveWaiter(this);
                yields = false;
            }

            if (taken >= 0)
            {
                _processor = taken;
                return true;
            }

            if (HasInterrupt)
            {
                return false;
            }
        }
    }

    /// <summary>The task goes to sleep: whoever waits for a processor may have its own.</summary>
    private void YieldProcessor()
    {
        if (_rseqAddress != 0)
        {
            _rseqWork = true;
            if (_processors!.HasWaiters)
            {
                _processors.WakeOne();
            }
        }
    }

    /// <summary>
    /// If the registers are inside of the critical section that struct rseq names, they go to its abort handler; in any case the name is cleared, as in Linux.
    /// False for a structure that Linux answers with SIGSEGV. The application can change it at any time: each word is copied once.
    /// </summary>
    private bool AbortCriticalSection()
    {
        if (Memory.CopyIn(_rseqAddress + Rseq.CriticalSection, out ulong address) != Errno.None)
        {
            return false;
        }

        if (address == 0)
        {
            return true;
        }

        ulong limit = Kernel.Platform.UserAddressLimit;
        if (address >= limit || Memory.CopyIn(address, out RseqCriticalSection section) != Errno.None)
        {
            return false;
        }

        ulong end = unchecked(section.StartIp + section.PostCommitOffset);
        bool isSound = section.Version == 0 && section.StartIp < limit && end < limit && end >= section.StartIp && section.AbortIp < limit
            && unchecked(section.AbortIp - section.StartIp) >= section.PostCommitOffset;
        if (!isSound || Memory.CopyIn(unchecked(section.AbortIp - 4), out uint signature) != Errno.None || signature != _rseqSignature)
        {
            return false;
        }

        ref TrapFrame frame = ref Context.Frame;
        bool isInside = unchecked(frame.Rip - section.StartIp) < section.PostCommitOffset;
        if (isInside)
        {
            // The flags that once forbade to restart are errors by now.
            if (section.Flags != 0 || Memory.CopyIn(_rseqAddress + Rseq.Flags, out uint flags) != Errno.None || flags != 0)
            {
                return false;
            }
        }

        if (Memory.CopyOut(_rseqAddress + Rseq.CriticalSection, 0UL) != Errno.None)
        {
            return false;
        }

        if (isInside)
        {
            frame.Rip = section.AbortIp;
        }

        return true;
    }

    // mm_cid is the processor's number too: no other thread of the address space has it meanwhile. There is one node.
    private bool WriteRseqIds(uint start, uint id)
    {
        uint concurrency = id == Rseq.RSEQ_CPU_ID_UNINITIALIZED ? 0 : id;
        return Memory.CopyOut(_rseqAddress + Rseq.CpuIdStart, start | ((ulong)id << 32)) == Errno.None
            && Memory.CopyOut(_rseqAddress + Rseq.NodeId, (ulong)concurrency << 32) == Errno.None;
    }

    /// <summary>Is it in the application, in the same stay as when the caller looked before? For who has to see it come out. Any thread.</summary>
    internal bool StaysInApplication(ref long mark)
    {
        long now = Volatile.Read(ref ApplicationTime);
        bool stays = _inApplication && now == mark;
        mark = now;
        return stays;
    }

    internal bool HasRseq => _rseqAddress != 0;

    internal bool IsInApplication => _inApplication;

    // The ticker's.
    internal long TickMark;

    /// <summary>A critical section that the task is in will be aborted. Any thread.</summary>
    internal void RequestRseqAbort()
    {
        _rseqWork = true;
        Kick();
    }
}
