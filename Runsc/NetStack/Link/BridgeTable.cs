using System.Collections.Generic;
using Runsc.NetStack.Core;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Link;

/// <summary>Which station is behind which port of a bridge, as learnt from what they send. Guarded by the stack's lock.</summary>
internal sealed class BridgeTable
{
    /// <summary>Stations that it knows at most: a port that makes addresses up does not fill memory.</summary>
    public const int MaxStations = 4096;

    private readonly Dictionary<MacAddress, Entry> _stations = [];

    /// <summary>Nanoseconds after which a station that is silent is forgotten; 0: at once.</summary>
    public long Ageing { get; set; } = 300_000_000_000;

    public int Count => _stations.Count;

    /// <summary>A frame of a station came in on a port.</summary>
    public void Learn(MacAddress station, NetworkInterface port, long now)
    {
        if (!station.IsUnicast || (_stations.Count >= MaxStations && !_stations.ContainsKey(station) && !MakeRoom(now)))
        {
            return;
        }

        _stations[station] = new Entry(port, now);
    }

    /// <summary>The port of a station, or null if it is not known.</summary>
    public NetworkInterface? Find(MacAddress station, long now) =>
        _stations.TryGetValue(station, out Entry entry) && now - entry.Seen < Ageing ? entry.Port : null;

    public void Forget(NetworkInterface port)
    {
        foreach ((MacAddress station, Entry entry) in _stations)
        {
            if (entry.Port == port)
            {
                _stations.Remove(station);
            }
        }
    }

    /// <summary>The stations that are known, with the nanoseconds since each was heard.</summary>
    public IEnumerable<(MacAddress Station, NetworkInterface Port, long Silent)> All(long now)
    {
        foreach ((MacAddress station, Entry entry) in _stations)
        {
            if (now - entry.Seen < Ageing)
            {
                yield return (station, entry.Port, now - entry.Seen);
            }
        }
    }

    private bool MakeRoom(long now)
    {
        foreach ((MacAddress station, Entry entry) in _stations)
        {
            if (now - entry.Seen >= Ageing)
            {
                _stations.Remove(station);
            }
        }

        return _stations.Count < MaxStations;
    }

    private readonly record struct Entry(NetworkInterface Port, long Seen);
}
