using System;
using System.Collections.Generic;
using System.Threading;
using Runsc.Linux;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.FileSystems.Tmpfs;

/// <summary>tmpfs(5): a file system in memory.</summary>
internal sealed class TmpfsSuperBlock : SuperBlock
{
    private const uint DefaultMode = 0x3ff;

    private readonly TmpfsDirectory _root;
    private readonly long _maxPages;
    private readonly long _maxInodes;
    private long _pages;
    private long _inodes;
    private long _nextInode;

    /// <param name="kernel">For memory and time.</param>
    /// <param name="maxBytes">size=; 0 for half of the memory.</param>
    /// <param name="maxInodes">nr_inodes=; 0 for as many as there are pages.</param>
    /// <param name="mode">Permissions of the root directory.</param>
    /// <param name="uid">Its owner.</param>
    /// <param name="gid">Its group.</param>
    public TmpfsSuperBlock(SentryKernel kernel, long maxBytes = 0, long maxInodes = 0, uint mode = DefaultMode, uint uid = 0, uint gid = 0)
    {
        Kernel = kernel;
        _maxPages = maxBytes > 0 ? (maxBytes + 4095) / 4096 : (long)(kernel.Memory.Limit / 8192);
        _maxInodes = maxInodes > 0 ? maxInodes : _maxPages;
        ShownSize = maxBytes;
        (ShownMode, ShownUid, ShownGid) = (mode, uid, gid);
        _root = new TmpfsDirectory(this, new CreateOptions((uint)Stat.S_IFDIR | mode, uid, gid));
    }

    public SentryKernel Kernel { get; }

    public override string TypeName => "tmpfs";

    public override Inode Root => _root;

    private long ShownSize { get; }

    private uint ShownMode { get; }

    private uint ShownUid { get; }

    private uint ShownGid { get; }

    public override string ShownOptions
    {
        get
        {
            List<string> shown = [];
            if (ShownSize > 0)
            {
                shown.Add($"size={ShownSize / 1024}k");
            }

            if (ShownMode != DefaultMode)
            {
                shown.Add("mode=" + Convert.ToString(ShownMode, 8).PadLeft(3, '0'));
            }

            if (ShownUid != 0)
            {
                shown.Add($"uid={ShownUid}");
            }

            if (ShownGid != 0)
            {
                shown.Add($"gid={ShownGid}");
            }

            return string.Join(',', shown);
        }
    }

    public ulong NewInodeNumber() => (ulong)Interlocked.Increment(ref _nextInode);

    /// <summary>Counts one more inode. False: ENOSPC.</summary>
    public bool ChargeInode()
    {
        if (Interlocked.Increment(ref _inodes) <= _maxInodes)
        {
            return true;
        }

        Interlocked.Decrement(ref _inodes);
        return false;
    }

    public void UnchargeInode() => Interlocked.Decrement(ref _inodes);

    /// <summary>Counts pages in (positive) or out. False: ENOSPC.</summary>
    public bool ChargePages(long count)
    {
        if (Interlocked.Add(ref _pages, count) <= _maxPages || count < 0)
        {
            return true;
        }

        Interlocked.Add(ref _pages, -count);
        return false;
    }

    public override Errno GetStatfs(out Statfs statfs)
    {
        ulong free = (ulong)Math.Max(_maxPages - Volatile.Read(ref _pages), 0), files = (ulong)Math.Max(_maxInodes - Volatile.Read(ref _inodes), 0);
        statfs = new Statfs
        {
            Type = Stat.TMPFS_MAGIC,
            BlockSize = 4096,
            FragmentSize = 4096,
            Blocks = (ulong)_maxPages,
            BlocksFree = free,
            BlocksAvailable = free,
            Files = (ulong)_maxInodes,
            FilesFree = files,
            NameLength = 255,
        };
        return Errno.None;
    }

    public override Errno Sync() => Errno.None;
}
