using System;
using System.Buffers;
using System.Collections.Generic;
using System.Threading;
using Runsc.Linux;
using Runsc.Sentry.Auth;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Vfs;
using Runsc.Sentry.Waiting;

namespace Runsc.Sentry.Sockets.Unix;

/// <summary>The state of a Unix socket: queue, peer, name. It is there before its description when a connection waits to be accepted.</summary>
/// <remarks>
/// Locks: _readMu (held by who takes from the queue, also while bytes are copied to the application: a fault there never waits for another task),
/// then _mu (state and queue). Two endpoints' locks are never held together: what concerns the peer is done after leaving one's own,
/// and a message is refused by an endpoint that has died meanwhile. Other parts: Connect, Stream, Datagram.
/// </remarks>
internal sealed partial class UnixEndpoint
{
    private const int ReadShut = 1;
    private const int WriteShut = 2;
    private const int BothShut = 3;

    private readonly Lock _readMu = new();
    private readonly Lock _mu = new();

    // Guarded by _mu (the state word and the peer are also read without it).
    private UnixMessage? _head;
    private UnixMessage? _tail;
    private UnixMessage? _urgent;
    private int _count;
    private long _bytes;
    private Errno _error;
    private bool _dead;
    private volatile UnixState _state;
    private volatile int _shutdown;
    private volatile UnixEndpoint? _peer;
    private volatile UnixAddress? _address;
    private VfsPath _boundAt;
    private Queue<UnixEndpoint>? _pending;
    private HashSet<UnixEndpoint>? _waiting;
    private int _backlog;

    // Bytes with overhead that this one sent and others did not read.
    private int _sent;

    // A message to be used again.
    private UnixMessage? _spare;

    public UnixEndpoint(NetNamespace network, int type)
    {
        Network = network;
        Type = type;
        _backlog = network.MaximumDatagrams;
        network.Unix.Add(this);
    }

    public NetNamespace Network { get; }

    /// <summary>SOCK_STREAM, SOCK_DGRAM or SOCK_SEQPACKET.</summary>
    public int Type { get; }

    /// <summary>The open socket; null while the connection waits in the listener's queue.</summary>
    public UnixSocket? Socket { get; set; }

    /// <summary>Where the connection waits.</summary>
    public UnixEndpoint? Listener { get; private set; }

    /// <summary>The endpoint that an application can have open: this one, or the listener that holds it.</summary>
    public UnixEndpoint Owner => Socket is null && Listener is not null ? Listener : this;

    public WaitQueue Events { get; } = new();

    public UnixAddress? Address => _address;

    public UnixEndpoint? Peer => _peer;

    public PeerIdentity? PeerIdentity { get; private set; }

    public bool IsConnected => _state == UnixState.Connected;

    /// <summary>What shutdown(2) has closed: 1 reading, 2 writing.</summary>
    public byte ShutdownMask => (byte)(((_shutdown & ReadShut) != 0 ? 1 : 0) | ((_shutdown & WriteShut) != 0 ? 2 : 0));

    public bool IsListening => _state == UnixState.Listening;

    public bool IsConnectionBased => Type != Linux.Socket.SOCK_DGRAM;

    /// <summary>SO_PEEK_OFF; −1: off. Guarded by _readMu.</summary>
    public int PeekOffset { get; set; } = -1;

    private int SendLimit => Socket?.SendBuffer ?? SocketDescription.DefaultBuffer;

    /// <summary>SIOCOUTQ.</summary>
    public int SentBytes => Volatile.Read(ref _sent);

    /// <summary>Linux: unix_writable.</summary>
    private bool HasRoom => (long)Volatile.Read(ref _sent) * 4 <= SendLimit;

    private bool WantsCredentials => Socket is not UnixSocket socket || socket.Has(SocketFlags.PassCredentials | SocketFlags.PassPidFd);

    /// <summary>Two connected sockets (socketpair(2)).</summary>
    public static void Join(UnixEndpoint a, UnixEndpoint b, ICaller creator)
    {
        a.PeerIdentity = b.PeerIdentity = PeerIdentity.Of(creator);
        a._peer = b;
        b._peer = a;
        a._state = b._state = UnixState.Connected;
    }

    /// <summary>SO_ERROR.</summary>
    public Errno TakeError()
    {
        lock (_mu)
        {
            Errno error = _error;
            _error = Errno.None;
            return error;
        }
    }

