using System.Runtime.InteropServices;
using Runsc.Host.Syscalls;
using Runsc.Linux;

namespace Runsc.Host.Processes;

/// <summary>Children of a process that looks after many (waitid(2), PR_SET_CHILD_SUBREAPER).</summary>
internal static unsafe partial class HostProcess
{
    private const int P_ALL = 0, WNOWAIT = 0x1000000, WEXITED = 4;
    private const int SignalInfoSize = 128, SignalInfoPid = 16;

    /// <summary>Blocks until a child has ended, and leaves it to be waited for. Its id, or −errno (ECHILD: there are none).</summary>
    public static int AwaitChild()
    {
        byte* info = stackalloc byte[SignalInfoSize];
        int result;
        do
        {
            result = HostResult.Of(WaitIdNative(P_ALL, 0, info, WEXITED | WNOWAIT));
        }
        while (result == -(int)Errno.EINTR);
        return result < 0 ? result : *(int*)(info + SignalInfoPid);
    }

    public static uint EffectiveUser => (uint)HostFile.Syscall(SysNo.geteuid);

    public static uint EffectiveGroup => (uint)HostFile.Syscall(SysNo.getegid);

    /// <summary>Descendants whose parents end become children of this process.</summary>
    public static int BecomeSubreaper() => Prctl(Linux.Prctl.PR_SET_CHILD_SUBREAPER, 1);

    [LibraryImport("libc", EntryPoint = "waitid", SetLastError = true)]
    private static partial int WaitIdNative(int kind, uint id, byte* info, int options);
}
