using System;
using System.Buffers.Binary;
using System.Collections.Generic;
using System.Globalization;
using System.Text;
using System.Threading;
using Runsc.Linux;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Vfs;
using Runsc.Sentry.Waiting;

namespace Runsc.Sentry.FileSystems.Events;

/// <summary>A queue of events of watched files (inotify(7)). Linux: struct fsnotify_group.</summary>
/// <remarks>A watch holds its dentry, so that the file keeps its inode in memory; not the mount, which may be detached meanwhile.</remarks>
internal sealed class InotifyDescription(SentryKernel kernel, int flags)
    : FileDescription(kernel.AnonymousFiles.NewPath("anon_inode:inotify", 0x180), Fcntl.O_RDONLY | flags)
{
    /// <summary>fs.inotify.max_queued_events.</summary>
    public const int MaxEvents = 16384;

    /// <summary>fs.inotify.max_user_watches, here for each instance.</summary>
    public const int MaxWatches = 65536;

    private const int HeaderSize = 16;

    private readonly Lock _mu = new();
    private readonly WaitQueue _waiters = new();

    // Guarded by _mu.
    private readonly Dictionary<int, Watch> _byId = [];
    private readonly Dictionary<Inode, Watch> _byInode = [];
    private readonly Queue<Event> _events = new();
    private Event _last;
    private long _bytes;
    private int _lastId;

    public override bool SupportsPoll => true;

    public override string ShownInfo
    {
        get
        {
            StringBuilder text = new();
            lock (_mu)
            {
                foreach ((int id, Watch watch) in _byId)
                {
                    watch.Inode.GetAttributes(out FileAttributes attributes);
                    text.Append(CultureInfo.InvariantCulture, $"inotify wd:{id:x} ino:{attributes.Inode:x} sdev:{attributes.Device:x} mask:{watch.Mask:x} ignored_mask:0\n");
                }
            }

            return text.ToString();
        }
    }

    /// <summary>inotify_add_watch(2): the watch, new or changed, or −ENOSPC or −EEXIST. The reference on the dentry passes.</summary>
    public long AddWatch(Dentry dentry, uint mask)
    {
        Inode inode = dentry.Inode!;
        Watch? watch;
        long result;
        lock (_mu)
        {
            if (_byInode.TryGetValue(inode, out watch))
            {
                result = (mask & Inotify.IN_MASK_CREATE) != 0 ? -(long)Errno.EEXIST : watch.Id;
                if (result >= 0)
                {
                    watch.Mask = (mask & Inotify.IN_MASK_ADD) != 0 ? watch.Mask | mask : mask;
                }
            }
            else if (_byId.Count >= MaxWatches)
            {
                result = -(long)Errno.ENOSPC;
            }
            else
            {
                Watch made = new(this, dentry, inode, ++_lastId) { Mask = mask };
                _byId.Add(made.Id, made);
                _byInode.Add(inode, made);
                InodeWatches.Of(inode).Add(made);
                return made.Id;
            }
        }

        dentry.DecRef();
        return result;
    }

    /// <summary>inotify_rm_watch(2). EINVAL.</summary>
    public Errno RemoveWatch(int id)
    {
        Watch? watch;
        lock (_mu)
        {
            if (!_byId.TryGetValue(id, out watch))
            {
                return Errno.EINVAL;
            }

            RemoveLocked(watch);
        }

        _waiters.Notify(EventMask.Readable);
        watch.Dentry.DecRef();
        return Errno.None;
    }

    public override long Read(ICaller caller, ref IoBuffer destination)
    {
        long done = 0;
        Span<byte> bytes = stackalloc byte[HeaderSize + 256];
        while (true)
        {
            int size;
            lock (_mu)
            {
                if (!_events.TryPeek(out Event next))
                {
                    return done > 0 ? done : -(long)Errno.EAGAIN;
                }

                size = next.Size;
                if (destination.Remaining < size)
                {
                    return done > 0 ? done : -(long)Errno.EINVAL;
                }

                _events.Dequeue();
                _bytes -= size;
                bytes[..size].Clear();
                BinaryPrimitives.WriteInt32LittleEndian(bytes, next.Id);
                BinaryPrimitives.WriteUInt32LittleEndian(bytes[4..], next.Mask);
                BinaryPrimitives.WriteUInt32LittleEndian(bytes[8..], next.Cookie);
                BinaryPrimitives.WriteInt32LittleEndian(bytes[12..], size - HeaderSize);
                next.Name.CopyTo(bytes[HeaderSize..]);
            }

            long n = destination.CopyOut(bytes[..size]);
            if (n < size)
            {
                return done > 0 ? done : -(long)Errno.EFAULT;
            }

            done += size;
        }
    }

    public override long Ioctl(ICaller caller, uint command, ulong argument)
    {
        if (command != Ioctls.FIONREAD)
        {
            return -(long)Errno.ENOTTY;
        }

        Span<byte> count = stackalloc byte[4];
        lock (_mu)
        {
            BinaryPrimitives.WriteInt32LittleEndian(count, (int)Math.Min(_bytes, int.MaxValue));
        }

        return caller.UserMemory.CopyOut(argument, count) == 4 ? 0 : -(long)Errno.EFAULT;
    }

    public override EventMask Readiness(EventMask mask)
    {
        lock (_mu)
        {
            return _events.Count > 0 ? mask & EventMask.Readable : EventMask.None;
        }
    }

    public override void Register(Waiter waiter) => _waiters.Register(waiter);

    public override void Unregister(Waiter waiter) => _waiters.Unregister(waiter);

    protected override void OnRelease()
    {
        Watch[] watches;
        lock (_mu)
        {
            watches = [.. _byId.Values];
            foreach (Watch watch in watches)
            {
                RemoveLocked(watch);
            }

            _events.Clear();
        }

        foreach (Watch watch in watches)
        {
            watch.Dentry.DecRef();
        }
    }

    private void Raise(Watch watch, uint mask, uint cookie, ReadOnlySpan<byte> name, bool unlinked)
    {
        bool ends = false;
        lock (_mu)
        {
            if (watch.IsRemoved || (mask & watch.Mask & Inotify.IN_ALL_EVENTS) == 0 || (unlinked && (watch.Mask & Inotify.IN_EXCL_UNLINK) != 0))
            {
                return;
            }

            EnqueueLocked(new Event(watch.Id, mask, cookie, name.ToArray()));
            ends = (watch.Mask & Inotify.IN_ONESHOT) != 0;
            if (ends)
            {
                RemoveLocked(watch);
            }
        }

        _waiters.Notify(EventMask.Readable);
        if (ends)
        {
            watch.Dentry.DecRef();
        }
    }

    private void End(Watch watch)
    {
        lock (_mu)
        {
            if (watch.IsRemoved)
            {
                return;
            }

            RemoveLocked(watch);
        }

        _waiters.Notify(EventMask.Readable);
        watch.Dentry.DecRef();
    }

    private void EnqueueLocked(in Event next)
    {
        // An event like the one before it says nothing new.
        if (_events.Count > 0 && _last.IsSame(next))
        {
            return;
        }

        if (_events.Count >= MaxEvents)
        {
            if (_last.Mask != Inotify.IN_Q_OVERFLOW)
            {
                AddLocked(new Event(-1, Inotify.IN_Q_OVERFLOW, 0, []));
            }

            return;
        }

        AddLocked(next);
    }

    private void AddLocked(in Event next)
    {
        _events.Enqueue(next);
        _last = next;
        _bytes += next.Size;
    }

    /// <summary>Lock held: _mu. The dentry's reference is the caller's to give back, without the lock.</summary>
    private void RemoveLocked(Watch watch)
    {
        watch.IsRemoved = true;
        _byId.Remove(watch.Id);
        _byInode.Remove(watch.Inode);
        watch.Inode.Watches?.Remove(watch);
        EnqueueLocked(new Event(watch.Id, Inotify.IN_IGNORED, 0, []));
    }

    private readonly record struct Event(int Id, uint Mask, uint Cookie, byte[] Name)
    {
        /// <summary>Bytes of struct inotify_event: names end with a NUL and are filled up to a multiple of 16.</summary>
        public int Size => HeaderSize + (Name.Length == 0 ? 0 : (Name.Length + 16) & ~15);

        public bool IsSame(in Event other) => Id == other.Id && Mask == other.Mask && Cookie == other.Cookie && Name.AsSpan().SequenceEqual(other.Name);
    }

    private sealed class Watch(InotifyDescription owner, Dentry dentry, Inode inode, int id) : InodeWatch
    {
        public Dentry Dentry => dentry;

        public Inode Inode => inode;

        public int Id => id;

        // Guarded by the owner's _mu.
        public uint Mask { get; set; }
        public bool IsRemoved { get; set; }

        public override void Raise(uint mask, uint cookie, ReadOnlySpan<byte> name, bool unlinked) => owner.Raise(this, mask, cookie, name, unlinked);

        public override void End() => owner.End(this);
    }
}
