using System;
using System.Collections.Generic;
using System.Threading;
using Runsc.Linux;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.Sockets.Unix;

/// <summary>Descriptors that were sent over Unix sockets and not received yet.</summary>
/// <remarks>
/// A socket whose only references are messages that stand, directly or through others, in its own queue can never be used again, but its
/// count does not reach zero. As in Linux these are looked for when a Unix socket is closed, and when many are in flight:
/// a socket is a candidate when all its references are in flight; candidates that no queue of another socket reaches are garbage, and
/// what they hold is dropped. A candidate cannot become usable meanwhile, since taking a message out of a queue needs this lock.
/// The lock is a leaf: it is taken under the locks of endpoints.
/// </remarks>
internal sealed class InFlight
{
    // Linux: UNIX_INFLIGHT_TRIGGER_GC.
    private const int CollectAt = 16_000;

    private readonly Lock _mu = new();

    // Guarded by _mu.
    private readonly LinkedList<RightsBundle> _withSockets = new();
    private readonly Dictionary<uint, int> _ofUser = [];
    private int _sockets;
    private int _total;

    // Sockets that the last search left in flight, and closes since then: a search costs as much as there is in flight, so it is made when
    // that has doubled, or once for an eighth as many closes. Otherwise a program with many in flight would search at each call.
    private int _survivors;
    private int _closes;

    // Guarded by _mu: files whose release is due, and whether somebody is at it. Their release may release further bundles; a long chain
    // of sockets in each other's queues must not become a deep recursion.
    private readonly Queue<FileDescription> _dying = new();
    private bool _isReleasing;

    /// <summary>Descriptors in flight.</summary>
    public int Count
    {
        get
        {
            lock (_mu)
            {
                return _total;
            }
        }
    }

    /// <summary>Takes note of descriptors that are about to be queued at <paramref name="holder"/>. ETOOMANYREFS beyond a user's limit.</summary>
    public Errno Add(FileDescription[] files, UnixEndpoint holder, in FlightLimits limits, out RightsBundle? bundle)
    {
        bundle = new RightsBundle(files, holder) { User = limits.User };
        bool many;
        lock (_mu)
        {
            int mine = _ofUser.GetValueOrDefault(limits.User);
            if ((ulong)mine > limits.Maximum)
            {
                bundle = null;
                return Errno.ETOOMANYREFS;
            }

            int sockets = CountSockets(files);
            _ofUser[limits.User] = mine + files.Length;
            _total += files.Length;
            _sockets += sockets;
            if (sockets > 0)
            {
                bundle.Node = _withSockets.AddLast(bundle);
            }

            many = _sockets > CollectAt && _sockets > 2 * _survivors;
        }

        if (many)
        {
            Collect();
        }

        return Errno.None;
    }

    /// <summary>The descriptors of a message that leaves its queue; their references pass to the caller. Empty when they are gone.</summary>
    public FileDescription[] Take(RightsBundle bundle)
    {
        lock (_mu)
        {
            return TakeLocked(bundle);
        }
    }

    /// <summary>MSG_PEEK: the descriptors with a reference on each for the caller; the message keeps its own.</summary>
    public FileDescription[] Duplicate(RightsBundle bundle)
    {
        lock (_mu)
        {
            FileDescription[] files = bundle.Files ?? [];
            foreach (FileDescription file in files)
            {
                file.IncRef();
            }

            return files;
        }
    }

    /// <summary>Drops a message's descriptors.</summary>
    public void Discard(RightsBundle bundle) => Release(Take(bundle));

    /// <summary>Gives references back; no locks held. Another thread that is at it already does the work.</summary>
    public void Release(ReadOnlySpan<FileDescription> files)
    {
        lock (_mu)
        {
            foreach (FileDescription file in files)
            {
                _dying.Enqueue(file);
            }

            if (_isReleasing)
            {
                return;
            }

            _isReleasing = true;
        }

        while (true)
        {
            FileDescription? file;
            lock (_mu)
            {
                if (!_dying.TryDequeue(out file))
                {
                    _isReleasing = false;
                    return;
                }
            }

            file.DecRef();
        }
    }

    /// <summary>A Unix socket was closed: what it held together may be garbage now. No locks held.</summary>
    public void SocketClosed()
    {
        lock (_mu)
        {
            if (_sockets == 0 || ++_closes * 8L < _survivors)
            {
                return;
            }
        }

        Collect();
    }

    /// <summary>Drops what only circles of queues hold. No locks held.</summary>
    private void Collect()
    {
        List<FileDescription>? garbage = null;
        lock (_mu)
        {
            if (_sockets > 0)
            {
                garbage = FindGarbageLocked();
            }

            _survivors = _sockets;
            _closes = 0;
        }

        if (garbage is { Count: > 0 })
        {
            Release(garbage.ToArray());
        }
    }

    private List<FileDescription> FindGarbageLocked()
    {
        Dictionary<UnixSocket, int> inFlight = [];
        Dictionary<UnixEndpoint, List<RightsBundle>> queues = [];
        foreach (RightsBundle bundle in _withSockets)
        {
            foreach (FileDescription file in bundle.Files!)
            {
                if (file is UnixSocket socket)
                {
                    inFlight[socket] = inFlight.GetValueOrDefault(socket) + 1;
                }
            }

            UnixEndpoint holder = bundle.Holder.Owner;
            if (!queues.TryGetValue(holder, out List<RightsBundle>? queue))
            {
                queues[holder] = queue = [];
            }

            queue.Add(bundle);
        }

        HashSet<UnixEndpoint> candidates = [];
        foreach ((UnixSocket socket, int count) in inFlight)
        {
            if (socket.References == count)
            {
                candidates.Add(socket.Endpoint);
            }
        }

        // Everything that a socket outside the candidates holds is reachable, and so on.
        Queue<UnixEndpoint> reachable = new();
        foreach (UnixEndpoint holder in queues.Keys)
        {
            if (!candidates.Contains(holder))
            {
                reachable.Enqueue(holder);
            }
        }

        while (candidates.Count > 0 && reachable.TryDequeue(out UnixEndpoint? holder))
        {
            if (queues.Remove(holder, out List<RightsBundle>? queue))
            {
                foreach (RightsBundle bundle in queue)
                {
                    foreach (FileDescription file in bundle.Files!)
                    {
                        if (file is UnixSocket socket && candidates.Remove(socket.Endpoint))
                        {
                            reachable.Enqueue(socket.Endpoint);
                        }
                    }
                }
            }
        }

        List<FileDescription> garbage = [];
        foreach (UnixEndpoint dead in candidates)
        {
            if (queues.TryGetValue(dead, out List<RightsBundle>? queue))
            {
                foreach (RightsBundle bundle in queue)
                {
                    garbage.AddRange(TakeLocked(bundle));
                }
            }
        }

        return garbage;
    }

    private FileDescription[] TakeLocked(RightsBundle bundle)
    {
        FileDescription[] files = bundle.Files ?? [];
        bundle.Files = null;
        _total -= files.Length;
        if (files.Length > 0 && (_ofUser[bundle.User] -= files.Length) == 0)
        {
            _ofUser.Remove(bundle.User);
        }

        if (bundle.Node is not null)
        {
            _sockets -= CountSockets(files);
            _withSockets.Remove(bundle.Node);
            bundle.Node = null;
        }

        return files;
    }

    private static int CountSockets(FileDescription[] files)
    {
        int count = 0;
        foreach (FileDescription file in files)
        {
            count += file is UnixSocket ? 1 : 0;
        }

        return count;
    }
}
