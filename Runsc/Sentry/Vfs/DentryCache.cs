using System.Collections.Generic;
using System.Threading;

namespace Runsc.Sentry.Vfs;

/// <summary>Unused dentries in the order in which they fell out of use; beyond the limit the oldest are dropped.</summary>
/// <remarks>One for the process: it bounds memory, whatever kernels there are. Its lock is a leaf; eviction happens outside of it.</remarks>
internal static class DentryCache
{
    private const int Limit = 6_000;

    private static readonly Lock s_mu = new();

    // Guarded by s_mu. A dentry may stand here although it is used again, or twice: eviction looks.
    private static readonly Queue<Dentry> s_unused = new();

    /// <summary>Called when a dentry has lost its last user. True: it stays cached.</summary>
    public static bool Keep(Dentry dentry)
    {
        if (dentry.Parent?.Inode is { CachesChildren: false })
        {
            return false;
        }

        Dentry? victim = null;
        lock (s_mu)
        {
            s_unused.Enqueue(dentry);
            if (s_unused.Count > Limit)
            {
                victim = s_unused.Dequeue();
            }
        }

        if (victim is not null && victim != dentry)
        {
            victim.TryEvict();
        }

        return true;
    }
}
