using System.Globalization;
using Runsc.Linux;
using Runsc.Platform;
using Runsc.Sentry.Kernel.Ipc;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Kernel.Time;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Memory;

namespace Runsc.Sentry.Syscalls;

/// <summary>Shared memory of System V (shmget(2), shmat(2), shmctl(2)). SHM_HUGETLB gives ordinary pages.</summary>
internal static unsafe class SharedMemoryCalls
{
    private const ulong PageSize = 4096;
    private const uint ReadRights = 0x124, WriteRights = 0x92, ExecuteRights = 0x49;

    public static void Register(SyscallTable.Builder b)
    {
        b.Add(SysNo.shmget, "shmget", &Get, "hex,size,hex");
        b.Add(SysNo.shmat, "shmat", &Attach, "int,ptr,hex");
        b.Add(SysNo.shmdt, "shmdt", &Detach, "ptr");
        b.Add(SysNo.shmctl, "shmctl", &Control, "int,int,ptr");
    }

    internal static long Now(Task task) => task.Kernel.Clock.Realtime / ClockMath.Second;

    private static long Get(Task task, in SyscallArguments a)
    {
        IpcTable<SharedSegment> table = task.Ipc.Segments;
        ulong size = a.A1;
        lock (table.Mu)
        {
            Errno error = table.GetLocked(a.Int0, a.Int2, task.Credentials, out SharedSegment? segment);
            if (error != Errno.None)
            {
                return -(long)error;
            }

            if (segment is not null)
            {
                return segment.Size < size ? -(long)Errno.EINVAL : segment.Id;
            }

            if (size == 0 || size > task.Ipc.Limits.SegmentBytes)
            {
                return -(long)Errno.EINVAL;
            }

            ulong length = (size + PageSize - 1) & ~(PageSize - 1);
            ulong pagesInUse = 0;
            foreach (SharedSegment other in table.AllLocked)
            {
                pagesInUse += (other.Size + PageSize - 1) / PageSize;
            }

            if (pagesInUse + (length / PageSize) > task.Ipc.Limits.SegmentPages)
            {
                return -(long)Errno.ENOSPC;
            }

            if (length > task.Kernel.Memory.Limit)
            {
                return -(long)Errno.ENOMEM;
            }

            PageCache pages = new(task.Kernel.Memory, null, default);
            pages.SetSize(length);
            SharedSegment made = new(table, pages, size)
            {
                Key = a.Int0,
                Uid = task.Credentials.EffectiveUid,
                Gid = task.Credentials.EffectiveGid,
                Space = task.Ipc.Owner,
                CreatorUid = task.Credentials.EffectiveUid,
                CreatorGid = task.Credentials.EffectiveGid,
                Mode = (uint)a.Int2 & 0x1ff,
                CreatorPid = task.ProcessId,
                ChangeTime = Now(task),
            };
            table.AddLocked(made);
            pages.Identity = new MappingIdentity(string.Create(CultureInfo.InvariantCulture, $"/SYSV{(uint)a.Int0:x8} (deleted)"), 1, (ulong)made.Id);
            return made.Id;
        }
    }

    private static long Attach(Task task, in SyscallArguments a)
    {
        int flags = a.Int2;
        ulong address = a.A1;
        if ((flags & Ipc.SHM_RND) != 0)
        {
            address &= ~(PageSize - 1);
        }

        if (address % PageSize != 0 || (address == 0 && (flags & Ipc.SHM_REMAP) != 0))
        {
            return -(long)Errno.EINVAL;
        }

        bool readOnly = (flags & Ipc.SHM_RDONLY) != 0, executes = (flags & Ipc.SHM_EXEC) != 0;
        uint rights = ReadRights | (readOnly ? 0 : WriteRights) | (executes ? ExecuteRights : 0);
        IpcTable<SharedSegment> table = task.Ipc.Segments;
        SharedSegment? segment;
        lock (table.Mu)
        {
            Errno found = table.FindLocked(a.Int0, out segment);
            found = found == Errno.None ? segment!.Check(task.Credentials, rights) : found;
            if (found != Errno.None)
            {
                return -(long)found;
            }

            // It stays until the mapping has a reference of its own.
            segment!.IncRef();
            segment.AttachTime = Now(task);
            segment.LastPid = task.ProcessId;
        }

        AccessType protection = AccessType.Read | (readOnly ? AccessType.None : AccessType.Write) | (executes ? AccessType.Execute : AccessType.None);
        MmapRequest request = new()
        {
            Address = address,
            Length = (segment.Size + PageSize - 1) & ~(PageSize - 1),
            Protection = protection,
            MaxProtection = readOnly ? AccessType.Read | AccessType.Execute : AccessType.Read | AccessType.Write | AccessType.Execute,
            Shared = true,
            Fixed = address != 0 && (flags & Ipc.SHM_REMAP) != 0,
            NoReplace = address != 0 && (flags & Ipc.SHM_REMAP) == 0,
            Mappable = segment,
        };
        Errno error = task.Memory.Mmap(request, out ulong place);
        segment.DecRef();
        return error == Errno.EEXIST ? -(long)Errno.EINVAL : error != Errno.None ? -(long)error : (long)place;
    }

