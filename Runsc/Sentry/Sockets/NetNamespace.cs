using System;
using System.Collections.Generic;
using System.Threading;
using Runsc.NetStack.Core;
using Runsc.Sentry.Auth;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Kernel.Time;
using Runsc.Sentry.Sockets.Inet;
using Runsc.Sentry.Sockets.Netfilter;
using Runsc.Sentry.Sockets.Netlink;
using Runsc.Sentry.Sockets.Unix;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.Sockets;

/// <summary>What a network namespace holds: abstract names and Unix sockets, a TCP/IP stack and the sockets above it.</summary>
internal sealed class NetNamespace(SocketSystem system, UserNamespace owner, ulong number, bool isRoot) : NetworkNamespace(owner, number)
{
    private readonly Lock _mu = new();

    // Guarded by _mu.
    private readonly HashSet<InetSocket> _inetSockets = [];
    private readonly HashSet<SocketDescription> _otherSockets = [];
    private RouteEvents? _routeEvents;

    // Groups of NETLINK_ROUTE that somebody is a member of: a bit each. Written under _mu.
    private long _netlinkGroups;
    private readonly HashSet<(int Protocol, uint Port)> _netlinkPorts = [];
    private InetStack? _inet;
    private NetfilterState? _netfilter;
    private uint _nextNetlinkPort = 0xffff_f000;

    public SocketSystem System { get; } = system;

    public UnixTable Unix { get; } = new();

    /// <summary>net.core.somaxconn.</summary>
    public int MaximumBacklog { get; set; } = Linux.Socket.SOMAXCONN;

    /// <summary>net.unix.max_dgram_qlen: a new socket's limit.</summary>
    public int MaximumDatagrams { get; set; } = 10;

    /// <summary>net.ipv4.ping_group_range.</summary>
    public (uint First, uint Last) PingGroups { get; set; } = (0, 2147483647);

    /// <summary>The TCP/IP stack, made when it is first needed. The first namespace's loopback interface is up, another's is down.</summary>
    public InetStack Inet
    {
        get
        {
            if (Volatile.Read(ref _inet) is { } present)
            {
                return present;
            }

            // With no lock of a namespace: it takes that of the first one's stack. Where two come at once, one is not used.
            InetStack made = new(System.Kernel, System.Buffers);
            if (isRoot)
            {
                made.StartLoopback();
            }
            else
            {
                made.Inherit(((NetNamespace)System.Kernel.RootNetwork).Inet);
            }

            lock (_mu)
            {
                if (_inet is null)
                {
                    made.Stack.Observer = _routeEvents;
                    Volatile.Write(ref _inet, made);
                }

                return _inet;
            }
        }
    }

    /// <summary>The packet filter, made when somebody asks for it.</summary>
    public NetfilterState Netfilter
    {
        get
        {
            if (Volatile.Read(ref _netfilter) is { } present)
            {
                return present;
            }

            NetworkStack stack = Inet.Stack;
            lock (_mu)
            {
                if (_netfilter is null)
                {
                    Volatile.Write(ref _netfilter, new NetfilterState(stack, Owner));
                }

                return _netfilter;
            }
        }
    }

    public override NetworkNamespace CreateEmpty(UserNamespace owner) => System.CreateNamespace(owner);

    // By the thread of the timers, which holds no lock.
    protected override void OnUnused() => new KernelTimer(System.Kernel.Timers, _ => TakeApart()).Set(0, 0);

    private void TakeApart()
    {
        if (Volatile.Read(ref _inet)?.Stack is not { } stack)
        {
            return;
        }

        lock (System.LinkLock)
        {
            while (true)
            {
                NetworkInterface? last;
                using (stack.Enter())
                {
                    last = stack.Interfaces.Count > 0 ? stack.Interfaces[^1] : null;
                }

                if (last is null)
                {
                    return;
                }

                LinkChanges.RemoveLocked(last);
            }
        }
    }

    /// <summary>May the caller make an echo socket (icmp(7))?</summary>
    public bool MayPing(ICaller caller)
    {
        (uint first, uint last) = PingGroups;
        bool allowed = IsIn(caller.Credentials.EffectiveGid);
        foreach (uint group in caller.Credentials.Groups)
        {
            allowed |= IsIn(group);
        }

        return allowed;

        bool IsIn(uint group) => group >= first && group <= last;
    }

