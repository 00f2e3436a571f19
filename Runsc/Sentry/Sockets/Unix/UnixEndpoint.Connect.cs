using System;
using System.Collections.Generic;
using Runsc.Linux;
using Runsc.Sentry.Vfs;
using Runsc.Sentry.Waiting;

namespace Runsc.Sentry.Sockets.Unix;

internal sealed partial class UnixEndpoint
{
    /// <summary>bind(2). <paramref name="mode"/>: permissions of the file, before the umask.</summary>
    public Errno Bind(ICaller caller, ReadOnlySpan<byte> sockaddr, uint mode)
    {
        if (UnixAddress.IsFamilyOnly(sockaddr))
        {
            return _address is not null ? Errno.None : BindAutomatic();
        }

        Errno error = UnixAddress.TryParse(sockaddr, out UnixAddress? address);
        if (error != Errno.None)
        {
            return error;
        }

        if (_address is not null)
        {
            return Errno.EINVAL;
        }

        if (address!.IsAbstract)
        {
            error = Network.Unix.Bind(this, address);
            return error != Errno.None ? error : Publish(address, default);
        }

        VfsPath start = caller.Fs!.GetWorkingDirectory();
        error = VirtualFileSystem.Create(caller, start, address.Name, (uint)Stat.S_IFSOCK | mode, 0, out VfsPath made);
        start.DecRef();
        if (error != Errno.None)
        {
            return error == Errno.EEXIST ? Errno.EADDRINUSE : error;
        }

        made.Dentry.Inode!.Special = this;
        return Publish(address, made);
    }

    /// <summary>Gives a name to a socket that has none (unix(7), autobind).</summary>
    private Errno BindAutomatic()
    {
        Errno error = Network.Unix.BindAutomatic(this, out UnixAddress? address);
        return error != Errno.None ? error : Publish(address!, default);
    }

    private Errno Publish(UnixAddress address, in VfsPath place)
    {
        bool published;
        lock (_mu)
        {
            published = _address is null;
            if (published)
            {
                _boundAt = place;
                _address = address;
            }
        }

        if (!published)
        {
            // Another thread bound it at the same time.
            Network.Unix.Release(this, address);
            if (place.Dentry is not null)
            {
                place.Dentry.Inode!.Special = null;
                place.DecRef();
            }
        }

        return published ? Errno.None : Errno.EINVAL;
    }

    // SO_PASSCRED makes a sender known by its name: it gets one.
    private Errno BindWhenKnown() => _address is null && Socket is not null && WantsCredentials ? BindAutomatic() : Errno.None;

    /// <summary>The socket that has a name. ENOENT, EACCES, ECONNREFUSED, EPROTOTYPE.</summary>
    private Errno Find(ICaller caller, ReadOnlySpan<byte> sockaddr, out UnixEndpoint? found)
    {
        found = null;
        Errno error = UnixAddress.TryParse(sockaddr, out UnixAddress? address);
        if (error != Errno.None)
        {
            return error;
        }

        if (address!.IsAbstract)
        {
            found = Network.Unix.Find(Type, address);
            return found is null ? Errno.ECONNREFUSED : Errno.None;
        }

        VfsPath start = caller.Fs!.GetWorkingDirectory();
        error = PathWalker.Resolve(caller, start, address.Name, WalkFlags.FollowLast, out VfsPath place);
        start.DecRef();
        if (error != Errno.None)
        {
            return error;
        }

        Inode inode = place.Dentry.Inode!;
        error = inode.CheckPermission(caller.Credentials, Permissions.Write);
        if (error == Errno.None)
        {
            found = inode.FileType == Stat.S_IFSOCK ? inode.Special as UnixEndpoint : null;
            error = found is null ? Errno.ECONNREFUSED : found.Type != Type ? Errno.EPROTOTYPE : Errno.None;
        }

        place.DecRef();
        return error;
    }

    /// <summary>listen(2): EINVAL without a name, or when connected.</summary>
    public Errno Listen(ICaller caller, int backlog)
    {
        if (!IsConnectionBased)
        {
            return Errno.EOPNOTSUPP;
        }

        if (_address is null)
        {
            return Errno.EINVAL;
        }

        bool more;
        lock (_mu)
        {
            if (_state == UnixState.Connected)
            {
                return Errno.EINVAL;
            }

            backlog = backlog < 0 ? Network.MaximumBacklog : Math.Min(backlog, Network.MaximumBacklog);
            more = backlog > _backlog;
            _backlog = backlog;
            _pending ??= new Queue<UnixEndpoint>();
            PeerIdentity = PeerIdentity.Of(caller);
            _state = UnixState.Listening;
        }

        if (more)
        {
            WakeWaiting();
        }

        return Errno.None;
    }

