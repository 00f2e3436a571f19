using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Runsc.Host.Syscalls;

/// <summary>Every wrapper of this folder returns a value ≥ 0 or −errno, and retries nothing unless it says so.</summary>
internal static class HostResult
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static long Of(long result) => result >= 0 ? result : -Marshal.GetLastPInvokeError();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Of(int result) => result >= 0 ? result : -Marshal.GetLastPInvokeError();
}
