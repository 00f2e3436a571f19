using System;
using System.Collections.Generic;
using System.Globalization;

namespace Runsc.NetStack.Core;

/// <summary>Interfaces that are made, and those that have their other end in another stack. All members need the stack's lock.</summary>
internal sealed partial class NetworkStack
{
    private const int MaxPeers = 4096;

    // Those of stacks that are gone are used again.
    private readonly List<Peer> _peers = [];

    /// <summary>The name, its %d replaced by the least number that is free; null when there is none.</summary>
    public string? FreeName(string pattern)
    {
        int at = pattern.IndexOf("%d", StringComparison.Ordinal);
        for (int i = 0; i < MaxInterfaces; i++)
        {
            string name = at < 0 ? pattern : string.Create(CultureInfo.InvariantCulture, $"{pattern.AsSpan(0, at)}{i}{pattern.AsSpan(at + 2)}");
            if (FindInterface(name) is null)
            {
                return name;
            }

            if (at < 0)
            {
                break;
            }
        }

        return null;
    }

    /// <summary>The number by which this stack knows another one (IFLA_LINK_NETNSID), or -1 if it has none and is to get none.</summary>
    public int PeerNumber(NetworkStack other, bool assigns)
    {
        int free = 0;
        _peers.RemoveAll(one => !one.Stack.TryGetTarget(out _));
        foreach (Peer one in _peers)
        {
            if (one.Stack.TryGetTarget(out NetworkStack? known) && known == other)
            {
                return one.Number;
            }
        }

        while (_peers.Exists(one => one.Number == free))
        {
            free++;
        }

        if (assigns)
        {
            _peers.Add(new Peer(free, new WeakReference<NetworkStack>(other)));
        }

        return assigns ? free : -1;
    }

    /// <summary>Gives another stack a number, or with a negative one any. Exists: it has one, or the number is another's.</summary>
    public NetError NamePeer(NetworkStack other, int number)
    {
        if (PeerNumber(other, assigns: false) >= 0 || _peers.Exists(one => one.Number == number))
        {
            return NetError.Exists;
        }

        if (_peers.Count >= MaxPeers)
        {
            return NetError.NoMemory;
        }

        if (number < 0)
        {
            _ = PeerNumber(other, assigns: true);
        }
        else
        {
            _peers.Add(new Peer(number, new WeakReference<NetworkStack>(other)));
        }

        return NetError.None;
    }

    /// <summary>The numbers of stacks that are there.</summary>
    public void ForEachPeer(Action<int> visit)
    {
        _peers.RemoveAll(one => !one.Stack.TryGetTarget(out _));
        _peers.Sort((a, b) => a.Number - b.Number);
        _peers.ForEach(one => visit(one.Number));
    }

    /// <summary>The other end of a pair went up or down.</summary>
    public void CarrierChanged(NetworkInterface networkInterface)
    {
        networkInterface.Master?.PortChanged(networkInterface);
        InterfaceChanged(networkInterface);
    }

    /// <summary>Tells the observer of a change.</summary>
    internal void InterfaceChanged(NetworkInterface networkInterface) => Observer?.InterfaceChanged(networkInterface, removed: false);

    private sealed class Peer(int number, WeakReference<NetworkStack> stack)
    {
        public int Number => number;

        public WeakReference<NetworkStack> Stack => stack;
    }
}