    /// <summary>SIOCINQ: bytes to read, for datagrams those of the first. −EINVAL for a listener.</summary>
    public long UnreadBytes
    {
        get
        {
            lock (_mu)
            {
                return _state == UnixState.Listening ? -(long)Errno.EINVAL : Type == Linux.Socket.SOCK_DGRAM ? _head?.Length ?? 0 : _bytes;
            }
        }
    }

    /// <summary>SIOCATMARK.</summary>
    public bool IsAtMark
    {
        get
        {
            lock (_mu)
            {
                return _head is not null && (_head == _urgent || (_head.Length == 0 && _head.IsUrgent));
            }
        }
    }

    /// <summary>poll(2); see unix_poll and unix_dgram_poll of Linux.</summary>
    public EventMask Readiness(EventMask mask)
    {
        EventMask events = EventMask.None;
        UnixEndpoint? full = null;
        lock (_mu)
        {
            if (_error != Errno.None)
            {
                events |= EventMask.Err;
            }

            if (_shutdown == BothShut || (IsConnectionBased && _state == UnixState.Unconnected))
            {
                events |= EventMask.Hup;
            }

            if ((_shutdown & ReadShut) != 0)
            {
                events |= EventMask.ReadHup | EventMask.Readable;
            }

            if (_head is not null || _pending is { Count: > 0 })
            {
                events |= EventMask.Readable;
            }

            if (_urgent is not null)
            {
                events |= EventMask.Pri;
            }

            if (_state != UnixState.Listening && HasRoom)
            {
                events |= EventMask.Writable | EventMask.WriteBand;
                full = Type != Linux.Socket.SOCK_STREAM && _peer is { } peer && peer._peer != this ? peer : null;
            }
        }

        if (full is not null && (mask & EventMask.Writable) != 0 && full.WaitForRoom(this))
        {
            events &= ~(EventMask.Writable | EventMask.WriteBand);
        }

        return events & (mask | EventMask.Unmaskable);
    }

    /// <summary>shutdown(2).</summary>
    public void Shutdown(int how)
    {
        int mode = how + 1;
        lock (_mu)
        {
            _shutdown |= mode;
        }

        if (IsConnectionBased && _peer is { } peer)
        {
            int theirs = ((mode & ReadShut) != 0 ? WriteShut : 0) | ((mode & WriteShut) != 0 ? ReadShut : 0);
            lock (peer._mu)
            {
                peer._shutdown |= theirs;
            }

            peer.StateChanged();
        }

        StateChanged();
        WakeWaiting();
    }

    /// <summary>The socket is closed, or nobody accepted it.</summary>
    public void Close()
    {
        Network.Unix.Remove(this);
        UnixMessage? queue;
        Queue<UnixEndpoint>? pending;
        UnixEndpoint? peer;
        VfsPath boundAt;
        lock (_mu)
        {
            _dead = true;
            _shutdown = BothShut;
            queue = _head;
            _head = _tail = _urgent = null;
            _count = 0;
            _bytes = 0;
            pending = _pending;
            _pending = null;
            peer = _peer;
            _peer = null;
            boundAt = _boundAt;
            _boundAt = default;
        }

        if (peer is not null && IsConnectionBased)
        {
            peer.PeerClosed(queue is not null || Socket is null);
        }
        else
        {
            peer?.ForgetWaiting(this);
        }

        if (boundAt.Dentry is not null)
        {
            Interlocked.CompareExchange(ref boundAt.Dentry.Inode!.Special, null, this);
            boundAt.DecRef();
        }

        while (queue is not null)
        {
            UnixMessage next = queue.Next!;
            if (queue.Rights is RightsBundle rights)
            {
                Network.System.InFlight.Discard(rights);
            }

            Recycle(queue);
            queue = next;
        }

        while (pending is not null && pending.TryDequeue(out UnixEndpoint? waiting))
        {
            waiting.Close();
        }

        StateChanged();
        WakeWaiting();
        Network.System.InFlight.SocketClosed();
    }

    private void PeerClosed(bool unread)
    {
        lock (_mu)
        {
            _shutdown = BothShut;
            if (unread)
            {
                _error = Errno.ECONNRESET;
            }
        }

        StateChanged();
    }

    private void StateChanged() => Events.Notify(EventMask.Readable | EventMask.ReadHup | EventMask.Writable | EventMask.Err | EventMask.Hup);

