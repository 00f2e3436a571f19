using System.Runtime.InteropServices;
using Runsc.Host.Syscalls;
using Runsc.Linux;

namespace Runsc.Host.Seccomp;

/// <summary>Puts a filter on all threads of this process, for good (seccomp(2)).</summary>
internal static unsafe partial class SeccompFilter
{
    /// <summary>struct sock_fprog.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Program
    {
        public ushort Length;
        public BpfInstruction* Instructions;
    }

    /// <summary>
    /// Sets no_new_privs and installs the filter with TSYNC. 0; −errno; or the id of a thread that has another filter.
    /// </summary>
    public static int Install(BpfInstruction[] instructions)
    {
        // Threads without no_new_privs get it by TSYNC.
        int result = HostResult.Of(PrctlNative(Prctl.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
        if (result < 0)
        {
            return result;
        }

        fixed (BpfInstruction* p = instructions)
        {
            Program program = new() { Length = checked((ushort)instructions.Length), Instructions = p };
            return (int)HostResult.Of(SeccompNative(SysNo.seccomp, Misc.SECCOMP_SET_MODE_FILTER, Misc.SECCOMP_FILTER_FLAG_TSYNC, &program));
        }
    }

    [LibraryImport("libc", EntryPoint = "prctl", SetLastError = true)]
    private static partial int PrctlNative(int option, ulong a, ulong b, ulong c, ulong d);

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static partial long SeccompNative(long number, ulong operation, ulong flags, Program* program);
}
