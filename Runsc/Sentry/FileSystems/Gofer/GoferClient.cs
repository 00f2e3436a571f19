using System;
using System.Buffers.Binary;
using System.Collections.Generic;
using System.Threading;
using Runsc.Common;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.NineP;

namespace Runsc.Sentry.FileSystems.Gofer;

/// <summary>The Sentry's end of a 9P connection: sends requests of many tasks and gives each its reply.</summary>
/// <remarks>
/// Replies are read by whichever caller holds <see cref="_receiveLock"/>, for all of them. Locks: _receiveLock, then _mu; both are leaves otherwise.
/// The connection is lost for good at the first error: every call then gives EIO.
/// </remarks>
internal sealed partial class GoferClient : IDisposable
{
    private const int MaxCalls = 16;
    private const int ClunkBatch = 32;

    private readonly int _socket;
    private readonly SemaphoreSlim _freeCalls = new(MaxCalls);
    private readonly Lock _receiveLock = new();
    private readonly Lock _mu = new();

    // Guarded by _mu.
    private readonly Stack<Call> _idle = new();
    private readonly Stack<uint> _freeFids = new();
    private List<uint> _clunks = [];
    private uint _nextFid = 1;

    // A call's slot is its tag. Written under _mu when it begins; the reply fields under _receiveLock.
    private readonly Call[] _calls = new Call[MaxCalls];

    // Guarded by _receiveLock.
    private byte[] _spare = GC.AllocateUninitializedArray<byte>(Protocol.MaxMessage);
    private volatile bool _lost;

    public GoferClient(int socket)
    {
        _socket = socket;
        for (int i = MaxCalls - 1; i >= 0; i--)
        {
            _calls[i] = new Call((ushort)i);
            _idle.Push(_calls[i]);
        }
    }

    /// <summary>Called once when the gofer is gone, with no lock but the receive lock held.</summary>
    public Action? Lost { get; set; }

    public void Dispose()
    {
        _lost = true;
        _ = HostSocket.Shutdown(_socket);
        lock (_receiveLock)
        {
            _ = HostFile.Close(_socket);
        }
    }

    private uint NewFid()
    {
        lock (_mu)
        {
            return _freeFids.Count > 0 ? _freeFids.Pop() : _nextFid++;
        }
    }

    private void FreeFid(uint fid)
    {
        lock (_mu)
        {
            _freeFids.Push(fid);
        }
    }

    private Call Begin()
    {
        _freeCalls.Wait();
        lock (_mu)
        {
            Call call = _idle.Pop();
            call.Reset();
            return call;
        }
    }

    private void End(Call call)
    {
        if (call.Descriptor >= 0)
        {
            _ = HostFile.Close(call.Descriptor);
            call.Descriptor = -1;
        }

        lock (_mu)
        {
            call.Active = false;
            _idle.Push(call);
        }

        _freeCalls.Release();
    }

    /// <summary>Sends a request and waits for its reply. The errno of Rlerror; EIO when the connection is lost or the reply makes no sense.</summary>
    private Errno Transact(Call call, ref WireWriter request)
    {
        if (request.Failed)
        {
            return Errno.EMSGSIZE;
        }

        byte type = call.Buffer[4];
        call.Active = true;
        if (_lost || HostSocket.Send(_socket, request.Finish()) < 0)
        {
            lock (_receiveLock)
            {
                LoseLocked("cannot send");
            }

            return Errno.EIO;
        }

        lock (_receiveLock)
        {
            while (!call.Done)
            {
                ReceiveLocked();
            }
        }

        if (call.ReplyLength == 0)
        {
            return Errno.EIO;
        }

        byte replyType = call.Buffer[4];
        if (replyType == (byte)MessageType.Rlerror)
        {
            WireReader error = call.Reply();
            uint number = error.UInt32();
            return number is > 0 and < 4096 ? (Errno)number : Errno.EIO;
        }

        return replyType == type + 1 ? Errno.None : Errno.EIO;
    }

    /// <summary>Reads one reply and gives it to its call. Lock held: _receiveLock.</summary>
    private void ReceiveLocked()
    {
        Span<int> descriptors = stackalloc int[1];
        int count = 0;
        long length = _lost ? -(long)Errno.EIO : HostSocket.Receive(_socket, _spare, descriptors, out count);
        int descriptor = count > 0 ? descriptors[0] : -1;
        if (length < Protocol.HeaderSize || BinaryPrimitives.ReadUInt32LittleEndian(_spare) != (ulong)length)
        {
            LoseLocked(length == 0 ? "closed" : $"receive gave {length}");
        }
        else
        {
            int tag = BinaryPrimitives.ReadUInt16LittleEndian(_spare.AsSpan(5));
            if (tag < MaxCalls && _calls[tag] is { Active: true, Done: false } call)
            {
                (call.Buffer, _spare) = (_spare, call.Buffer);
                call.ReplyLength = (int)length;
                call.Descriptor = descriptor;
                call.Done = true;
                return;
            }

            LoseLocked($"reply with tag {tag}, which nobody waits for");
        }

        if (descriptor >= 0)
        {
            _ = HostFile.Close(descriptor);
        }
    }

    private void LoseLocked(string why)
    {
        bool first = !_lost;
        _lost = true;
        foreach (Call call in _calls)
        {
            if (call is { Active: true, Done: false })
            {
                call.ReplyLength = 0;
                call.Done = true;
            }
        }

        if (first)
        {
            Log.Error($"connection to the gofer is lost: {why}");
            Lost?.Invoke();
        }
    }

    /// <summary>One request and its reply, in one buffer.</summary>
    private sealed class Call(ushort tag)
    {
        // Made with the first use: few calls are under way at once.
        public byte[] Buffer = [];
        public int ReplyLength;
        public int Descriptor = -1;
        public volatile bool Active;
        public volatile bool Done;

        public void Reset()
        {
            Buffer = Buffer.Length == 0 ? GC.AllocateUninitializedArray<byte>(Protocol.MaxMessage) : Buffer;
            ReplyLength = 0;
            Descriptor = -1;
            Done = false;
        }

        public WireWriter Request(MessageType type) => new(Buffer, (byte)type, tag);

        public WireReader Reply() => new(Buffer.AsSpan(Protocol.HeaderSize, ReplyLength - Protocol.HeaderSize));

        public int TakeDescriptor()
        {
            int fd = Descriptor;
            Descriptor = -1;
            return fd;
        }
    }
}