    /// <summary>Is the queue full for others? Then <paramref name="sender"/> is told when it no longer is.</summary>
    private bool WaitForRoom(UnixEndpoint sender)
    {
        lock (_mu)
        {
            if (_dead || _shutdown == BothShut || _count + (_pending?.Count ?? 0) <= _backlog)
            {
                return false;
            }

            (_waiting ??= []).Add(sender);
            return true;
        }
    }

    private void ForgetWaiting(UnixEndpoint sender)
    {
        lock (_mu)
        {
            _waiting?.Remove(sender);
        }
    }

    private void WakeWaiting()
    {
        HashSet<UnixEndpoint>? waiting;
        lock (_mu)
        {
            waiting = _waiting;
            _waiting = null;
        }

        if (waiting is not null)
        {
            foreach (UnixEndpoint sender in waiting)
            {
                sender.Events.Notify(EventMask.Writable | EventMask.Err);
            }
        }
    }

    /// <summary>A message with room for so many bytes, charged to this sender. ENOBUFS.</summary>
    private UnixMessage? NewMessage(UnixEndpoint receiver, int length)
    {
        int charge = UnixMessage.ChargeOf(length);
        if (!Network.System.TryCharge(charge))
        {
            return null;
        }

        UnixMessage message = Interlocked.Exchange(ref receiver._spare, null) ?? new UnixMessage();
        message.Data = length > 0 ? ArrayPool<byte>.Shared.Rent(length) : [];
        message.End = length;
        message.Charge = charge;
        message.Sender = this;
        Interlocked.Add(ref _sent, charge);
        return message;
    }

    /// <summary>The message was read or dropped: its sender has room again.</summary>
    private void Recycle(UnixMessage message)
    {
        UnixEndpoint sender = message.Sender!;
        Network.System.Uncharge(message.Charge);
        Interlocked.Add(ref sender._sent, -message.Charge);
        message.Reset();
        Volatile.Write(ref _spare, message);
        if (sender.HasRoom)
        {
            sender.Events.Notify(EventMask.Writable | EventMask.WriteBand);
        }
    }

    /// <summary>Fills in who sent it, when either side cares. Linux: maybe_add_creds.</summary>
    private void Sign(UnixMessage message, UnixEndpoint receiver, ICaller caller, in SendRequest request)
    {
        if (request.Credentials is UserCredentials given)
        {
            message.Credentials = given;
        }
        else if (WantsCredentials || receiver.WantsCredentials)
        {
            Credentials own = caller.Credentials;
            message.Credentials = new UserCredentials(caller.ProcessId, own.RealUid, own.RealGid);
        }
        else
        {
            message.Credentials = UserCredentials.Unknown;
            return;
        }

        message.Process = (caller as Task)?.ThreadGroup;
    }

    private void AppendLocked(UnixMessage message)
    {
        if (_tail is null)
        {
            _head = message;
        }
        else
        {
            _tail.Next = message;
        }

        _tail = message;
        _count++;
        _bytes += message.Length;
    }

    // Only the holder of _readMu removes, so what is before the message is constant.
    private void RemoveHeadLocked()
    {
        UnixMessage message = _head!;
        _head = message.Next;
        _tail = _head is null ? null : _tail;
        _count--;
        _bytes -= message.Length;
        if (_urgent == message)
        {
            _urgent = null;
        }
    }

    /// <summary>Tells the receiver who sent a message, if it wants to know.</summary>
    private void TellSender(UnixMessage message, ref ReceiveRequest request)
    {
        if (request.AddressLength == 0 && !request.Address.IsEmpty && message.Sender!.Address is UnixAddress address)
        {
            request.AddressLength = address.Sockaddr.Length;
            address.Sockaddr.AsSpan(0, Math.Min(address.Sockaddr.Length, request.Address.Length)).CopyTo(request.Address);
        }

        if (request.IsPlainRead || Socket is not UnixSocket socket)
        {
            return;
        }

        if (socket.Has(SocketFlags.Timestamp | SocketFlags.TimestampNanoseconds) && Type == Linux.Socket.SOCK_DGRAM)
        {
            socket.AddTimestamp(ref request.Control, message.Timestamp);
        }

        if (socket.Has(SocketFlags.PassCredentials))
        {
            request.Control.Add(Linux.Socket.SOL_SOCKET, Linux.Socket.SCM_CREDENTIALS, message.Credentials.SeenBy(request.Users ?? UserNamespace.Initial));
        }

        if (socket.Has(SocketFlags.PassPidFd))
        {
            request.SenderProcess = message.Process as ThreadGroup;
            request.WantsProcess = true;
        }
    }
}
