using System.Collections.Generic;
using System.Numerics;
using System.Runtime.InteropServices;
using Runsc.Linux;

namespace Runsc.Sentry.Kernel.Signals;

/// <summary>
/// Pending signals of a task or a process (Linux: struct sigpending). Standard signals are kept once, real-time ones are queued
/// in order of arrival. Guarded by the kernel's task lock.
/// </summary>
internal sealed class SignalQueue
{
    /// <summary>Signals that an instruction of the application causes; they are delivered before all others.</summary>
    private const ulong Synchronous =
        (1UL << (Signal.SIGSEGV - 1)) | (1UL << (Signal.SIGBUS - 1)) | (1UL << (Signal.SIGILL - 1)) | (1UL << (Signal.SIGTRAP - 1))
        | (1UL << (Signal.SIGFPE - 1)) | (1UL << (Signal.SIGSYS - 1));

    /// <summary>First real-time signal as the kernel counts (SIGRTMIN of libc is higher).</summary>
    public const int FirstRealTime = 32;

    // A list of values: nothing is allocated once it has grown.
    private readonly List<SignalInfo> _queue = [];

    /// <summary>Bit N−1 for signal N.</summary>
    public ulong Pending { get; private set; }

    public int Count => _queue.Count;

    /// <summary>
    /// Adds a signal. With <paramref name="limit"/> entries or more queued, a real-time signal is refused (false) if
    /// <paramref name="refuse"/>, else it becomes pending without its data, as in Linux.
    /// </summary>
    public bool Add(in SignalInfo info, ulong limit, bool refuse)
    {
        ulong bit = Bit(info.Signal);
        if (info.Signal < FirstRealTime)
        {
            if ((Pending & bit) == 0)
            {
                Pending |= bit;
                _queue.Add(info);
            }

            return true;
        }

        if ((ulong)_queue.Count >= limit)
        {
            if (refuse)
            {
                return false;
            }
        }
        else
        {
            _queue.Add(info);
        }

        Pending |= bit;
        return true;
    }

    /// <summary>True when a POSIX timer's signal is still queued: its overruns are counted instead.</summary>
    public bool HasTimer(int signal, int timer)
    {
        foreach (ref readonly SignalInfo info in CollectionsMarshal.AsSpan(_queue))
        {
            if (info.Signal == signal && info.Code == SignalInfo.SI_TIMER && info.ProcessId == timer)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Drops the queued signal of a POSIX timer that is deleted or set anew.</summary>
    public void DropTimer(int signal, int timer)
    {
        if ((Pending & Bit(signal)) == 0)
        {
            return;
        }

        bool others = false;
        for (int i = _queue.Count - 1; i >= 0; i--)
        {
            if (_queue[i].Signal != signal)
            {
                continue;
            }

            if (_queue[i].Code == SignalInfo.SI_TIMER && _queue[i].ProcessId == timer)
            {
                _queue.RemoveAt(i);
            }
            else
            {
                others = true;
            }
        }

        if (!others)
        {
            Pending &= ~Bit(signal);
        }
    }

    /// <summary>The signal that <see cref="TryTake"/> would take, or 0.</summary>
    public int Peek(ulong set)
    {
        ulong candidates = Pending & set;
        if ((candidates & Synchronous) != 0)
        {
            candidates &= Synchronous;
        }

        return candidates == 0 ? 0 : BitOperations.TrailingZeroCount(candidates) + 1;
    }

    /// <summary>Takes the most urgent signal of a set: synchronous ones first, then by number, in order of arrival.</summary>
    public bool TryTake(ulong set, out SignalInfo info)
    {
        int signal = Peek(set);
        if (signal == 0)
        {
            info = default;
            return false;
        }

        // A signal whose data did not fit the queue is delivered with these.
        info = new SignalInfo { Signal = signal, Code = SignalInfo.SI_USER };
        bool found = false, more = false;
        for (int i = 0; i < _queue.Count; i++)
        {
            if (_queue[i].Signal != signal)
            {
                continue;
            }

            if (found)
            {
                more = true;
                break;
            }

            info = _queue[i];
            found = true;
            _queue.RemoveAt(i--);
        }

        if (!more)
        {
            Pending &= ~Bit(signal);
        }

        return true;
    }

    public void Discard(ulong set)
    {
        if ((Pending & set) == 0)
        {
            return;
        }

        Pending &= ~set;
        for (int i = _queue.Count - 1; i >= 0; i--)
        {
            if ((Bit(_queue[i].Signal) & set) != 0)
            {
                _queue.RemoveAt(i);
            }
        }
    }

    /// <summary>At most <paramref name="count"/> queued signals from a position on, for PTRACE_PEEKSIGINFO.</summary>
    public List<SignalInfo> Copy(ulong from, int count)
    {
        List<SignalInfo> copy = [];
        for (int i = (int)ulong.Min(from, int.MaxValue); i < _queue.Count && copy.Count < count; i++)
        {
            copy.Add(_queue[i]);
        }

        return copy;
    }

    public static ulong Bit(int signal) => 1UL << (signal - 1);
}
