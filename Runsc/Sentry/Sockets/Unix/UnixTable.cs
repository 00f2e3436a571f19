using System;
using System.Collections.Generic;
using System.Globalization;
using System.Text;
using System.Threading;
using Runsc.Linux;

namespace Runsc.Sentry.Sockets.Unix;

/// <summary>Abstract names and all Unix sockets of a network namespace. Its lock is a leaf.</summary>
internal sealed class UnixTable
{
    // Autobind has 2^20 names; more sockets than that cannot be.
    private const uint AutomaticNames = 1 << 20;

    private readonly Lock _mu = new();

    // Guarded by _mu. As in Linux, a name belongs to one type of socket.
    private readonly Dictionary<(int Type, string Name), UnixEndpoint> _names = [];
    private readonly HashSet<UnixEndpoint> _all = [];
    private uint _nextAutomatic = (uint)Random.Shared.Next();

    /// <summary>A new socket is there.</summary>
    public void Add(UnixEndpoint endpoint)
    {
        lock (_mu)
        {
            _all.Add(endpoint);
        }
    }

    /// <summary>The socket is gone, and its abstract name with it.</summary>
    public void Remove(UnixEndpoint endpoint)
    {
        lock (_mu)
        {
            _all.Remove(endpoint);
            if (endpoint.Address is UnixAddress address)
            {
                ReleaseLocked(endpoint, address);
            }
        }
    }

    /// <summary>Gives an abstract name back.</summary>
    public void Release(UnixEndpoint endpoint, UnixAddress address)
    {
        lock (_mu)
        {
            ReleaseLocked(endpoint, address);
        }
    }

    private void ReleaseLocked(UnixEndpoint endpoint, UnixAddress address)
    {
        if (address.IsAbstract && _names.GetValueOrDefault((endpoint.Type, address.Key)) == endpoint)
        {
            _names.Remove((endpoint.Type, address.Key));
        }
    }

    /// <summary>EADDRINUSE.</summary>
    public Errno Bind(UnixEndpoint endpoint, UnixAddress address)
    {
        lock (_mu)
        {
            return _names.TryAdd((endpoint.Type, address.Key), endpoint) ? Errno.None : Errno.EADDRINUSE;
        }
    }

    /// <summary>Gives a name that nobody has. ENOSPC.</summary>
    public Errno BindAutomatic(UnixEndpoint endpoint, out UnixAddress? address)
    {
        lock (_mu)
        {
            for (uint tries = 0; tries < AutomaticNames; tries++)
            {
                unchecked
                {
                    _nextAutomatic++;
                }

                address = UnixAddress.Automatic(_nextAutomatic);
                if (_names.TryAdd((endpoint.Type, address.Key), endpoint))
                {
                    return Errno.None;
                }
            }
        }

        address = null;
        return Errno.ENOSPC;
    }

    /// <summary>The socket with an abstract name, or null.</summary>
    public UnixEndpoint? Find(int type, UnixAddress address)
    {
        lock (_mu)
        {
            return _names.GetValueOrDefault((type, address.Key));
        }
    }

    /// <summary>All sockets, those that wait to be accepted too.</summary>
    public UnixEndpoint[] Snapshot()
    {
        lock (_mu)
        {
            return [.. _all];
        }
    }

    /// <summary>/proc/net/unix.</summary>
    public string Describe()
    {
        StringBuilder text = new("Num       RefCount Protocol Flags    Type St Inode Path\n");
        foreach (UnixEndpoint endpoint in Snapshot())
        {
            const int acceptsConnections = 1 << 16;
            const int unconnected = 1, connecting = 2, connected = 3;
            bool isConnected = endpoint.IsConnected;
            int state = endpoint.Socket is null ? connecting : isConnected ? connected : unconnected;
            text.Append(
                CultureInfo.InvariantCulture,
                $"{0:X16}: {(isConnected ? 3 : 2):X8} {0:X8} {(endpoint.IsListening ? acceptsConnections : 0):X8} {endpoint.Type:X4} {state:X2} {endpoint.Socket?.InodeNumber ?? 0,5}");
            if (endpoint.Address is UnixAddress address)
            {
                text.Append(' ');
                if (address.IsAbstract)
                {
                    text.Append('@');
                }

                foreach (byte c in address.Name)
                {
                    text.Append(c == 0 ? '@' : (char)c);
                }
            }

            text.Append('\n');
        }

        return text.ToString();
    }
}
