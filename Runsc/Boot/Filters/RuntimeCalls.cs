using System;
using Runsc.Host.Seccomp;
using Runsc.Linux;

namespace Runsc.Boot.Filters;

/// <summary>System calls that the .NET runtime and the C library make in a process that is up: memory, threads, locks, clocks, its own signals.</summary>
internal static class RuntimeCalls
{
    /// <summary>What pthread_create asks of clone(2), and nothing else: no process can be made with it.</summary>
    private const uint ThreadFlags =
        Sched.CLONE_VM | Sched.CLONE_FS | Sched.CLONE_FILES | Sched.CLONE_SIGHAND | Sched.CLONE_THREAD | Sched.CLONE_SYSVSEM | Sched.CLONE_SETTLS |
        Sched.CLONE_PARENT_SETTID | Sched.CLONE_CHILD_CLEARTID;

    public static SeccompRules AddTo(SeccompRules rules)
    {
        // Memory, never executable: nothing is compiled at run time.
        rules.AllowIf(SysNo.mmap, ArgumentCheck.Without(2, Mman.PROT_EXEC))
            .AllowIf(SysNo.mprotect, ArgumentCheck.Without(2, Mman.PROT_EXEC))
            .Allow(SysNo.munmap, SysNo.mremap, SysNo.madvise, SysNo.brk, SysNo.get_mempolicy);

        // Threads and locks. clone3 hides its flags behind a pointer; without it the C library uses clone.
        rules.Allow(SysNo.futex, SysNo.sched_yield, SysNo.membarrier, SysNo.set_robust_list, SysNo.rseq, SysNo.sched_getaffinity, SysNo.getcpu)
            .AllowIf(SysNo.clone, ArgumentCheck.Int64(0, ThreadFlags))
            .Fail(Errno.ENOSYS, SysNo.clone3)
            .Allow(SysNo.exit, SysNo.exit_group, SysNo.gettid, SysNo.getpid)
            .AllowValues(SysNo.prctl, 0, Prctl.PR_SET_NAME, Prctl.PR_SET_VMA);

        // Signals within this process: the collector stops threads with one.
        rules.AllowIf(SysNo.tgkill, ArgumentCheck.Int32(0, (uint)Environment.ProcessId))
            .Allow(SysNo.rt_sigaction, SysNo.rt_sigprocmask, SysNo.rt_sigreturn, SysNo.rt_sigtimedwait, SysNo.sigaltstack, SysNo.restart_syscall);

        // Clocks, randomness, and what the collector asks about the machine. Limits may be read, not set.
        rules.Allow(SysNo.clock_gettime, SysNo.clock_getres, SysNo.clock_nanosleep, SysNo.nanosleep, SysNo.gettimeofday)
            .Allow(SysNo.getrandom, SysNo.sysinfo, SysNo.getrusage)
            .AllowIf(SysNo.prlimit64, ArgumentCheck.Int64(2, 0));

        rules.Allow(SysNo.read, SysNo.write, SysNo.writev, SysNo.close, SysNo.poll, SysNo.ppoll);
        return rules;
    }
}
