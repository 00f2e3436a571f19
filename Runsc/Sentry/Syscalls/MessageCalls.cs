using System;
using Runsc.Linux;
using Runsc.Sentry.Kernel.Ipc;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Kernel.Time;
using Runsc.Sentry.Waiting;

namespace Runsc.Sentry.Syscalls;

/// <summary>Message queues of System V (msgget(2), msgop(2), msgctl(2)).</summary>
internal static unsafe class MessageCalls
{
    private const uint ReadRights = 0x124, WriteRights = 0x92;

    public static void Register(SyscallTable.Builder b)
    {
        b.Add(SysNo.msgget, "msgget", &Get, "hex,hex");
        b.Add(SysNo.msgsnd, "msgsnd", &Send, "int,ptr,size,hex");
        b.Add(SysNo.msgrcv, "msgrcv", &Receive, "int,ptr,size,int,hex");
        b.Add(SysNo.msgctl, "msgctl", &Control, "int,int,ptr");
    }

    private static long Get(Task task, in SyscallArguments a)
    {
        IpcTable<MessageQueue> table = task.Ipc.Queues;
        lock (table.Mu)
        {
            Errno error = table.GetLocked(a.Int0, a.Int1, task.Credentials, out MessageQueue? queue);
            if (error != Errno.None || queue is not null)
            {
                return error != Errno.None ? -(long)error : queue!.Id;
            }

            MessageQueue made = new(task.Ipc)
            {
                Key = a.Int0,
                Uid = task.Credentials.EffectiveUid,
                Gid = task.Credentials.EffectiveGid,
                Space = task.Ipc.Owner,
                CreatorUid = task.Credentials.EffectiveUid,
                CreatorGid = task.Credentials.EffectiveGid,
                Mode = (uint)a.Int1 & 0x1ff,
                ChangeTime = SharedMemoryCalls.Now(task),
            };
            table.AddLocked(made);
            return made.Id;
        }
    }

    private static long Send(Task task, in SyscallArguments a)
    {
        if (task.Memory.CopyIn(a.A1, out long type) != Errno.None)
        {
            return -(long)Errno.EFAULT;
        }

        if (a.A2 > (ulong)task.Ipc.Limits.MessageBytes || type < 1 || a.Int0 < 0)
        {
            return -(long)Errno.EINVAL;
        }

        byte[] text = new byte[a.A2];
        if (task.Memory.CopyIn(a.A1 + 8, text) != text.Length && text.Length > 0)
        {
            return -(long)Errno.EFAULT;
        }

        Message message = new(type, text);
        IpcTable<MessageQueue> table = task.Ipc.Queues;
        MessageQueue? queue;
        lock (table.Mu)
        {
            Errno found = table.FindLocked(a.Int0, out queue);
            found = found == Errno.None ? queue!.Check(task.Credentials, WriteRights) : found;
            if (found != Errno.None)
            {
                return -(long)found;
            }
        }

        TaskWaiter waiter = task.BeginWait(EventMask.Internal);
        queue!.Events.Register(waiter);
        Errno error;
        while (true)
        {
            lock (table.Mu)
            {
                error = queue.IsRemoved ? Errno.EIDRM : queue.TryAddLocked(message) ? Errno.None : Errno.EAGAIN;
                if (error == Errno.None)
                {
                    queue.LastSender = task.ProcessId;
                    queue.SendTime = SharedMemoryCalls.Now(task);
                }
            }

            if (error != Errno.EAGAIN || (a.Int3 & Ipc.IPC_NOWAIT) != 0)
            {
                break;
            }

            error = task.Block(Deadline.Infinite);
            if (error != Errno.None)
            {
                error = Errno.ERESTARTNOHAND;
                break;
            }
        }

        queue.Events.Unregister(waiter);
        task.EndWait(waiter);
        if (error == Errno.None)
        {
            queue.Events.Notify(EventMask.Internal);
        }

        return -(long)error;
    }

    private static long Receive(Task task, in SyscallArguments a)
    {
        int flags = a.Int4;
        bool copies = (flags & Ipc.MSG_COPY) != 0;
        if (a.A2 > long.MaxValue || a.Int0 < 0 || (copies && ((flags & Ipc.MSG_EXCEPT) != 0 || (flags & Ipc.IPC_NOWAIT) == 0)))
        {
            return -(long)Errno.EINVAL;
        }

        IpcTable<MessageQueue> table = task.Ipc.Queues;
        MessageQueue? queue;
        lock (table.Mu)
        {
            Errno found = table.FindLocked(a.Int0, out queue);
            found = found == Errno.None ? queue!.Check(task.Credentials, ReadRights) : found;
            if (found != Errno.None)
            {
                return -(long)found;
            }
        }

        TaskWaiter waiter = task.BeginWait(EventMask.Internal);
        queue!.Events.Register(waiter);
        Errno error;
        Message? message = null;
        while (true)
        {
            lock (table.Mu)
            {
                error = queue.IsRemoved ? Errno.EIDRM : Take(task, queue, a.A2, a.Long3, flags, out message);
            }

            if (error != Errno.ENOMSG || (flags & Ipc.IPC_NOWAIT) != 0)
            {
                break;
            }

            error = task.Block(Deadline.Infinite);
            if (error != Errno.None)
            {
                error = Errno.ERESTARTNOHAND;
                break;
            }
        }

        queue.Events.Unregister(waiter);
        task.EndWait(waiter);
        if (error != Errno.None)
        {
            return -(long)error;
        }

        if (!copies)
        {
            queue.Events.Notify(EventMask.Internal);
        }

        int length = (int)System.Math.Min((ulong)message!.Text.Length, a.A2);
        bool written = task.Memory.CopyOut(a.A1, message.Type) == Errno.None
            && (length == 0 || task.Memory.CopyOut(a.A1 + 8, System.MemoryExtensions.AsSpan(message.Text, 0, length)) == length);
        return written ? length : -(long)Errno.EFAULT;
    }

