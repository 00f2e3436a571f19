using System;
using System.Collections.Generic;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using System.Threading;
using Runsc.Linux;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Vfs;
using Runsc.Sentry.Waiting;

namespace Runsc.Sentry.FileSystems.Events;

/// <summary>struct epoll_event: packed on x86-64.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal struct EpollEvent
{
    public const int SizeInBytes = 12;

    public uint Events;
    public ulong Data;
}

/// <summary>A set of files, and the list of those among them that may have become ready (epoll(7)). Linux: struct eventpoll.</summary>
/// <remarks>
/// An interest enters the ready list when its file says so, and is looked at only when somebody collects: so the list may name files
/// that are not ready, but never misses one that is. Level-triggered interests go to the list's end when they were reported.
/// Locks: _mu (the table; held while waiters are put into and taken out of files' queues), then a file's queue lock, then _readyMu.
/// No lock is held while a file is asked for its readiness. Sets that watch sets form no circle, so their locks have an order too.
/// </remarks>
internal sealed class EpollDescription(SentryKernel kernel)
    : FileDescription(kernel.AnonymousFiles.NewPath("anon_inode:[eventpoll]", 0x180), Fcntl.O_RDWR)
{
    /// <summary>Sets within sets: Linux allows chains of five.</summary>
    private const int MaxNesting = 5;

    private const uint EventBits = 0x0fff_ffff;

    // What may stand beside EPOLLEXCLUSIVE.
    private const uint ExclusiveBits = (uint)(EventMask.In | EventMask.Out | EventMask.Err | EventMask.Hup) | Epoll.EPOLLWAKEUP | Epoll.EPOLLET | Epoll.EPOLLEXCLUSIVE;
    private const EventMask AlwaysWatched = EventMask.Err | EventMask.Hup;

    // Held while a set is put into another, so that two of them cannot close a circle together.
    private static readonly Lock s_nesting = new();

    private readonly Lock _mu = new();

    // Guarded by _mu.
    private readonly Dictionary<(FileDescription File, int Fd), Interest> _interests = [];

    private readonly Lock _readyMu = new();

    // Guarded by _readyMu.
    private readonly LinkedList<Interest> _ready = new();

    private readonly WaitQueue _waiters = new();

    public override bool SupportsPoll => true;

    public override string ShownInfo
    {
        get
        {
            StringBuilder text = new();
            lock (_mu)
            {
                foreach (((_, int fd), Interest interest) in _interests)
                {
                    text.Append(CultureInfo.InvariantCulture, $"tfd: {fd,8} events: {interest.Events,8:x} data: {interest.Data,16:x}  pos:0 ino:0 sdev:0\n");
                }
            }

            return text.ToString();
        }
    }

    /// <summary>EPOLL_CTL_ADD. EEXIST, EPERM for files that are always ready, EINVAL, ELOOP.</summary>
    public Errno Add(FileDescription file, int fd, in EpollEvent wanted)
    {
        if (!file.SupportsPoll)
        {
            return Errno.EPERM;
        }

        if ((wanted.Events & Epoll.EPOLLEXCLUSIVE) != 0 && (file is EpollDescription || (wanted.Events & ~ExclusiveBits) != 0))
        {
            return Errno.EINVAL;
        }

        if (file is not EpollDescription inner)
        {
            return AddCore(file, fd, wanted);
        }

        lock (s_nesting)
        {
            return inner == this ? Errno.EINVAL : inner.Reaches(this, 1) ? Errno.ELOOP : AddCore(file, fd, wanted);
        }
    }

    private Errno AddCore(FileDescription file, int fd, in EpollEvent wanted)
    {
        Interest interest = new(this, file) { Node = null! };
        interest.Node = new LinkedListNode<Interest>(interest);
        interest.Set(wanted);
        lock (_mu)
        {
            if (!_interests.TryAdd((file, fd), interest))
            {
                return Errno.EEXIST;
            }

            interest.Fd = fd;
            Registrations.Of(file).Add(interest);
            file.Register(interest);
        }

        Look(interest);
        return Errno.None;
    }

    /// <summary>EPOLL_CTL_MOD. ENOENT, EINVAL for an exclusive interest.</summary>
    public Errno Modify(FileDescription file, int fd, in EpollEvent wanted)
    {
        Interest? interest;
        lock (_mu)
        {
            if (!_interests.TryGetValue((file, fd), out interest))
            {
                return Errno.ENOENT;
            }

            if (interest.IsExclusive)
            {
                return Errno.EINVAL;
            }

            // A waiter's mask is constant while it stands in a queue.
            file.Unregister(interest);
            lock (_readyMu)
            {
                interest.Set(wanted);
            }

            file.Register(interest);
        }

        Look(interest);
        return Errno.None;
    }

    /// <summary>EPOLL_CTL_DEL. ENOENT.</summary>
    public Errno Remove(FileDescription file, int fd)
    {
        lock (_mu)
        {
            if (!_interests.Remove((file, fd), out Interest? interest))
            {
                return Errno.ENOENT;
            }

            DropLocked(interest);
            return Errno.None;
        }
    }

    /// <summary>Takes up to as many events as fit: how many there were. For one caller at a time or for several, who share them.</summary>
    public int Collect(Span<EpollEvent> events)
    {
        int left;
        lock (_readyMu)
        {
            left = _ready.Count;
        }

        int found = 0;
        while (found < events.Length && left-- > 0)
        {
            Interest interest;
            lock (_readyMu)
            {
                if (_ready.First is not LinkedListNode<Interest> node)
                {
                    break;
                }

                interest = node.Value;
                _ready.Remove(node);
            }

            // An event after this look puts the interest into the list again.
            EventMask now = ReadinessOf(interest);
            bool again = false;
            lock (_readyMu)
            {
                now &= interest.Watched;
                if (now == EventMask.None || interest.IsRemoved)
                {
                    continue;
                }

                events[found++] = new EpollEvent { Events = (uint)now, Data = interest.Data };
                if ((interest.Events & Epoll.EPOLLONESHOT) != 0)
                {
                    interest.Watched = EventMask.None;
                }
                else if ((interest.Events & Epoll.EPOLLET) == 0 && interest.Node.List is null)
                {
                    _ready.AddLast(interest.Node);
                    again = true;
                }
            }

            if (again)
            {
                _waiters.Notify(EventMask.Readable);
            }
        }

        return found;
    }

    public override EventMask Readiness(EventMask mask)
    {
        if ((mask & EventMask.Readable) == 0)
        {
            return EventMask.None;
        }

        Interest[] candidates;
        lock (_readyMu)
        {
            if (_ready.Count == 0)
            {
                return EventMask.None;
            }

            candidates = [.. _ready];
        }

        foreach (Interest interest in candidates)
        {
            if ((ReadinessOf(interest) & interest.Watched) != 0)
            {
                return mask & EventMask.Readable;
            }

            // Not ready any more: out of the list, unless it became ready since the look.
            lock (_readyMu)
            {
                if (interest.Node.List is not null)
                {
                    _ready.Remove(interest.Node);
                }
            }

            Look(interest);
        }

        lock (_readyMu)
        {
            return _ready.Count > 0 ? mask & EventMask.Readable : EventMask.None;
        }
    }

    public override void Register(Waiter waiter) => _waiters.Register(waiter);

    public override void Unregister(Waiter waiter) => _waiters.Unregister(waiter);

    protected override void OnRelease()
    {
        lock (_mu)
        {
            foreach (Interest interest in _interests.Values)
            {
                DropLocked(interest);
            }

            _interests.Clear();
        }
    }

    private static EventMask ReadinessOf(Interest interest)
    {
        if (!interest.File.TryIncRef())
        {
            return EventMask.None;
        }

        EventMask now = interest.File.Readiness(interest.Mask);
        interest.File.DecRef();
        return now;
    }

    /// <summary>Puts an interest into the list if its file is ready now.</summary>
    private void Look(Interest interest)
    {
        if ((ReadinessOf(interest) & interest.Watched) != 0)
        {
            MakeReady(interest);
        }
    }

    /// <summary>True if the interest was not in the list, and somebody waits for the set.</summary>
    private bool MakeReady(Interest interest)
    {
        lock (_readyMu)
        {
            if (interest.IsRemoved || interest.Watched == EventMask.None || interest.Node.List is not null)
            {
                return false;
            }

            _ready.AddLast(interest.Node);
        }

        bool hasWaiters = !_waiters.IsEmpty;
        _waiters.Notify(EventMask.Readable);
        return hasWaiters;
    }

    /// <summary>Lock held: _mu. The interest is out of the table: takes it out of everything else.</summary>
    private void DropLocked(Interest interest)
    {
        interest.File.Unregister(interest);
        (interest.File.EpollRegistrations as Registrations)?.Remove(interest);
        lock (_readyMu)
        {
            interest.IsRemoved = true;
            if (interest.Node.List is not null)
            {
                _ready.Remove(interest.Node);
            }
        }
    }

    private void Forget(Interest interest)
    {
        lock (_mu)
        {
            if (_interests.Remove((interest.File, interest.Fd)))
            {
                DropLocked(interest);
            }
        }
    }

    /// <summary>Lock held: s_nesting. Is <paramref name="other"/> watched by this set, directly or not, or is the chain too long?</summary>
    private bool Reaches(EpollDescription other, int depth)
    {
        if (depth >= MaxNesting)
        {
            return true;
        }

        List<EpollDescription> inner = [];
        lock (_mu)
        {
            foreach ((FileDescription file, _) in _interests.Keys)
            {
                if (file is EpollDescription set)
                {
                    inner.Add(set);
                }
            }
        }

        return inner.Exists(set => set == other || set.Reaches(other, depth + 1));
    }

    /// <summary>One file in the set (Linux: struct epitem). It holds no reference on the file: the file's end takes it away.</summary>
    private sealed class Interest(EpollDescription epoll, FileDescription file) : Waiter
    {
        public FileDescription File { get; } = file;

        public int Fd { get; set; }

        // Guarded by the set's _readyMu.
        public uint Events { get; private set; }
        public ulong Data { get; private set; }
        public EventMask Watched { get; set; }
        public bool IsRemoved { get; set; }
        public required LinkedListNode<Interest> Node { get; set; }

        public void Set(in EpollEvent wanted)
        {
            Events = wanted.Events;
            Data = wanted.Data;
            Watched = Mask = (EventMask)(wanted.Events & EventBits) | AlwaysWatched;
        }

        // Written before the interest stands in a queue, and only then for an exclusive one.
        public override bool IsExclusive => (Events & Epoll.EPOLLEXCLUSIVE) != 0;

        public override void Notify(EventMask events) => epoll.MakeReady(this);

        public override bool TryNotify(EventMask events) => epoll.MakeReady(this);

        public void Forget() => epoll.Forget(this);
    }

    /// <summary>All interests in one file.</summary>
    private sealed class Registrations : IEpollRegistrations
    {
        private readonly Lock _mu = new();
        private readonly List<Interest> _interests = [];

        public static Registrations Of(FileDescription file)
        {
            if (file.EpollRegistrations is Registrations there)
            {
                return there;
            }

            Registrations made = new();
            return (Registrations)(Interlocked.CompareExchange(ref file.EpollRegistrations, made, null) ?? made);
        }

        public void Add(Interest interest)
        {
            lock (_mu)
            {
                _interests.Add(interest);
            }
        }

        public void Remove(Interest interest)
        {
            lock (_mu)
            {
                _interests.Remove(interest);
            }
        }

        public void OnFileReleased(FileDescription file)
        {
            Interest[] interests;
            lock (_mu)
            {
                interests = [.. _interests];
            }

            foreach (Interest interest in interests)
            {
                interest.Forget();
            }
        }
    }
}
