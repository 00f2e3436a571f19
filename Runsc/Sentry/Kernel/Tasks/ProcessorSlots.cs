using System.Collections.Generic;
using System.Threading;

namespace Runsc.Sentry.Kernel.Tasks;

/// <summary>
/// The processors as threads of one address space see them that have registered for restartable sequences (rseq(2)): each holds one, and alone, while it is in the
/// application, so that what it does between two traps is not mixed with what another does under the same number.
/// <para>
/// A thread keeps its processor during system calls, as long as no other takes it: to come back to it costs one exchange. A thread that finds none free waits; one
/// that goes to sleep wakes a waiter, and a waiter has a holder interrupted that has had its time slice. A wake-up may be lost; the slice bounds what that costs.
/// </para>
/// <para>
/// The word of a processor is 0 (free), the holder's id in bits 63:1, and bit 0 while the holder is in the application. The holder sets bit 0 by an exchange and
/// clears it by a store; any thread may exchange a word whose bit 0 is clear for its own.
/// </para>
/// </summary>
internal sealed class ProcessorSlots(int count)
{
    /// <summary>How long a thread keeps a processor that others wait for, in nanoseconds.</summary>
    public const long TimeSlice = 10_000_000;

    // A cache line for each word.
    private const int Stride = 8;

    private readonly long[] _words = new long[count * Stride];

    // Written by the new holder; read by whoever wants to interrupt it, and wrong for a moment at worst.
    private readonly Task?[] _holders = new Task?[count];

    // When the holders got them, in nanoseconds of CLOCK_MONOTONIC.
    private readonly long[] _since = new long[count];

    // Somebody waits and the time slice is over: the holder gives the processor up when it would come back to it.
    private readonly bool[] _wanted = new bool[count];

    private readonly Lock _mu = new();

    // Guarded by _mu; the count is read without it.
    private readonly List<Task> _waiters = [];
    private volatile int _waiting;

    public bool HasWaiters => _waiting != 0;

    /// <summary>The holder has had its time slice, and others wait.</summary>
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
                    Volatile.Write(ref _since[processor], task.Kernel.Clock.Monotonic);
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

    /// <summary>The task finds no processor: if a holder has had its time slice, the one that has had the most gives way. A slice is counted once.</summary>
    public void Preempt(Task task)
    {
        long now = task.Kernel.Clock.Monotonic;
        Task? victim = null;
        lock (_mu)
        {
            int found = -1;
            for (int processor = 0; processor < count; processor++)
            {
                long since = Volatile.Read(ref _since[processor]);
                if (now - since >= TimeSlice && task.MayRunOn(processor) && (found < 0 || since < Volatile.Read(ref _since[found])))
                {
                    found = processor;
                }
            }

            if (found >= 0)
            {
                Volatile.Write(ref _since[found], now);
                Volatile.Write(ref _wanted[found], true);
                victim = _holders[found];
            }
        }

        victim?.Kick();
    }
}
