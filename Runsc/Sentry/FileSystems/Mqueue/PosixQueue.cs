using System;
using System.Collections.Generic;
using System.Threading;
using Runsc.Linux;
using Runsc.Sentry.Kernel.Signals;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Waiting;

namespace Runsc.Sentry.FileSystems.Mqueue;

/// <summary>A POSIX message queue (mq_overview(7)): messages by priority, first come first served within one. Its lock guards it; no other lock is taken under it.</summary>
internal sealed class PosixQueue(long maxMessages, long messageSize)
{
    /// <summary>HARD_MSGMAX and HARD_MSGSIZEMAX of Linux, for those with CAP_SYS_RESOURCE.</summary>
    public const long HardMessages = 65536;
    public const long HardSize = 16 << 20;

    /// <summary>MQ_PRIO_MAX.</summary>
    public const uint PriorityLimit = 32768;

    private readonly Lock _mu = new();

    // Guarded by _mu: queues by priority, the highest last.
    private readonly SortedDictionary<uint, Queue<byte[]>> _messages = [];
    private long _count;
    private long _bytes;
    private ThreadGroup? _listener;
    private SignalInfo _notice;
    private int _readers;

    public long MaxMessages => maxMessages;

    public long MessageSize => messageSize;

    public WaitQueue Events { get; } = new();

    public long Count
    {
        get
        {
            lock (_mu)
            {
                return _count;
            }
        }
    }

    /// <summary>EMSGSIZE, EAGAIN when it is full.</summary>
    public Errno TrySend(byte[] message, uint priority)
    {
        ThreadGroup? told = null;
        SignalInfo notice = default;
        lock (_mu)
        {
            if (message.Length > messageSize)
            {
                return Errno.EMSGSIZE;
            }

            if (_count >= maxMessages)
            {
                return Errno.EAGAIN;
            }

            if (!_messages.TryGetValue(priority, out Queue<byte[]>? queue))
            {
                _messages.Add(priority, queue = new Queue<byte[]>());
            }

            queue.Enqueue(message);
            _bytes += message.Length;

            // Told once, when a message comes to an empty queue that nobody is reading.
            if (_count++ == 0 && _readers == 0 && _listener is not null)
            {
                told = _listener;
                notice = _notice;
                _listener = null;
            }
        }

        Events.Notify(EventMask.Readable);
        if (told is not null && notice.Signal != 0)
        {
            _ = told.SendSignal(notice);
        }

        return Errno.None;
    }

    /// <summary>EAGAIN when it is empty, EMSGSIZE when <paramref name="room"/> is less than a message may have.</summary>
    public Errno TryReceive(ulong room, out byte[] message, out uint priority)
    {
        message = [];
        priority = 0;
        lock (_mu)
        {
            if (room < (ulong)messageSize)
            {
                return Errno.EMSGSIZE;
            }

            if (_count == 0)
            {
                return Errno.EAGAIN;
            }

            foreach (uint candidate in _messages.Keys)
            {
                priority = candidate;
            }

            Queue<byte[]> queue = _messages[priority];
            message = queue.Dequeue();
            if (queue.Count == 0)
            {
                _messages.Remove(priority);
            }

            _count--;
            _bytes -= message.Length;
        }

        Events.Notify(EventMask.Writable);
        return Errno.None;
    }

    /// <summary>A reader begins or stops to wait: it takes what comes before anybody is told.</summary>
    public void CountReader(int change)
    {
        lock (_mu)
        {
            _readers += change;
        }
    }

    /// <summary>mq_notify(3): EBUSY when somebody is registered. A signal of 0 registers without being told.</summary>
    public Errno Listen(ThreadGroup listener, in SignalInfo notice)
    {
        lock (_mu)
        {
            if (_listener is { IsDead: false, IsZombie: false })
            {
                return Errno.EBUSY;
            }

            _listener = listener;
            _notice = notice;
            return Errno.None;
        }
    }

    public void StopListening(ThreadGroup listener)
    {
        lock (_mu)
        {
            _listener = _listener == listener ? null : _listener;
        }
    }

    public EventMask Readiness
    {
        get
        {
            lock (_mu)
            {
                return (_count > 0 ? EventMask.Readable : EventMask.None) | (_count < maxMessages ? EventMask.Writable : EventMask.None);
            }
        }
    }

    /// <summary>What reading the queue's file shows.</summary>
    public string Describe()
    {
        lock (_mu)
        {
            return FormattableString.Invariant($"QSIZE:{_bytes,-10} NOTIFY:{0,-5} SIGNO:{_notice.Signal,-5} NOTIFY_PID:{_listener?.Id ?? 0,-6}\n");
        }
    }
}
