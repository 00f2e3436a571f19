using System;
using System.Buffers;
using System.Runtime.InteropServices;
using Runsc.Linux;
using Runsc.Sentry.Kernel.Ipc;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Kernel.Time;
using Runsc.Sentry.Waiting;

namespace Runsc.Sentry.Syscalls;

/// <summary>Semaphores of System V (semget(2), semop(2), semctl(2)).</summary>
internal static unsafe class SemaphoreCalls
{
    private const uint ReadRights = 0x124, WriteRights = 0x92;
    private const int StackOperations = 32;

    public static void Register(SyscallTable.Builder b)
    {
        b.Add(SysNo.semget, "semget", &Get, "hex,int,hex");
        b.Add(SysNo.semop, "semop", &Operate, "int,ptr,size");
        b.Add(SysNo.semtimedop, "semtimedop", &OperateTimed, "int,ptr,size,timespec");
        b.Add(SysNo.semctl, "semctl", &Control, "int,int,int,hex");
    }

    private static long Get(Task task, in SyscallArguments a)
    {
        IpcTable<SemaphoreSet> table = task.Ipc.Semaphores;
        int count = a.Int1;
        if (count < 0 || count > task.Ipc.Limits.SemaphoresPerSet)
        {
            return -(long)Errno.EINVAL;
        }

        lock (table.Mu)
        {
            Errno error = table.GetLocked(a.Int0, a.Int2, task.Credentials, out SemaphoreSet? set);
            if (error != Errno.None)
            {
                return -(long)error;
            }

            if (set is not null)
            {
                return count > set.Values.Length ? -(long)Errno.EINVAL : set.Id;
            }

            if (count == 0)
            {
                return -(long)Errno.EINVAL;
            }

            long inUse = 0;
            foreach (SemaphoreSet other in table.AllLocked)
            {
                inUse += other.Values.Length;
            }

            if (inUse + count > task.Ipc.Limits.Semaphores)
            {
                return -(long)Errno.ENOSPC;
            }

            SemaphoreSet made = new(table, count)
            {
                Key = a.Int0,
                Uid = task.Credentials.EffectiveUid,
                Gid = task.Credentials.EffectiveGid,
                Space = task.Ipc.Owner,
                CreatorUid = task.Credentials.EffectiveUid,
                CreatorGid = task.Credentials.EffectiveGid,
                Mode = (uint)a.Int2 & 0x1ff,
                ChangeTime = SharedMemoryCalls.Now(task),
            };
            table.AddLocked(made);
            return made.Id;
        }
    }

    private static long Operate(Task task, in SyscallArguments a) => Operate(task, a.Int0, a.A1, a.A2, Deadline.Infinite);

    private static long OperateTimed(Task task, in SyscallArguments a)
    {
        Errno error = TimeArguments.ReadTimeout(task, a.A3, out Deadline deadline);
        return error != Errno.None ? -(long)error : Operate(task, a.Int0, a.A1, a.A2, deadline);
    }

    private static long Operate(Task task, int id, ulong address, ulong count, in Deadline deadline)
    {
        if (count == 0)
        {
            return -(long)Errno.EINVAL;
        }

        if (count > (ulong)task.Ipc.Limits.SemaphoreOperations)
        {
            return -(long)Errno.E2BIG;
        }

        SemOperation[]? rented = count > StackOperations ? ArrayPool<SemOperation>.Shared.Rent((int)count) : null;
        Span<SemOperation> operations = rented ?? stackalloc SemOperation[StackOperations];
        operations = operations[..(int)count];
        Span<byte> bytes = MemoryMarshal.AsBytes(operations);
        long result = task.Memory.CopyIn(address, bytes) == bytes.Length ? -(long)Operate(task, id, operations, deadline) : -(long)Errno.EFAULT;
        if (rented is not null)
        {
            ArrayPool<SemOperation>.Shared.Return(rented);
        }

        return result;
    }

