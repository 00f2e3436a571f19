using System.Collections.Generic;
using System.Threading;
using Runsc.Linux;
using Runsc.Sentry.Kernel.Tasks;

namespace Runsc.Sentry.Syscalls;

/// <summary>membarrier(2).</summary>
internal static unsafe class MembarrierCalls
{
    public static void Register(SyscallTable.Builder b) => b.Add(SysNo.membarrier, "membarrier", &Membarrier, "int,hex,int");

    private static long Membarrier(Task task, in SyscallArguments a)
    {
        const int supported = Misc.MEMBARRIER_CMD_GLOBAL | Misc.MEMBARRIER_CMD_GLOBAL_EXPEDITED | Misc.MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED
            | Misc.MEMBARRIER_CMD_PRIVATE_EXPEDITED | Misc.MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED
            | Misc.MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ | Misc.MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ;
        bool onOneProcessor = a.Int0 == Misc.MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ && a.UInt1 == Misc.MEMBARRIER_CMD_FLAG_CPU;
        if (a.UInt1 != 0 && !onOneProcessor)
        {
            return -(long)Errno.EINVAL;
        }

        switch (a.Int0)
        {
            case Misc.MEMBARRIER_CMD_QUERY:
                return supported;
            case Misc.MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED:
                return 0;
            case Misc.MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED:
                task.ThreadGroup.UsesMembarrier = true;
                return 0;
            case Misc.MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ:
                task.ThreadGroup.UsesRseqMembarrier = true;
                return 0;
            case Misc.MEMBARRIER_CMD_PRIVATE_EXPEDITED when !task.ThreadGroup.UsesMembarrier:
            case Misc.MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ when !task.ThreadGroup.UsesRseqMembarrier:
                return -(long)Errno.EPERM;
            case Misc.MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ:
                AbortSequences(task, onOneProcessor ? a.Int2 : -1);
                return 0;
            case Misc.MEMBARRIER_CMD_PRIVATE_EXPEDITED:
            case Misc.MEMBARRIER_CMD_GLOBAL:
            case Misc.MEMBARRIER_CMD_GLOBAL_EXPEDITED:
                // Every thread of the sandbox, and so every processor that runs the application, passes a barrier.
                Interlocked.MemoryBarrierProcessWide();
                return 0;
            default:
                return -(long)Errno.EINVAL;
        }
    }

    /// <summary>
    /// Has the critical sections of all tasks of the address space aborted that are in one on a processor, or on any (−1), and comes back when none of them can go on: each has
    /// come out of the application since.
    /// </summary>
    private static void AbortSequences(Task task, int processor)
    {
        List<(Task Task, long Mark)> running = [];
        lock (task.Kernel.TaskLock)
        {
            foreach (Task other in task.Kernel.AllTasksLocked())
            {
                if (other != task && !other.HasExited && other.HasRseq && other.Memory == task.Memory && (processor < 0 || other.Cpu == processor))
                {
                    long mark = 0;
                    _ = other.StaysInApplication(ref mark);
                    running.Add((other, mark));
                    other.RequestRseqAbort();
                }
            }
        }

        foreach ((Task other, long mark) in running)
        {
            long seen = mark;
            while (!other.HasExited && other.StaysInApplication(ref seen))
            {
                Thread.Yield();
            }
        }
    }
}
