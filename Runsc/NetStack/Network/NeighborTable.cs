using System.Collections.Generic;
using Runsc.NetStack.Core;

namespace Runsc.NetStack.Network;

/// <summary>The neighbours on one interface, both families: the ARP and NDP cache. Bounded. Guarded by the stack's lock.</summary>
internal sealed class NeighborTable(NetworkInterface owner)
{
    /// <summary>As gc_thresh3: beyond it the least recently used that is not set by hand gives way.</summary>
    private const int MaxEntries = 1024;

    private readonly Dictionary<IpAddress, Neighbor> _entries = [];

    public NetworkInterface Interface { get; } = owner;

    public IReadOnlyCollection<Neighbor> All => _entries.Values;

    public Neighbor? Find(in IpAddress address) => _entries.GetValueOrDefault(address);

    public bool Contains(in IpAddress address) => _entries.ContainsKey(address);

    /// <summary>The entry, made if there is none; null when the table is full of what cannot go.</summary>
    public Neighbor? GetOrAdd(in IpAddress address)
    {
        if (_entries.TryGetValue(address, out Neighbor? entry))
        {
            return entry;
        }

        if (_entries.Count >= MaxEntries && !TryEvict())
        {
            return null;
        }

        entry = new Neighbor(this, address);
        _entries.Add(address, entry);
        return entry;
    }

    public void Remove(Neighbor neighbor)
    {
        if (_entries.Remove(neighbor.Address))
        {
            neighbor.Close();
            Interface.Stack.RoutesChanged();
            Interface.Stack.Observer?.NeighborChanged(neighbor, removed: true);
        }
    }

    public void Clear(bool permanentToo)
    {
        foreach (Neighbor neighbor in new List<Neighbor>(_entries.Values))
        {
            if (permanentToo || neighbor.State != NeighborState.Permanent)
            {
                Remove(neighbor);
            }
        }
    }

    private bool TryEvict()
    {
        Neighbor? oldest = null;
        foreach (Neighbor neighbor in _entries.Values)
        {
            if (neighbor.State != NeighborState.Permanent && (oldest is null || neighbor.LastUsed < oldest.LastUsed))
            {
                oldest = neighbor;
            }
        }

        if (oldest is not null)
        {
            Remove(oldest);
        }

        return oldest is not null;
    }
}