    private static Errno Operate(Task task, int id, ReadOnlySpan<SemOperation> operations, in Deadline deadline)
    {
        IpcTable<SemaphoreSet> table = task.Ipc.Semaphores;
        bool changes = false, undoes = false;
        foreach (ref readonly SemOperation operation in operations)
        {
            changes |= operation.Change != 0;
            undoes |= (operation.Flags & Ipc.SEM_UNDO) != 0;
        }

        SemaphoreSet? set;
        lock (table.Mu)
        {
            Errno found = table.FindLocked(id, out set);
            found = found == Errno.None ? set!.Check(task.Credentials, changes ? WriteRights : ReadRights) : found;
            if (found != Errno.None)
            {
                return found;
            }
        }

        SemaphoreUndo? undo = undoes ? task.UndoFor(set!) : null;
        TaskWaiter waiter = task.BeginWait(EventMask.Internal);
        set!.Events.Register(waiter);
        Errno error;
        int blocked = 0;
        while (true)
        {
            ref readonly SemOperation stuck = ref operations[0];
            lock (table.Mu)
            {
                error = set.IsRemoved ? Errno.EIDRM : set.TryOperateLocked(operations, task.ProcessId, undo, out blocked);
                if (error == Errno.None)
                {
                    set.OperationTime = SharedMemoryCalls.Now(task);
                }

                if (error != Errno.EAGAIN)
                {
                    break;
                }

                stuck = ref operations[blocked];
                if ((stuck.Flags & Ipc.IPC_NOWAIT) != 0)
                {
                    break;
                }

                (stuck.Change == 0 ? set.WaitersForZero : set.WaitersForMore)[stuck.Index]++;
            }

            Errno slept = task.Block(deadline);
            lock (table.Mu)
            {
                (stuck.Change == 0 ? set.WaitersForZero : set.WaitersForMore)[stuck.Index]--;
                if (slept != Errno.None)
                {
                    // A change that came with the interruption counts.
                    error = set.IsRemoved ? Errno.EIDRM : slept == Errno.ETIMEDOUT ? Errno.EAGAIN : Errno.EINTR;
                    break;
                }
            }
        }

        set.Events.Unregister(waiter);
        task.EndWait(waiter);
        if (error == Errno.None && changes)
        {
            set.Events.Notify(EventMask.Internal);
        }

        return error;
    }

    private static long Control(Task task, in SyscallArguments a)
    {
        IpcTable<SemaphoreSet> table = task.Ipc.Semaphores;
        switch (a.Int2)
        {
            case Ipc.IPC_INFO or Ipc.SEM_INFO:
                return Limits(task, table, a.Int2, a.A3);
            case Ipc.IPC_STAT or Ipc.SEM_STAT or Ipc.SEM_STAT_ANY:
                return Status(task, table, a);
            case Ipc.GETALL:
                return GetAll(task, table, a);
            case Ipc.SETALL:
                return SetAll(task, table, a);
            case Ipc.GETVAL or Ipc.GETPID or Ipc.GETNCNT or Ipc.GETZCNT or Ipc.SETVAL:
                return One(task, table, a);
            case Ipc.IPC_SET or Ipc.IPC_RMID:
                return Change(task, table, a);
            default:
                return -(long)Errno.EINVAL;
        }
    }

    private static long Limits(Task task, IpcTable<SemaphoreSet> table, int command, ulong address)
    {
        SemLimits limits = new()
        {
            MapSize = (int)task.Ipc.Limits.Semaphores,
            MaximumSets = table.Limit,
            MaximumSemaphores = (int)task.Ipc.Limits.Semaphores,
            MaximumUndos = (int)task.Ipc.Limits.Semaphores,
            MaximumPerSet = (int)task.Ipc.Limits.SemaphoresPerSet,
            MaximumOperations = (int)task.Ipc.Limits.SemaphoreOperations,
            MaximumUndoEntries = (int)task.Ipc.Limits.SemaphoreOperations,
            UndoSize = 20,
            MaximumValue = SemaphoreSet.MaxValue,
            MaximumAdjustment = SemaphoreSet.MaxValue,
        };
        int highest;
        lock (table.Mu)
        {
            highest = table.HighestIndexLocked;
            if (command == Ipc.SEM_INFO)
            {
                limits.UndoSize = table.CountLocked;
                limits.MaximumAdjustment = 0;
                foreach (SemaphoreSet set in table.AllLocked)
                {
                    limits.MaximumAdjustment += set.Values.Length;
                }
            }
        }

        return task.Memory.CopyOut(address, limits) == Errno.None ? highest : -(long)Errno.EFAULT;
    }

    private static long Status(Task task, IpcTable<SemaphoreSet> table, in SyscallArguments a)
    {
        SemStatus status;
        long result;
        lock (table.Mu)
        {
            Errno error = a.Int2 == Ipc.IPC_STAT ? table.FindLocked(a.Int0, out SemaphoreSet? set) : table.FindIndexLocked(a.Int0, out set);
            if (error == Errno.None && a.Int2 != Ipc.SEM_STAT_ANY)
            {
                error = set!.Check(task.Credentials, ReadRights);
            }

            if (error != Errno.None)
            {
                return -(long)error;
            }

            status = new SemStatus { Permission = set!.GetPermission(task.Credentials.UserNamespace), OperationTime = set.OperationTime, ChangeTime = set.ChangeTime, Count = (ulong)set.Values.Length };
            result = a.Int2 == Ipc.IPC_STAT ? 0 : set.Id;
        }

        return task.Memory.CopyOut(a.A3, status) == Errno.None ? result : -(long)Errno.EFAULT;
    }

