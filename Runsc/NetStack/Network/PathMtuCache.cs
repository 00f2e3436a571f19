using System.Collections.Generic;
using Runsc.NetStack.Core;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Network;

/// <summary>Path MTUs that were learned from ICMP (RFC 1191, RFC 8201). They are forgotten after ten minutes. Guarded by the stack's lock.</summary>
internal sealed class PathMtuCache(NetworkStack stack) : NetTimer
{
    /// <summary>net.ipv4.route.min_pmtu: a smaller value from a stranger counts as this.</summary>
    public const int MinV4 = 552;

    private const int MaxEntries = 4096;
    private const long Second = 1_000_000_000;
    private const long Lifetime = 600 * Second;
    private const long SweepInterval = 60 * Second;

    private readonly Dictionary<IpAddress, (int Mtu, long Until)> _entries = [];

    public int Find(in IpAddress destination, int mtu) =>
        _entries.Count > 0 && _entries.TryGetValue(destination, out (int Mtu, long Until) entry) && entry.Mtu < mtu ? entry.Mtu : mtu;

    /// <summary>A router reports that packets larger than this do not pass. Returns the value that counts; values only go down.</summary>
    public int Learn(in IpAddress destination, int mtu)
    {
        mtu = System.Math.Max(mtu, destination.IsV4 ? MinV4 : Ipv6Header.MinMtu);
        if (_entries.TryGetValue(destination, out (int Mtu, long Until) known) && known.Mtu <= mtu)
        {
            return known.Mtu;
        }

        if (_entries.Count >= MaxEntries)
        {
            _entries.Clear();
        }

        _entries[destination] = (mtu, stack.Now + Lifetime);
        stack.RoutesChanged();
        if (!IsSet)
        {
            stack.Schedule(this, stack.Now + SweepInterval);
        }

        return mtu;
    }

    public override void Fire()
    {
        long now = stack.Now;
        List<IpAddress> over = [];
        foreach (KeyValuePair<IpAddress, (int Mtu, long Until)> entry in _entries)
        {
            if (entry.Value.Until <= now)
            {
                over.Add(entry.Key);
            }
        }

        foreach (IpAddress address in over)
        {
            _entries.Remove(address);
        }

        if (over.Count > 0)
        {
            stack.RoutesChanged();
        }

        if (_entries.Count > 0)
        {
            stack.Schedule(this, now + SweepInterval);
        }
    }
}
