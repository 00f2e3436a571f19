using System;
using System.Collections.Generic;
using System.Threading;

namespace Runsc.Sentry.Vfs;

/// <summary>Unused dentries; beyond the limit those are dropped that were not used since they were looked at last (a clock).</summary>
/// <remarks>One for the process: it bounds memory, whatever kernels there are. Its lock is a leaf; eviction happens outside of it.</remarks>
internal static class DentryCache
{
    private static int s_limit = 6_000;

    // Inodes that cost descriptors, and how many of them there may be before unused ones are dropped whatever their number.
    private static int s_costlyLimit = 200_000;
    private static int s_costly;

    // How many dentries one call looks at: it pays for what it brings in, with some to spare for those in use.
    private const int Looks = 4;

    // Values of Dentry.CacheState, changed by compare-and-exchange. Absent -> Queued when it is put into the queue;
    // Queued -> Used without the lock; Used -> Queued when the hand passes; Queued -> Absent when it is taken out.
    private const int Absent = 0;
    private const int Queued = 1;
    private const int Used = 2;

    private static readonly Lock s_mu = new();

    // Guarded by s_mu. A dentry stands here once at most; it may be in use again, or destroyed: eviction looks.
    private static readonly Queue<Dentry> s_unused = new();

    /// <summary>
    /// What the process can afford: a cached file may hold a path and an open descriptor in the gofer, and one here; as many again stay
    /// free for files in use. Called before the first file system is made.
    /// </summary>
    public static void FitInto(ulong openFiles)
    {
        s_limit = (int)Math.Min((ulong)s_limit, openFiles / 4);
        s_costlyLimit = (int)Math.Min((ulong)s_costlyLimit, openFiles / 4);
    }

    /// <summary>
    /// Counts inodes that hold a descriptor in the gofer. Directories above a cached file are in use and so not among the unused dentries,
    /// but they hold descriptors like it.
    /// </summary>
    public static void ChangeCostly(int change) => Interlocked.Add(ref s_costly, change);

    /// <summary>Makes room: a host has refused a descriptor. As any eviction it passes over what is locked.</summary>
    public static void Shrink()
    {
        int count;
        lock (s_mu)
        {
            count = s_unused.Count;
        }

        for (int i = 0; i < count; i++)
        {
            Dentry? victim = null;
            lock (s_mu)
            {
                if (s_unused.TryDequeue(out victim))
                {
                    Volatile.Write(ref victim.CacheState, Absent);
                }
            }

            if (victim is null)
            {
                return;
            }

            if (!victim.TryEvict())
            {
                Enqueue(victim);
            }
        }
    }

    private static bool IsFull => s_unused.Count > s_limit || Volatile.Read(ref s_costly) > s_costlyLimit;

    /// <summary>Called when a dentry has lost its last user. True: it stays cached.</summary>
    public static bool Keep(Dentry dentry)
    {
        if (dentry.Parent?.Inode is { CachesChildren: false })
        {
            return false;
        }

        if (Volatile.Read(ref dentry.CacheState) == Used || Interlocked.CompareExchange(ref dentry.CacheState, Used, Queued) != Absent)
        {
            return true;
        }

        Enqueue(dentry);
        for (int i = 0; i < Looks; i++)
        {
            Dentry? victim = NextVictim();
            if (victim is null)
            {
                return true;
            }

            if (!victim.TryEvict())
            {
                Enqueue(victim);
            }
        }

        return true;
    }

    private static void Enqueue(Dentry dentry)
    {
        lock (s_mu)
        {
            if (Interlocked.CompareExchange(ref dentry.CacheState, Queued, Absent) == Absent)
            {
                s_unused.Enqueue(dentry);
            }
        }
    }

    /// <summary>One to evict, or null when there is room or the hand found only such as were used lately.</summary>
    private static Dentry? NextVictim()
    {
        lock (s_mu)
        {
            for (int i = 0; i < Looks && s_unused.Count > 0 && IsFull; i++)
            {
                Dentry dentry = s_unused.Dequeue();
                if (Interlocked.CompareExchange(ref dentry.CacheState, Absent, Queued) == Queued)
                {
                    return dentry;
                }

                Volatile.Write(ref dentry.CacheState, Queued);
                s_unused.Enqueue(dentry);
            }

            return null;
        }
    }
}
