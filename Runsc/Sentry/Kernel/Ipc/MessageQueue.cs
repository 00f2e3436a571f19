using System;
using System.Collections.Generic;
using Runsc.Sentry.Waiting;

namespace Runsc.Sentry.Kernel.Ipc;

/// <summary>A message of System V.</summary>
internal sealed record Message(long Type, byte[] Text);

/// <summary>A message queue (msgget(2)). Guarded by its table's lock.</summary>
internal sealed class MessageQueue(IpcNamespace space) : IpcObject
{
    public const int MaxMessage = 8192;
    public const int DefaultBytes = 16384;

    /// <summary>All queues of a namespace together.</summary>
    private const long MaxTotal = 64 << 20;

    private readonly LinkedList<Message> _messages = [];

    public ulong MaximumBytes { get; set; } = (ulong)space.Limits.QueueBytes;

    public ulong Bytes { get; private set; }

    public int Count => _messages.Count;

    public long SendTime { get; set; }

    public long ReceiveTime { get; set; }

    public int LastSender { get; set; }

    public int LastReceiver { get; set; }

    /// <summary>Hears of messages that come and go, and of removal.</summary>
    public WaitQueue Events { get; } = new();

    /// <summary>False when there is no room now.</summary>
    public bool TryAddLocked(Message message)
    {
        ulong length = (ulong)message.Text.Length;
        if (length + Bytes > MaximumBytes || (ulong)Count + 1 > MaximumBytes || space.QueuedBytes + message.Text.Length > MaxTotal)
        {
            return false;
        }

        _messages.AddLast(message);
        Bytes += length;
        space.QueuedBytes += message.Text.Length;
        return true;
    }

    /// <summary>The message that msgrcv(2) means: the first (type 0), the first of a type (or, with <paramref name="except"/>, of others), or the lowest up to −type.</summary>
    public Message? FindLocked(long type, bool except)
    {
        Message? found = null;
        long limit = type == long.MinValue ? long.MaxValue : Math.Abs(type);
        foreach (Message message in _messages)
        {
            if (type >= 0)
            {
                if (type == 0 || (message.Type == type) != except)
                {
                    return message;
                }
            }
            else if (message.Type <= limit && (found is null || message.Type < found.Type))
            {
                found = message;
            }
        }

        return found;
    }

    /// <summary>MSG_COPY: by place.</summary>
    public Message? AtLocked(long index)
    {
        foreach (Message message in _messages)
        {
            if (index-- == 0)
            {
                return message;
            }
        }

        return null;
    }

    public void TakeLocked(Message message)
    {
        _messages.Remove(message);
        Bytes -= (ulong)message.Text.Length;
        space.QueuedBytes -= message.Text.Length;
    }

    public void ClearLocked()
    {
        space.QueuedBytes -= (long)Bytes;
        _messages.Clear();
        Bytes = 0;
    }
}
