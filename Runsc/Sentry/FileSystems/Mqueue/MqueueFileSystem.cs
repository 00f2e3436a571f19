using System;
using System.Collections.Generic;
using System.Text;
using System.Threading;
using Runsc.Linux;
using Runsc.Sentry.FileSystems.Pseudo;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Kernel.Ipc;
using Runsc.Sentry.Kernel.Time;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.FileSystems.Mqueue;

/// <summary>mqueue: the POSIX message queues of an IPC namespace, one tree however often it is mounted (mq_overview(7)).</summary>
internal static class MqueueFileSystem
{
    private const long Magic = 0x19800202;

    /// <summary>The root directory of a namespace's queues, made on first use. The namespace holds a mount of it, where mq_open(2) begins.</summary>
    public static Vfs.Mount Of(SentryKernel kernel, IpcNamespace space)
    {
        if (space.PosixQueues is Vfs.Mount present)
        {
            return present;
        }

        long now = kernel.Clock.Realtime;
        PseudoSuperBlock super = new("mqueue", Magic)
        {
            Device = kernel.NewDevice(),
            Created = new FileTime(now / ClockMath.Second, (uint)(now % ClockMath.Second)),
        };
        super.SetRoot(new MqueueDirectory(super, space.Limits));
        Vfs.Mount made = MountNamespace.NewMount(super, MountNamespace.NewRootDentry(super), 0);
        return Interlocked.CompareExchange(ref space.PosixQueues, made, null) as Vfs.Mount ?? made;
    }
}

/// <summary>The directory of queues: flat, sticky, and writable for all.</summary>
internal sealed class MqueueDirectory(PseudoSuperBlock super, IpcLimits limits) : PseudoDirectory(super, 0x3ff)
{
    // Whatever fs.mqueue.queues_max says: queues lie in the kernel's own memory.
    private const int MaxQueues = 4096;

    private readonly PseudoSuperBlock _super = super;
    private readonly Lock _mu = new();

    // Guarded by _mu; holds a reference on each.
    private readonly SortedDictionary<string, MqueueInode> _queues = new(StringComparer.Ordinal);

    public override bool CachesChildren => false;

    public override bool IsChildValid(ReadOnlySpan<byte> name, Inode? child)
    {
        lock (_mu)
        {
            return child is not null && _queues.GetValueOrDefault(Encoding.Latin1.GetString(name)) == child;
        }
    }

    protected override Errno LookupDynamic(ReadOnlySpan<byte> name, out Inode? child)
    {
        lock (_mu)
        {
            child = _queues.GetValueOrDefault(Encoding.Latin1.GetString(name));
            child?.IncRef();
        }

        return child is null ? Errno.ENOENT : Errno.None;
    }

    /// <summary>A file made by its name gets the usual limits.</summary>
    public override Errno Create(ReadOnlySpan<byte> name, in CreateOptions create, out Inode? child)
    {
        child = null;
        return (create.Mode & (uint)Stat.S_IFMT) != Stat.S_IFREG
            ? Errno.EPERM
            : Add(name, create, new PosixQueue(limits.PosixMessagesByDefault, limits.PosixMessageBytesByDefault), privileged: false, out child);
    }

    /// <summary>EEXIST, ENOSPC when there are too many; who is privileged goes beyond fs.mqueue.queues_max.</summary>
    public Errno Add(ReadOnlySpan<byte> name, in CreateOptions create, PosixQueue queue, bool privileged, out Inode? child)
    {
        string text = Encoding.Latin1.GetString(name);
        child = null;
        lock (_mu)
        {
            if (_queues.ContainsKey(text))
            {
                return Errno.EEXIST;
            }

            if ((_queues.Count >= limits.PosixQueues && !privileged) || _queues.Count >= MaxQueues)
            {
                return Errno.ENOSPC;
            }

            MqueueInode made = new(_super, queue, create);
            _queues.Add(text, made);
            made.IncRef();
            child = made;
            return Errno.None;
        }
    }

    public override Errno Unlink(ReadOnlySpan<byte> name, Inode child)
    {
        lock (_mu)
        {
            if (!_queues.Remove(Encoding.Latin1.GetString(name)))
            {
                return Errno.ENOENT;
            }
        }

        child.DecRef();
        return Errno.None;
    }

    protected override void ListDynamic(ICaller caller, long from, DynamicEntryVisitor visit)
    {
        List<(string Name, ulong Number)> entries = [];
        lock (_mu)
        {
            foreach ((string name, MqueueInode inode) in _queues)
            {
                entries.Add((name, inode.Number));
            }
        }

        for (int i = (int)Math.Min(from, int.MaxValue); i < entries.Count; i++)
        {
            if (!visit(i, entries[i].Name, entries[i].Number, (byte)Dirent.DT_REG))
            {
                return;
            }
        }
    }
}

/// <summary>A queue's file.</summary>
internal sealed class MqueueInode(PseudoSuperBlock super, PosixQueue queue, in CreateOptions create) : PseudoInode(super, (uint)Stat.S_IFREG | (create.Mode & 0xfff))
{
    private readonly Lock _mu = new();

    // Guarded by _mu.
    private uint _permissions = create.Mode & 0xfff;
    private uint _uid = create.Uid;
    private uint _gid = create.Gid;

    public PosixQueue Queue => queue;

    protected override long Size => 80;

    public override Errno GetAttributes(out FileAttributes attributes)
    {
        Errno error = base.GetAttributes(out attributes);
        lock (_mu)
        {
            attributes.Mode = (uint)Stat.S_IFREG | _permissions;
            attributes.Uid = _uid;
            attributes.Gid = _gid;
        }

        return error;
    }

    public override Errno SetAttributes(in AttributeChange change)
    {
        lock (_mu)
        {
            _permissions = (change.Mask & AttributeMask.Mode) != 0 ? change.Mode & 0xfff : _permissions;
            _uid = (change.Mask & AttributeMask.Uid) != 0 ? change.Uid : _uid;
            _gid = (change.Mask & AttributeMask.Gid) != 0 ? change.Gid : _gid;
            return Errno.None;
        }
    }

    public override Errno Open(ICaller caller, in VfsPath path, int flags, out FileDescription? file)
    {
        file = new PosixQueueDescription(queue, path, flags);
        return Errno.None;
    }
}
