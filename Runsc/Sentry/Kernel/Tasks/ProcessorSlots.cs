using System.Collections.Generic;
using System.Threading;

namespace Runsc.Sentry.Kernel.Tasks;

/// <summary>
/// The processors as threads of one address space see them that have registered for restartable sequences (rseq(2)): each holds one, and alone, while it is in the
/// application, so that what it does between two traps is not mixed with what another does under the same number.
/// <para>
/// A thread keeps its processor during system calls, as long as no other takes it: to come back to it costs one exchange. A thread that finds none free waits; one
/// that goes to sleep wakes a waiter, and after a time slice waiters have the holders interrupted in turn. A wake-up may be lost; the slice bounds what that costs.
/// </para>
/// <para>
/// The word of a processor is 0 (free), the holder's id in bits 63:1, and bit 0 while the holder is in the application. The holder sets bit 0 by an exchange and
/// clears it by a store; any thread may exchange a word whose bit 0 is clear for its own.
/// </para>
/// </summary>
internal sealed class ProcessorSlots(int count)
{
    /// <summary>How long a thread waits before it has a holder interrupted.</summary>
    public const long TimeSlice = 4_000_000;

    // A cache line for each word.
    private const int Stride = 8;

    private readonly long[] _words = new long[count * Stride];

    // Written by the new holder; read by whoever wants to interrupt it, and wrong for a moment at worst.
    private readonly Task?[] _holders = new Task?[count];

    // Somebody has waited for a time slice: the holder gives the processor up when it would come back to it.
    private readonly bool[] _wanted = new bool[count];

    private readonly Lock _mu = new();

    // Guarded by _mu; the count is read without it.
    private readonly List<Task> _waiters = [];
    private volatile int _waiting;
    private int _nextVictim;

    public bool HasWaiters => _waiting != 0;

    /// <summary>Somebody has waited for this processor for a time slice.</summary>
    public bool IsWanted(int processor) => Volatile.Read(ref _wanted[processor]);

    /// <summary>The holder goes into the application again. False when another has the processor, or wants it.</summary>
    public bool TryReenter(int processor, int id)
    {
        ref long word = ref _words[processor * Stride];
        long idle = (long)id << 1;
        return !Volatile.Read(ref _wanted[processor]) && Interlocked.CompareExchange(ref word, idle | 1, idle) == idle;
    }

    /// <summary>The holder has come out of the application.</summary>
    public void Leave(int processor, int id) => Volatile.Write(ref _words[processor * Stride], (long)id << 1);

    /// <summary>The task gives its processor up, if it still has it. It must have left.</summary>
    public void Release(int processor, int id)
    {
        Volatile.Write(ref _wanted[processor], false);
        _ = Interlocked.CompareExchange(ref _words[processor * Stride], 0, (long)id << 1);
        WakeOne();
    }

    /// <summary>
    /// Takes a processor that nobody is on, for the task to go into the application: one that nobody holds before one that would only be missed later. −1: there is
    /// none that the task may run on.
    /// </summary>
    public int TryTake(Task task)
    {
        for (int pass = 0; pass < 2; pass++)
        {
            for (int processor = 0; processor < count; processor++)
            {
                ref long word = ref _words[processor * Stride];
                long seen = Volatile.Read(ref word);
                bool isTakeable = pass == 0 ? seen == 0 : (seen & 1) == 0;
                if (isTakeable && task.MayRunOn(processor) && Interlocked.CompareExchange(ref word, ((long)task.ThreadId << 1) | 1, seen) == seen)
                {
                    _holders[processor] = task;
                    Volatile.Write(ref _wanted[processor], false);
                    return processor;
                }
            }
        }

        return -1;
    }

    public void AddWaiter(Task task)
    {
        lock (_mu)
        {
            _waiters.Add(task);
            _waiting++;
        }

        Interlocked.MemoryBarrier();
    }

    public void RemoveWaiter(Task task)
    {
        lock (_mu)
        {
            _waiters.Remove(task);
            _waiting--;
        }
    }

    /// <summary>A processor has become takeable.</summary>
    public void WakeOne()
    {
        if (_waiting == 0)
        {
            return;
        }

        lock (_mu)
        {
            if (_waiters.Count > 0)
            {
                _waiters[0].Wake();
            }
        }
    }

    /// <summary>The task has waited for a time slice: has the next holder give up its processor.</summary>
    public void Preempt(Task task)
    {
        Task? victim = null;
        lock (_mu)
        {
            for (int i = 0; i < count && victim is null; i++)
            {
                int processor = _nextVictim;
                _nextVictim = (_nextVictim + 1) % count;
                if (task.MayRunOn(processor))
                {
                    Volatile.Write(ref _wanted[processor], true);
                    victim = _holders[processor];
                }
            }
        }

        victim?.Kick();
    }
}