    private static long Detach(Task task, in SyscallArguments a)
    {
        ulong address = a.A0;
        if (address % PageSize != 0)
        {
            return -(long)Errno.EINVAL;
        }

        // All that is left of the mapping that began at this address, split or not.
        SharedSegment? segment = null;
        foreach (MappingReport mapping in task.Memory.Report(count: false))
        {
            if (mapping.Start >= address && mapping.Mappable is SharedSegment candidate && (segment is null || segment == candidate)
                && mapping.Start - mapping.Offset == address && mapping.Offset < candidate.Size)
            {
                segment = candidate;
                _ = task.Memory.Munmap(mapping.Start, mapping.End - mapping.Start);
            }
        }

        if (segment is null)
        {
            return -(long)Errno.EINVAL;
        }

        lock (task.Ipc.Segments.Mu)
        {
            segment.DetachTime = Now(task);
            segment.LastPid = task.ProcessId;
        }

        return 0;
    }

    private static long Control(Task task, in SyscallArguments a)
    {
        IpcTable<SharedSegment> table = task.Ipc.Segments;
        switch (a.Int1)
        {
            case Ipc.IPC_INFO:
            {
                ulong count = (ulong)table.Limit;
                ShmLimits limits = new() { MaximumSize = task.Ipc.Limits.SegmentBytes, MinimumSize = 1, MaximumCount = count, MaximumPerProcess = count, MaximumPages = task.Ipc.Limits.SegmentPages };
                return Answer(task, a.A2, limits, Highest(table));
            }

            case Ipc.SHM_INFO:
                return Answer(task, a.A2, Use(table, out int highest), highest);
            case Ipc.IPC_STAT or Ipc.SHM_STAT or Ipc.SHM_STAT_ANY:
            {
                Errno error = Status(task, table, a.Int0, a.Int1, out ShmStatus status, out int id);
                return error != Errno.None ? -(long)error : Answer(task, a.A2, status, id);
            }

            case Ipc.IPC_SET or Ipc.IPC_RMID or Ipc.SHM_LOCK or Ipc.SHM_UNLOCK:
                return Change(task, table, a);
            default:
                return -(long)Errno.EINVAL;
        }
    }

    private static long Answer<T>(Task task, ulong address, in T value, int result)
        where T : unmanaged => task.Memory.CopyOut(address, value) == Errno.None ? result : -(long)Errno.EFAULT;

    private static int Highest(IpcTable<SharedSegment> table)
    {
        lock (table.Mu)
        {
            return table.HighestIndexLocked;
        }
    }

    private static ShmUse Use(IpcTable<SharedSegment> table, out int highest)
    {
        lock (table.Mu)
        {
            ShmUse use = new() { Count = table.CountLocked };
            foreach (SharedSegment segment in table.AllLocked)
            {
                use.TotalPages += (segment.Size + PageSize - 1) / PageSize;
                use.ResidentPages += segment.ResidentPages;
            }

            highest = table.HighestIndexLocked;
            return use;
        }
    }

    private static Errno Status(Task task, IpcTable<SharedSegment> table, int id, int command, out ShmStatus status, out int result)
    {
        status = default;
        result = 0;
        lock (table.Mu)
        {
            Errno error = command == Ipc.IPC_STAT ? table.FindLocked(id, out SharedSegment? segment) : table.FindIndexLocked(id, out segment);
            if (error == Errno.None && command != Ipc.SHM_STAT_ANY)
            {
                error = segment!.Check(task.Credentials, ReadRights);
            }

            if (error != Errno.None)
            {
                return error;
            }

            status = new ShmStatus
            {
                Permission = segment!.GetPermission(task.Credentials.UserNamespace),
                Size = segment.Size,
                AttachTime = segment.AttachTime,
                DetachTime = segment.DetachTime,
                ChangeTime = segment.ChangeTime,
                CreatorPid = segment.CreatorPid,
                LastPid = segment.LastPid,
                Attachments = (ulong)segment.Attachments,
            };
            result = command == Ipc.IPC_STAT ? 0 : segment.Id;
            return Errno.None;
        }
    }

    private static long Change(Task task, IpcTable<SharedSegment> table, in SyscallArguments a)
    {
        ShmStatus wanted = default;
        if (a.Int1 == Ipc.IPC_SET && task.Memory.CopyIn(a.A2, out wanted) != Errno.None)
        {
            return -(long)Errno.EFAULT;
        }

        SharedSegment? segment;
        lock (table.Mu)
        {
            Errno error = table.FindLocked(a.Int0, out segment);
            error = error == Errno.None ? segment!.CheckOwner(task.Credentials) : error;
            if (error != Errno.None)
            {
                return -(long)error;
            }

            switch (a.Int1)
            {
                case Ipc.IPC_SET:
                    return -(long)segment!.Change(task.Credentials.UserNamespace, wanted.Permission, Now(task));
                case Ipc.SHM_LOCK:
                    segment!.Mode |= Ipc.SHM_LOCKED;
                    return 0;
                case Ipc.SHM_UNLOCK:
                    segment!.Mode &= ~Ipc.SHM_LOCKED;
                    return 0;
                default:
                    // Nobody finds it by its key any more; who has it keeps it.
                    segment!.IsRemoved = true;
                    segment.Key = Ipc.IPC_PRIVATE;
                    segment.Mode |= Ipc.SHM_DEST;
                    break;
            }
        }

        segment.FreeIfUnused();
        return 0;
    }
}
