using System;
using System.Buffers;
using System.Numerics;

namespace Runsc.Sentry.Sockets.Unix;

/// <summary>A datagram, or a piece of a stream, in a receiver's queue. Guarded by the receiver's locks; used again by <see cref="UnixEndpoint"/>.</summary>
internal sealed class UnixMessage
{
    // Linux: what fits the linear part of a buffer, and what its headers add.
    private const int LinearMaximum = 3776;
    private const int HeaderSize = 320;
    private const int Overhead = 256;

    public UnixMessage? Next;

    /// <summary>From the shared pool.</summary>
    public byte[] Data = [];

    /// <summary>First byte that was not read, and the end.</summary>
    public int Start;
    public int End;

    /// <summary>What it counts against the sender's SO_SNDBUF.</summary>
    public int Charge;

    public UnixEndpoint? Sender;

    /// <summary>What SCM_CREDENTIALS and SO_TIMESTAMP tell.</summary>
    public UserCredentials Credentials;
    public object? Process;
    public long Timestamp;

    public RightsBundle? Rights;

    public bool IsUrgent;

    public int Length => End - Start;

    public ReadOnlySpan<byte> Bytes => Data.AsSpan(Start, End - Start);

    /// <summary>The size of a message with its overhead, near enough to Linux (truesize) that as many fit a buffer.</summary>
    public static int ChargeOf(int length)
    {
        int paged = length > LinearMaximum ? Math.Min(length, (length - LinearMaximum + 4095) & ~4095) : 0;
        int linear = (int)BitOperations.RoundUpToPowerOf2((uint)Math.Max(length - paged + HeaderSize, 512));
        return Overhead + linear + ((paged + 4095) & ~4095);
    }

    /// <summary>Gives the bytes back and forgets all.</summary>
    public void Reset()
    {
        if (Data.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(Data);
        }

        Data = [];
        Next = null;
        Sender = null;
        Process = null;
        Rights = null;
        Start = End = Charge = 0;
        Timestamp = 0;
        IsUrgent = false;
    }
}
