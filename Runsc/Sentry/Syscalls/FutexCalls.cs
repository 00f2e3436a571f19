using System;
using System.Runtime.InteropServices;
using Runsc.Linux;
using Runsc.Sentry.Kernel.Futex;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Kernel.Time;

namespace Runsc.Sentry.Syscalls;

/// <summary>futex(2), futex_waitv(2).</summary>
internal static unsafe class FutexCalls
{
    public static void Register(SyscallTable.Builder b)
    {
        b.Add(SysNo.futex, "futex", &DoFutex, "ptr,futexop,uint,hex,ptr,hex");
        b.Add(SysNo.futex_waitv, "futex_waitv", &WaitV, "ptr,uint,hex,timespec,clock");
    }

    private static long DoFutex(Task task, in SyscallArguments a)
    {
        int operation = a.Int1;
        int command = operation & Linux.Futex.FUTEX_CMD_MASK;
        bool isPrivate = (operation & Linux.Futex.FUTEX_PRIVATE_FLAG) != 0;
        bool realtime = (operation & Linux.Futex.FUTEX_CLOCK_REALTIME) != 0;
        if (realtime && command is not (Linux.Futex.FUTEX_WAIT_BITSET or Linux.Futex.FUTEX_WAIT))
        {
            return -(long)Errno.ENOSYS;
        }

        FutexTable futexes = task.Kernel.Futexes;
        switch (command)
        {
            case Linux.Futex.FUTEX_WAIT:
            {
                Errno error = TimeArguments.ReadTimeout(task, a.A3, out Deadline deadline);
                return error != Errno.None ? -(long)error : WaitFor(task, a.A0, isPrivate, a.UInt2, Linux.Futex.FUTEX_BITSET_MATCH_ANY, deadline);
            }

            case Linux.Futex.FUTEX_WAIT_BITSET:
            {
                Errno error = TimeArguments.ReadAbsolute(task, a.A3, realtime ? TimeConstants.CLOCK_REALTIME : TimeConstants.CLOCK_MONOTONIC, out Deadline deadline);
                return error != Errno.None ? -(long)error : WaitFor(task, a.A0, isPrivate, a.UInt2, a.UInt5, deadline);
            }

            case Linux.Futex.FUTEX_WAKE:
                return futexes.Wake(task.Memory, a.A0, isPrivate, a.Int2, Linux.Futex.FUTEX_BITSET_MATCH_ANY);
            case Linux.Futex.FUTEX_WAKE_BITSET:
                return futexes.Wake(task.Memory, a.A0, isPrivate, a.Int2, a.UInt5);
            case Linux.Futex.FUTEX_REQUEUE:
                return futexes.Requeue(task.Memory, a.A0, a.A4, isPrivate, a.Int2, a.Int3, null);
            case Linux.Futex.FUTEX_CMP_REQUEUE:
                return futexes.Requeue(task.Memory, a.A0, a.A4, isPrivate, a.Int2, a.Int3, a.UInt5);
            case Linux.Futex.FUTEX_WAKE_OP:
                return futexes.WakeOp(task.Memory, a.A0, a.A4, isPrivate, a.Int2, a.Int3, a.UInt5);
            default:
                return -(long)Errno.ENOSYS;
        }
    }

    private static long WaitFor(Task task, ulong address, bool isPrivate, uint expected, uint bitset, in Deadline deadline)
    {
        Errno error = task.Kernel.Futexes.Wait(task, address, isPrivate, expected, bitset, deadline);
        if (error != Errno.ERESTARTSYS || deadline.IsInfinite)
        {
            return -(long)error;
        }

        // A wait with a timeout goes on with what is left of it.
        task.RestartA = address;
        task.RestartB = expected;
        task.RestartC = bitset;
        task.RestartD = isPrivate ? 1u : 0;
        task.RestartDeadline = deadline.Nanoseconds;
        return task.SetRestart(&RestartWait);
    }

    private static long RestartWait(Task task) =>
        WaitFor(task, task.RestartA, task.RestartD != 0, (uint)task.RestartB, (uint)task.RestartC, new Deadline(task.RestartDeadline));

    private static long WaitV(Task task, in SyscallArguments a)
    {
        const uint size32 = Linux.Futex.FUTEX_32;
        int count = a.Int1;
        if (a.UInt2 != 0 || count is < 1 or > Linux.Futex.FUTEX_WAITV_MAX || a.A0 == 0)
        {
            return -(long)Errno.EINVAL;
        }

        if (a.A3 != 0 && a.Int4 is not (TimeConstants.CLOCK_REALTIME or TimeConstants.CLOCK_MONOTONIC))
        {
            return -(long)Errno.EINVAL;
        }

        Errno error = TimeArguments.ReadAbsolute(task, a.A3, a.Int4, out Deadline deadline);
        if (error != Errno.None)
        {
            return -(long)error;
        }

        Span<FutexWaitv> words = stackalloc FutexWaitv[count];
        Span<byte> bytes = MemoryMarshal.AsBytes(words);
        if (task.Memory.CopyIn(a.A0, bytes) != bytes.Length)
        {
            return -(long)Errno.EFAULT;
        }

        foreach (ref readonly FutexWaitv word in words)
        {
            if ((word.Flags & ~(uint)Linux.Futex.FUTEX_PRIVATE_FLAG) != size32 || word.Reserved != 0 || word.Value > uint.MaxValue)
            {
                return -(long)Errno.EINVAL;
            }
        }

        return task.Kernel.Futexes.WaitAny(task, words, deadline);
    }
}
