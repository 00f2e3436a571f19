using System;
using System.Collections.Generic;
using System.Globalization;

namespace Runsc.NetStack.Core;

/// <summary>Interfaces that are made, and those that have their other end in another stack. All members need the stack's lock.</summary>
internal sealed partial class NetworkStack
{
    // The place is the number; places of stacks that are gone are used again.
    private readonly List<WeakReference<NetworkStack>> _peers = [];

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
        int free = _peers.Count;
        for (int i = 0; i < _peers.Count; i++)
        {
            if (!_peers[i].TryGetTarget(out NetworkStack? known))
            {
                free = Math.Min(free, i);
            }
            else if (known == other)
            {
                return i;
            }
        }

        if (!assigns)
        {
            return -1;
        }

        if (free == _peers.Count)
        {
            _peers.Add(new WeakReference<NetworkStack>(other));
        }
        else
        {
            _peers[free].SetTarget(other);
        }

        return free;
    }

    /// <summary>The other end of a pair went up or down.</summary>
    public void CarrierChanged(NetworkInterface networkInterface)
    {
        networkInterface.Master?.PortChanged(networkInterface);
        InterfaceChanged(networkInterface);
    }

    /// <summary>Tells the observer of a change.</summary>
    internal void InterfaceChanged(NetworkInterface networkInterface) => Observer?.InterfaceChanged(networkInterface, removed: false);
}
