using System;
using Runsc.NetStack.Network;

namespace Runsc.NetStack.Transport.Tcp;

/// <summary>bind(2), connect(2), listen(2) and accept(2).</summary>
internal sealed partial class TcpEndpoint
{
    private AcceptQueue? _acceptQueue;

    // TCP_FASTOPEN_CONNECT: connect(2) has succeeded and the SYN waits for the first write.
    private bool _deferredConnect;

    /// <summary>Holds an address and port; port 0 is a free one. EINVAL if one is held already, EADDRNOTAVAIL if the address is not of this host.</summary>
    public NetError Bind(IpEndpoint address)
    {
        using (_stack.Enter())
        {
            if (_state != TcpState.Closed || _port.Port != 0)
            {
                return NetError.InvalidArgument;
            }

            if (!IsV6 && !address.Address.IsV4)
            {
                return NetError.FamilyNotSupported;
            }

            if (IsV6 && address.Address.IsV4 && _port.V6Only)
            {
                return NetError.InvalidArgument;
            }

            if (address.Scope != 0)
            {
                _port.Interface = address.Scope;
            }

            if (!address.Address.IsUnspecified && !Settings.AnySource && !_protocol.IsLocal(address.Address, _port.Interface))
            {
                return NetError.AddressNotAvailable;
            }

            _port.Address = address.Address;
            NetError error = _stack.Ports.Bind(_port, address.Port);
            if (error != NetError.None)
            {
                return error;
            }

            LocalAddress = address.Address;
            LocalPort = _port.Port;
            _isBound = true;
            return NetError.None;
        }
    }

    /// <summary>Begins to connect: InProgress, and later <see cref="ConnectResult"/>; AlreadyInProgress, AlreadyConnected, or why it cannot begin.</summary>
    public NetError Connect(IpEndpoint remote)
    {
        using (_stack.Enter())
        {
            NetError error = PrepareConnect(remote);
            if (error != NetError.None)
            {
                return error;
            }

            if (Settings.FastOpenConnect && _protocol.HasFastOpenCookie(RemoteAddress))
            {
                _deferredConnect = true;
                return NetError.None;
            }

            return SendConnectLocked();
        }
    }

    /// <summary>MSG_FASTOPEN: connects, with the data in the SYN if there is a cookie for the peer.</summary>
    public NetError ConnectWithData(IpEndpoint remote, ReadOnlySpan<byte> data, out int sent)
    {
        sent = 0;
        using (_stack.Enter())
        {
            if ((_protocol.Parameters.FastOpen & 1) == 0)
            {
                return NetError.NotSupported;
            }

            NetError error = PrepareConnect(remote);
            if (error != NetError.None)
            {
                return error;
            }

            if (_protocol.HasFastOpenCookie(RemoteAddress))
            {
                sent = _send.Append(data[..Math.Min(data.Length, MaximumSynData)], _stack.Pool);
                Recharge();
            }

            return SendConnectLocked();
        }
    }

    /// <summary>How the attempt stands: None when connected, InProgress, or the error that ended it, which is then forgotten.</summary>
    public NetError ConnectResult()
    {
        using (_stack.Enter())
        {
            switch (_state)
            {
                case TcpState.SynSent when _deferredConnect:
                    return NetError.None;
                case TcpState.SynSent:
                case TcpState.SynReceived:
                    return NetError.InProgress;
                case TcpState.Closed:
                    NetError error = TakeErrorLocked();
                    return error == NetError.None ? NetError.ConnectionAborted : error;
                default:
                    return NetError.None;
            }
        }
    }

    /// <summary>connect(2) to AF_UNSPEC: back to an unconnected socket, with a reset if a connection was there.</summary>
    public void Disconnect()
    {
        using (_stack.Enter())
        {
            DisconnectLocked();
        }
    }

    /// <summary>How many connections a listener lets wait.</summary>
    public int Backlog
    {
        get
        {
            using (_stack.Enter())
            {
                return _acceptQueue?.Backlog ?? 0;
            }
        }
    }

    /// <summary>Begins to listen, or changes the backlog. EADDRINUSE if another listener holds the port.</summary>
    public NetError Listen(int backlog)
    {
        using (_stack.Enter())
        {
            if (_state is not (TcpState.Closed or TcpState.Listen))
            {
                return NetError.InvalidArgument;
            }

            // A negative backlog is a very large one, as on Linux.
            backlog = backlog < 0 ? _protocol.Parameters.MaxBacklog : Math.Min(backlog, _protocol.Parameters.MaxBacklog);
            if (_state == TcpState.Listen)
            {
                _acceptQueue!.Backlog = backlog;
                return NetError.None;
            }

            if (_port.Port == 0)
            {
                _port.Address = LocalAddress;
                NetError error = _stack.Ports.Bind(_port, 0);
                if (error != NetError.None)
                {
                    return error;
                }

                LocalPort = _port.Port;
            }

            if (!_stack.Ports.TryListen(_port))
            {
                return NetError.AddressInUse;
            }

            _acceptQueue = new AcceptQueue { Backlog = backlog };
            _receiveShut = _sendShut = false;
            _error = NetError.None;
            _state = TcpState.Listen;
            _protocol.AddListener(this);
            return NetError.None;
        }
    }

