using System.Collections.Generic;
using Runsc.NetStack.Filter.Tracking;

namespace Runsc.NetStack.Filter.Expressions;

/// <summary>Connections that came somewhere and are still there.</summary>
internal sealed class ConnectionCount
{
    private readonly List<Connection> _connections = [];

    /// <summary>How many there are, with this one, which is not kept if there are more than <paramref name="most"/> already.</summary>
    public int Add(Connection connection, long now, uint most)
    {
        Purge(now);
        if (!_connections.Contains(connection) && _connections.Count <= most)
        {
            _connections.Add(connection);
        }

        return _connections.Count;
    }

    /// <summary>Leaves out those that are gone, or over; how many stay.</summary>
    public int Purge(long now)
    {
        for (int i = _connections.Count - 1; i >= 0; i--)
        {
            Connection one = _connections[i];
            if ((one.Status & ConnectionStatus.Dying) != 0 || (one.IsConfirmed && one.Deadline <= now) || one.Tcp is TcpTrackState.TimeWait or TcpTrackState.Close)
            {
                _connections[i] = _connections[^1];
                _connections.RemoveAt(_connections.Count - 1);
            }
        }

        return _connections.Count;
    }
}
