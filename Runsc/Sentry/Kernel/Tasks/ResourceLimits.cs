using System;
using System.Threading;
using Runsc.Linux;

namespace Runsc.Sentry.Kernel.Tasks;

/// <summary>Limits of a process by RLIMIT_* number (getrlimit(2)).</summary>
internal sealed class ResourceLimits
{
    public const int Count = Resource.RLIM_NLIMITS;

    private readonly Lock _mu = new();

    // Guarded by _mu for writing; a soft limit is read without it.
    private readonly ulong[] _soft = new ulong[Count];
    private readonly ulong[] _hard = new ulong[Count];

    public ResourceLimits()
    {
        Array.Fill(_soft, Resource.RLIM_INFINITY);
        Array.Fill(_hard, Resource.RLIM_INFINITY);
        Set(Resource.RLIMIT_STACK, 8 << 20, Resource.RLIM_INFINITY);
        Set(Resource.RLIMIT_CORE, 0, Resource.RLIM_INFINITY);
        Set(Resource.RLIMIT_NOFILE, 1024, 1 << 20);
        Set(Resource.RLIMIT_MEMLOCK, 8 << 20, 8 << 20);
        Set(Resource.RLIMIT_SIGPENDING, 31_000, 31_000);
        Set(Resource.RLIMIT_NPROC, 31_000, 31_000);
        Set(Resource.RLIMIT_MSGQUEUE, 819_200, 819_200);
        Set(Resource.RLIMIT_NICE, 0, 0);
        Set(Resource.RLIMIT_RTPRIO, 0, 0);
    }

    public ulong Soft(int resource) => Volatile.Read(ref _soft[resource]);

    public (ulong Soft, ulong Hard) Get(int resource)
    {
        lock (_mu)
        {
            return (_soft[resource], _hard[resource]);
        }
    }

    /// <summary>Without checks, for set-up.</summary>
    public void Set(int resource, ulong soft, ulong hard)
    {
        lock (_mu)
        {
            Volatile.Write(ref _soft[resource], soft);
            _hard[resource] = hard;
        }
    }

    /// <summary>setrlimit(2): EINVAL when soft is above hard, EPERM when hard is raised without <paramref name="privileged"/>.</summary>
    public Errno Change(int resource, ulong soft, ulong hard, bool privileged)
    {
        if (soft > hard)
        {
            return Errno.EINVAL;
        }

        lock (_mu)
        {
            if (hard > _hard[resource] && !privileged)
            {
                return Errno.EPERM;
            }

            Volatile.Write(ref _soft[resource], soft);
            _hard[resource] = hard;
            return Errno.None;
        }
    }

    public ResourceLimits Clone()
    {
        ResourceLimits copy = new();
        lock (_mu)
        {
            _soft.CopyTo(copy._soft, 0);
            _hard.CopyTo(copy._hard, 0);
        }

        return copy;
    }
}