    /// <summary>The next connection, or WouldBlock; EINVAL if this is no listener.</summary>
    public NetError Accept(out TcpEndpoint? connection)
    {
        using (_stack.Enter())
        {
            connection = null;
            if (_state != TcpState.Listen)
            {
                return NetError.InvalidArgument;
            }

            connection = _acceptQueue!.Dequeue();
            return connection is null ? NetError.WouldBlock : NetError.None;
        }
    }

    private NetError PrepareConnect(IpEndpoint remote)
    {
        switch (_state)
        {
            case TcpState.SynSent when _deferredConnect:
                return NetError.AlreadyConnected;
            case TcpState.SynSent:
            case TcpState.SynReceived:
                return NetError.AlreadyInProgress;
            case TcpState.Closed:
                break;
            default:
                return NetError.AlreadyConnected;
        }

        IpAddress address = remote.Address;
        if (address.IsV4 ? IsV6 && _port.V6Only : !IsV6)
        {
            return address.IsV4 ? NetError.NetworkUnreachable : NetError.FamilyNotSupported;
        }

        if (address.IsUnspecified)
        {
            address = address.IsV4 || (IsV6 && LocalAddress.IsV4) ? IpAddress.LoopbackV4 : IpAddress.LoopbackV6;
        }

        if (address.IsMulticast || address.IsLimitedBroadcast)
        {
            return NetError.NetworkUnreachable;
        }

        if (remote.Scope != 0 && _port.Interface == 0 && address.NeedsScope)
        {
            _port.Interface = remote.Scope;
        }

        RouteQuery query = new()
        {
            Destination = address,
            Source = LocalAddress.IsUnspecified ? address.AnyOfFamily : LocalAddress,
            Interface = _port.Interface,
            Mark = Settings.Mark,
            TrafficClass = Settings.TrafficClass,
            OnLinkOnly = Settings.OnLinkOnly,
            AnySource = Settings.AnySource,
        };
        NetError error = _stack.Ip.FindRoute(query, _route);
        if (error != NetError.None)
        {
            return error;
        }

        if (_route.Kind is RouteKind.Broadcast or RouteKind.Multicast)
        {
            return NetError.NetworkUnreachable;
        }

        IpAddress local = LocalAddress.IsUnspecified ? _route.Source : LocalAddress;
        if (LocalAddress.IsUnspecified && address.IsV4 && _stack.Routes4.HasRules)
        {
            // A rule may look at the source that was just found (Linux: ip_route_connect).
            query.Source = local;
            error = _stack.Ip.FindRoute(query, _route);
            if (error != NetError.None)
            {
                return error;
            }
        }

        error = TakePort(local, address, remote.Port);
        if (error != NetError.None)
        {
            return error;
        }

        LocalAddress = local;
        LocalPort = _port.Port;
        RemoteAddress = address;
        RemotePort = remote.Port;
        _error = NetError.None;
        _receiveShut = _sendShut = false;
        StartConnection();
        return NetError.None;
    }

    /// <summary>Finds or checks the local port, and ends a connection in TIME-WAIT whose place is taken over.</summary>
    private NetError TakePort(in IpAddress local, in IpAddress remote, ushort remotePort)
    {
        UniqueFlow use = new(_protocol, local, remote, remotePort, _route.IsLoopback);
        if (_port.Port == 0)
        {
            _port.Address = local;
            NetError error = _stack.Ports.Connect(_port, ref use);
            if (error != NetError.None)
            {
                return error;
            }
        }
        else if (!use.IsFree(_port.Port))
        {
            return NetError.AddressNotAvailable;
        }

        if (_protocol.Flows.Find(local, _port.Port, remote, remotePort) is TimeWait old)
        {
            // The new connection begins beyond the old one's sequence numbers and times (RFC 6191).
            _predecessor = old.Successor;
            old.End();
        }
        else
        {
            _predecessor = default;
        }

        return NetError.None;
    }

    private readonly struct UniqueFlow(TcpProtocol protocol, IpAddress local, IpAddress remote, ushort remotePort, bool isLoopback) : IPortUse
    {
        public bool IsFree(ushort port) => protocol.Flows.Find(local, port, remote, remotePort) switch
        {
            null => true,
            TimeWait old => old.MayBeReplaced(isLoopback),
            _ => false,
        };
    }
}