    /// <summary>connect(2). EAGAIN: the listener's queue is full; this endpoint's waiters are told when it is not.</summary>
    public Errno Connect(ICaller caller, ReadOnlySpan<byte> sockaddr)
    {
        if (!IsConnectionBased)
        {
            return ConnectDatagram(caller, sockaddr);
        }

        Errno error = UnixAddress.TryParse(sockaddr, out _);
        error = error == Errno.None ? BindWhenKnown() : error;
        if (error == Errno.None)
        {
            error = Find(caller, sockaddr, out UnixEndpoint? listener);
            if (error == Errno.None)
            {
                error = ConnectTo(caller, listener!);
            }
        }

        return error;
    }

    private Errno ConnectTo(ICaller caller, UnixEndpoint listener)
    {
        if (listener._state != UnixState.Listening || (listener._shutdown & ReadShut) != 0)
        {
            return Errno.ECONNREFUSED;
        }

        if (listener.WaitForRoom(this))
        {
            return Errno.EAGAIN;
        }

        UnixEndpoint? embryo = null;
        lock (_mu)
        {
            Errno error = _state switch
            {
                UnixState.Connected => Errno.EISCONN,
                UnixState.Listening => Errno.EINVAL,
                _ => Errno.None,
            };
            if (error != Errno.None)
            {
                return error;
            }

            // From here on no other thread connects this socket; the listener may refuse it yet.
            _state = UnixState.Connected;
            embryo = new UnixEndpoint(Network, Type)
            {
                Listener = listener,
                PeerIdentity = PeerIdentity.Of(caller),
                _state = UnixState.Connected,
                _peer = this,
                _address = listener._address,
            };
            PeerIdentity = listener.PeerIdentity;
            _peer = embryo;
        }

        bool taken;
        lock (listener._mu)
        {
            taken = !listener._dead && listener._pending is not null && (listener._shutdown & ReadShut) == 0;
            if (taken)
            {
                listener._pending!.Enqueue(embryo);
            }
        }

        if (!taken)
        {
            lock (_mu)
            {
                _state = UnixState.Unconnected;
                _peer = null;
                PeerIdentity = null;
            }

            Network.Unix.Remove(embryo);
            return Errno.ECONNREFUSED;
        }

        listener.Events.Notify(EventMask.Readable);
        Events.Notify(EventMask.Writable);
        return Errno.None;
    }

    /// <summary>accept(2): an endpoint without a description. EINVAL when not listening or shut, EAGAIN.</summary>
    public Errno Accept(out UnixEndpoint? accepted)
    {
        accepted = null;
        if (!IsConnectionBased)
        {
            return Errno.EOPNOTSUPP;
        }

        lock (_mu)
        {
            if (_state != UnixState.Listening)
            {
                return Errno.EINVAL;
            }

            if (!_pending!.TryDequeue(out accepted))
            {
                return (_shutdown & ReadShut) != 0 ? Errno.EINVAL : Errno.EAGAIN;
            }
        }

        WakeWaiting();
        return Errno.None;
    }

    private Errno ConnectDatagram(ICaller caller, ReadOnlySpan<byte> sockaddr)
    {
        UnixEndpoint? other = null;
        if (sockaddr.Length < 2)
        {
            return Errno.EINVAL;
        }

        if (UnixAddress.FamilyOf(sockaddr) != Linux.Socket.AF_UNSPEC)
        {
            Errno error = UnixAddress.TryParse(sockaddr, out _);
            error = error == Errno.None ? BindWhenKnown() : error;
            error = error == Errno.None ? Find(caller, sockaddr, out other) : error;
            if (error != Errno.None)
            {
                return error;
            }

            if (!MaySendTo(other!))
            {
                return Errno.EPERM;
            }
        }

        UnixEndpoint? old;
        lock (_mu)
        {
            old = _peer;
            _peer = other;
            _state = other is null ? UnixState.Unconnected : UnixState.Connected;
        }

        if (old is not null && old != other)
        {
            old.ForgetWaiting(this);
            Disconnected(old);
        }

        return Errno.None;
    }

    // One end of a pair of datagram sockets looks elsewhere: what it has not read is dropped, and the other end gets an error.
    private void Disconnected(UnixEndpoint old)
    {
        UnixMessage? queue;
        lock (_readMu)
        {
            lock (_mu)
            {
                queue = _head;
                _head = _tail = null;
                _count = 0;
                _bytes = 0;
            }
        }

        if (queue is null)
        {
            return;
        }

        while (queue is not null)
        {
            UnixMessage? next = queue.Next;
            if (queue.Rights is RightsBundle rights)
            {
                Network.System.InFlight.Discard(rights);
            }

            Recycle(queue);
            queue = next;
        }

        WakeWaiting();
        if (old._peer == this)
        {
            lock (old._mu)
            {
                old._error = old._dead ? Errno.None : Errno.ECONNRESET;
            }

            old.StateChanged();
        }
    }

    /// <summary>A connected datagram socket hears its peer only (Linux: unix_may_send).</summary>
    private bool MaySendTo(UnixEndpoint other) => other._peer is not { } peer || peer == this;
}
