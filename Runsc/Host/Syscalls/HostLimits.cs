using System;
using System.Runtime.InteropServices;
using Runsc.Linux;

namespace Runsc.Host.Syscalls;

/// <summary>Resource limits of this process (getrlimit(2)).</summary>
internal static unsafe partial class HostLimits
{
    /// <summary>As many open files as this process may have; a hard limit below <paramref name="wish"/> is raised where the rights for it are there.</summary>
    public static void RaiseOpenFiles(ulong wish)
    {
        ulong* limit = stackalloc ulong[2];
        if (PrLimitNative(0, Resource.RLIMIT_NOFILE, null, limit) < 0)
        {
            return;
        }

        ulong hard = limit[1];
        limit[0] = limit[1] = Math.Max(hard, wish);
        if (PrLimitNative(0, Resource.RLIMIT_NOFILE, limit, null) < 0)
        {
            limit[0] = limit[1] = hard;
            _ = PrLimitNative(0, Resource.RLIMIT_NOFILE, limit, null);
        }
    }

    /// <summary>The soft limit of open files.</summary>
    public static ulong OpenFiles()
    {
        ulong* limit = stackalloc ulong[2];
        return PrLimitNative(0, Resource.RLIMIT_NOFILE, null, limit) < 0 ? 1024 : limit[0];
    }

    [LibraryImport("libc", EntryPoint = "prlimit", SetLastError = true)]
    private static partial int PrLimitNative(int process, int resource, ulong* newLimit, ulong* oldLimit);
}
