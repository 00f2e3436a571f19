using System.Collections.Generic;
using System.Threading;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Sockets.Inet;
using Runsc.Sentry.Sockets.Unix;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.Sockets;

/// <summary>What a network namespace holds: abstract names and Unix sockets, a TCP/IP stack and the sockets above it.</summary>
internal sealed class NetNamespace(SocketSystem system, ulong number, bool isRoot) : NetworkNamespace
{
    private readonly Lock _mu = new();

    // Guarded by _mu.
    private readonly HashSet<InetSocket> _inetSockets = [];
    private readonly HashSet<(int Protocol, uint Port)> _netlinkPorts = [];
    private InetStack? _inet;
    private uint _nextNetlinkPort = 0xffff_f000;

    public SocketSystem System { get; } = system;

    public override ulong Number { get; } = number;

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

            lock (_mu)
            {
                if (_inet is null)
                {
                    InetStack made = new(System.Kernel, System.Buffers);
                    if (isRoot)
                    {
                        made.StartLoopback();
                    }

                    Volatile.Write(ref _inet, made);
                }

                return _inet;
            }
        }
    }

    public override NetworkNamespace CreateEmpty() => System.CreateNamespace();

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
