using System.Runtime.InteropServices;
using Runsc.Linux;

namespace Runsc.Host.Syscalls;

/// <summary>Resource limits of this process (getrlimit(2)).</summary>
internal static unsafe partial class HostLimits
{
    /// <summary>Raises the soft limit of open files to the hard one.</summary>
    public static int RaiseOpenFiles()
    {
        ulong* limit = stackalloc ulong[2];
        int result = HostResult.Of(PrLimitNative(0, Resource.RLIMIT_NOFILE, null, limit));
        if (result < 0 || limit[0] == limit[1])
        {
            return result;
        }

        limit[0] = limit[1];
        return HostResult.Of(PrLimitNative(0, Resource.RLIMIT_NOFILE, limit, null));
    }

    [LibraryImport("libc", EntryPoint = "prlimit", SetLastError = true)]
    private static partial int PrLimitNative(int process, int resource, ulong* newLimit, ulong* oldLimit);
}