    private static Errno FindLocked(Task task, IpcTable<SemaphoreSet> table, int id, uint rights, out SemaphoreSet? set)
    {
        Errno error = table.FindLocked(id, out set);
        return error == Errno.None ? set!.Check(task.Credentials, rights) : error;
    }

    private static long GetAll(Task task, IpcTable<SemaphoreSet> table, in SyscallArguments a)
    {
        ushort[] values;
        lock (table.Mu)
        {
            Errno error = FindLocked(task, table, a.Int0, ReadRights, out SemaphoreSet? set);
            if (error != Errno.None)
            {
                return -(long)error;
            }

            values = [.. set!.Values];
        }

        Span<byte> bytes = MemoryMarshal.AsBytes(values.AsSpan());
        return task.Memory.CopyOut(a.A3, bytes) == bytes.Length ? 0 : -(long)Errno.EFAULT;
    }

    private static long SetAll(Task task, IpcTable<SemaphoreSet> table, in SyscallArguments a)
    {
        SemaphoreSet? set;
        lock (table.Mu)
        {
            Errno error = FindLocked(task, table, a.Int0, WriteRights, out set);
            if (error != Errno.None)
            {
                return -(long)error;
            }
        }

        ushort[] values = new ushort[set!.Values.Length];
        Span<byte> bytes = MemoryMarshal.AsBytes(values.AsSpan());
        if (task.Memory.CopyIn(a.A3, bytes) != bytes.Length)
        {
            return -(long)Errno.EFAULT;
        }

        foreach (ushort value in values)
        {
            if (value > SemaphoreSet.MaxValue)
            {
                return -(long)Errno.ERANGE;
            }
        }

        lock (table.Mu)
        {
            if (set.IsRemoved)
            {
                return -(long)Errno.EIDRM;
            }

            values.CopyTo(set.Values, 0);
            Array.Fill(set.Pids, task.ProcessId);
            foreach (SemaphoreUndo undo in set.Undos)
            {
                Array.Clear(undo.Adjustments);
            }

            set.ChangeTime = SharedMemoryCalls.Now(task);
        }

        set.Events.Notify(EventMask.Internal);
        return 0;
    }

    private static long One(Task task, IpcTable<SemaphoreSet> table, in SyscallArguments a)
    {
        int index = a.Int1, value = unchecked((int)a.A3);
        SemaphoreSet? set;
        lock (table.Mu)
        {
            bool sets = a.Int2 == Ipc.SETVAL;
            if (sets && value is < 0 or > SemaphoreSet.MaxValue)
            {
                return -(long)Errno.ERANGE;
            }

            Errno error = FindLocked(task, table, a.Int0, sets ? WriteRights : ReadRights, out set);
            if (error != Errno.None)
            {
                return -(long)error;
            }

            if ((uint)index >= (uint)set!.Values.Length)
            {
                return -(long)Errno.EINVAL;
            }

            switch (a.Int2)
            {
                case Ipc.GETVAL:
                    return set.Values[index];
                case Ipc.GETPID:
                    return set.Pids[index];
                case Ipc.GETNCNT:
                    return set.WaitersForMore[index];
                case Ipc.GETZCNT:
                    return set.WaitersForZero[index];
            }

            set.Values[index] = (ushort)value;
            set.Pids[index] = task.ProcessId;
            foreach (SemaphoreUndo undo in set.Undos)
            {
                undo.Adjustments[index] = 0;
            }

            set.ChangeTime = SharedMemoryCalls.Now(task);
        }

        set.Events.Notify(EventMask.Internal);
        return 0;
    }

    private static long Change(Task task, IpcTable<SemaphoreSet> table, in SyscallArguments a)
    {
        SemStatus wanted = default;
        if (a.Int2 == Ipc.IPC_SET && task.Memory.CopyIn(a.A3, out wanted) != Errno.None)
        {
            return -(long)Errno.EFAULT;
        }

        SemaphoreSet? set;
        lock (table.Mu)
        {
            Errno error = table.FindLocked(a.Int0, out set);
            error = error == Errno.None ? set!.CheckOwner(task.Credentials) : error;
            if (error != Errno.None)
            {
                return -(long)error;
            }

            if (a.Int2 == Ipc.IPC_SET)
            {
                return -(long)set!.Change(task.Credentials.UserNamespace, wanted.Permission, SharedMemoryCalls.Now(task));
            }

            set!.IsRemoved = true;
            table.RemoveLocked(set);
        }

        set.Events.Notify(EventMask.Internal);
        return 0;
    }
}