    public void Add(InetSocket socket)
    {
        lock (_mu)
        {
            _inetSockets.Add(socket);
        }
    }

    public void Remove(InetSocket socket)
    {
        lock (_mu)
        {
            _inetSockets.Remove(socket);
        }
    }

    /// <summary>Packet and netlink sockets.</summary>
    public void Add(SocketDescription socket)
    {
        lock (_mu)
        {
            _otherSockets.Add(socket);
        }
    }

    public void Remove(SocketDescription socket)
    {
        lock (_mu)
        {
            _otherSockets.Remove(socket);
        }
    }

    public SocketDescription[] OtherSockets()
    {
        lock (_mu)
        {
            return [.. _otherSockets];
        }
    }

    /// <summary>Somebody is a member of a group of NETLINK_ROUTE. No lock.</summary>
    public bool HasNetlinkMembers(int group) => (Volatile.Read(ref _netlinkGroups) & (1L << (group - 1))) != 0;

    /// <summary>Somebody is a member of a group of any protocol.</summary>
    public bool HasNetlinkMembers(int protocol, int group) =>
        Array.Exists(OtherSockets(), socket => socket is NetlinkSocket netlink && netlink.Protocol == protocol && (netlink.Groups & (1UL << (group - 1))) != 0);

    /// <summary>Memberships have changed: changes of the stack are watched once there is one.</summary>
    public void NetlinkGroupsChanged()
    {
        NetworkStack? watched = null;
        lock (_mu)
        {
            ulong all = 0;
            foreach (SocketDescription socket in _otherSockets)
            {
                all |= socket is NetlinkSocket { Protocol: Linux.Socket.NETLINK_ROUTE } netlink ? netlink.Groups : 0;
            }

            Volatile.Write(ref _netlinkGroups, unchecked((long)all));
            if (all != 0 && _routeEvents is null)
            {
                _routeEvents = new RouteEvents(this);
                watched = _inet?.Stack;
            }
        }

        if (watched is not null)
        {
            using (watched.Enter())
            {
                watched.Observer = _routeEvents;
            }
        }

        if (FollowsConnections() != _netfilter?.Filter.Tracker.Observer is not null)
        {
            // Asked again: the last one who comes here is right.
            using (Netfilter.Filter.Stack.Enter())
            {
                Netfilter.Filter.Tracker.Observer = FollowsConnections() ? (connection, events) => ConntrackWriter.Tell(this, connection, events, 0) : null;
            }
        }
    }

    private bool FollowsConnections() => HasNetlinkMembers(Linux.Socket.NETLINK_NETFILTER, Linux.ConntrackNetlink.NFNLGRP_CONNTRACK_NEW)
        || HasNetlinkMembers(Linux.Socket.NETLINK_NETFILTER, Linux.ConntrackNetlink.NFNLGRP_CONNTRACK_UPDATE)
        || HasNetlinkMembers(Linux.Socket.NETLINK_NETFILTER, Linux.ConntrackNetlink.NFNLGRP_CONNTRACK_DESTROY);

    /// <summary>Puts messages into the queues of a group's members. May be called under the stack's lock.</summary>
    public void TellNetlinkMembers(int protocol, int group, List<byte[]> datagrams)
    {
        foreach (SocketDescription socket in OtherSockets())
        {
            if (socket is NetlinkSocket netlink && netlink.Protocol == protocol)
            {
                netlink.Tell(group, datagrams);
            }
        }
    }

    /// <summary>For /proc/net.</summary>
    public InetSocket[] InetSockets()
    {
        lock (_mu)
        {
            return [.. _inetSockets];
        }
    }

    /// <summary>A netlink address: the wanted one, or the process's, or any. 0 when it is taken.</summary>
    public uint TakeNetlinkPort(int protocol, uint wanted, uint process)
    {
        lock (_mu)
        {
            if (wanted != 0)
            {
                return _netlinkPorts.Add((protocol, wanted)) ? wanted : 0;
            }

            uint port = process;
            while (port == 0 || !_netlinkPorts.Add((protocol, port)))
            {
                port = --_nextNetlinkPort;
            }

            return port;
        }
    }

    public void ReleaseNetlinkPort(int protocol, uint port)
    {
        lock (_mu)
        {
            _netlinkPorts.Remove((protocol, port));
        }
    }
}