    /// <summary>Lock held: the table's. ENOMSG when there is none now, E2BIG.</summary>
    private static Errno Take(Task task, MessageQueue queue, ulong room, long type, int flags, out Message? message)
    {
        bool copies = (flags & Ipc.MSG_COPY) != 0;
        message = copies ? queue.AtLocked(type) : queue.FindLocked(type, (flags & Ipc.MSG_EXCEPT) != 0 && type > 0);
        if (message is null)
        {
            return Errno.ENOMSG;
        }

        if ((ulong)message.Text.Length > room && (flags & Ipc.MSG_NOERROR) == 0)
        {
            return Errno.E2BIG;
        }

        if (!copies)
        {
            queue.TakeLocked(message);
            queue.LastReceiver = task.ProcessId;
            queue.ReceiveTime = SharedMemoryCalls.Now(task);
        }

        return Errno.None;
    }

    private static long Control(Task task, in SyscallArguments a)
    {
        IpcTable<MessageQueue> table = task.Ipc.Queues;
        switch (a.Int1)
        {
            case Ipc.IPC_INFO or Ipc.MSG_INFO:
                return Limits(task, table, a);
            case Ipc.IPC_STAT or Ipc.MSG_STAT or Ipc.MSG_STAT_ANY:
                return Status(task, table, a);
            case Ipc.IPC_SET or Ipc.IPC_RMID:
                return Change(task, table, a);
            default:
                return -(long)Errno.EINVAL;
        }
    }

    private static long Limits(Task task, IpcTable<MessageQueue> table, in SyscallArguments a)
    {
        MsgLimits limits = new()
        {
            Pool = (int)Math.Min(table.Limit * task.Ipc.Limits.QueueBytes / 1024, int.MaxValue),
            Map = (int)task.Ipc.Limits.QueueBytes,
            MaximumSize = (int)task.Ipc.Limits.MessageBytes,
            MaximumBytes = (int)task.Ipc.Limits.QueueBytes,
            MaximumQueues = table.Limit,
            SegmentSize = 16,
            MaximumMessages = (int)task.Ipc.Limits.QueueBytes,
            Segments = 0xffff,
        };
        int highest;
        lock (table.Mu)
        {
            highest = table.HighestIndexLocked;
            if (a.Int1 == Ipc.MSG_INFO)
            {
                limits.Pool = table.CountLocked;
                limits.Map = limits.MaximumMessages = 0;
                foreach (MessageQueue queue in table.AllLocked)
                {
                    limits.Map += queue.Count;
                    limits.MaximumMessages += (int)queue.Bytes;
                }
            }
        }

        return task.Memory.CopyOut(a.A2, limits) == Errno.None ? highest : -(long)Errno.EFAULT;
    }

    private static long Status(Task task, IpcTable<MessageQueue> table, in SyscallArguments a)
    {
        MsgStatus status;
        long result;
        lock (table.Mu)
        {
            Errno error = a.Int1 == Ipc.IPC_STAT ? table.FindLocked(a.Int0, out MessageQueue? queue) : table.FindIndexLocked(a.Int0, out queue);
            if (error == Errno.None && a.Int1 != Ipc.MSG_STAT_ANY)
            {
                error = queue!.Check(task.Credentials, ReadRights);
            }

            if (error != Errno.None)
            {
                return -(long)error;
            }

            status = new MsgStatus
            {
                Permission = queue!.GetPermission(task.Credentials.UserNamespace),
                SendTime = queue.SendTime,
                ReceiveTime = queue.ReceiveTime,
                ChangeTime = queue.ChangeTime,
                Bytes = queue.Bytes,
                Count = (ulong)queue.Count,
                MaximumBytes = queue.MaximumBytes,
                LastSender = queue.LastSender,
                LastReceiver = queue.LastReceiver,
            };
            result = a.Int1 == Ipc.IPC_STAT ? 0 : queue.Id;
        }

        return task.Memory.CopyOut(a.A2, status) == Errno.None ? result : -(long)Errno.EFAULT;
    }

    private static long Change(Task task, IpcTable<MessageQueue> table, in SyscallArguments a)
    {
        MsgStatus wanted = default;
        if (a.Int1 == Ipc.IPC_SET && task.Memory.CopyIn(a.A2, out wanted) != Errno.None)
        {
            return -(long)Errno.EFAULT;
        }

        MessageQueue? queue;
        lock (table.Mu)
        {
            Errno error = table.FindLocked(a.Int0, out queue);
            error = error == Errno.None ? queue!.CheckOwner(task.Credentials) : error;
            if (error != Errno.None)
            {
                return -(long)error;
            }

            if (a.Int1 == Ipc.IPC_SET)
            {
                if (wanted.MaximumBytes > (ulong)task.Ipc.Limits.QueueBytes && !task.Credentials.HasCapability(Capability.CAP_SYS_RESOURCE))
                {
                    return -(long)Errno.EPERM;
                }

                error = queue!.Change(task.Credentials.UserNamespace, wanted.Permission, SharedMemoryCalls.Now(task));
                if (error != Errno.None)
                {
                    return -(long)error;
                }

                queue.MaximumBytes = wanted.MaximumBytes;
            }
            else
            {
                queue!.IsRemoved = true;
                queue.ClearLocked();
                table.RemoveLocked(queue);
            }
        }

        queue.Events.Notify(EventMask.Internal);
        return 0;
    }
}
