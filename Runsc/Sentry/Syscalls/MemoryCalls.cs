using System;
using System.Runtime.InteropServices;
using Runsc.Linux;
using Runsc.Platform;
using Runsc.Sentry.FileSystems.Tmpfs;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Memory;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.Syscalls;

/// <summary>mmap(2), mprotect(2), brk(2) and their kin.</summary>
internal static unsafe class MemoryCalls
{
    private const ulong PageSize = MemoryFile.PageSize;

    public static void Register(SyscallTable.Builder b)
    {
        b.Add(SysNo.mmap, "mmap", &Mmap, "ptr,size,prot,mapflags,fd,hex");
        b.Add(SysNo.munmap, "munmap", &Munmap, "ptr,size");
        b.Add(SysNo.mprotect, "mprotect", &Mprotect, "ptr,size,prot");
        b.Add(SysNo.mremap, "mremap", &Mremap, "ptr,size,size,hex,ptr");
        b.Add(SysNo.madvise, "madvise", &Madvise, "ptr,size,int");
        b.Add(SysNo.brk, "brk", &Brk, "ptr");
        b.Add(SysNo.msync, "msync", &Msync, "ptr,size,hex");
        b.Add(SysNo.mincore, "mincore", &Mincore, "ptr,size,ptr");
        b.Add(SysNo.mlock, "mlock", &Mlock, "ptr,size");
        b.Add(SysNo.mlock2, "mlock2", &Mlock2, "ptr,size,hex");
        b.Add(SysNo.munlock, "munlock", &Munlock, "ptr,size");
        b.Add(SysNo.mlockall, "mlockall", &MlockAll, "hex");
        b.Add(SysNo.munlockall, "munlockall", &MunlockAll, "");
        b.Add(SysNo.memfd_create, "memfd_create", &MemfdCreate, "str,hex");
        b.Add(SysNo.process_vm_readv, "process_vm_readv", &ProcessRead, "pid,ptr,int,ptr,int,hex");
        b.Add(SysNo.process_vm_writev, "process_vm_writev", &ProcessWrite, "pid,ptr,int,ptr,int,hex");
        b.Add(SysNo.set_mempolicy, "set_mempolicy", &SetPolicy, "int,ptr,size");
        b.Add(SysNo.get_mempolicy, "get_mempolicy", &GetPolicy, "ptr,ptr,size,ptr,hex");
        b.Add(SysNo.mbind, "mbind", &Bind, "ptr,size,int,ptr,size,hex");
    }

    private static AccessType ToAccess(int protection) => (AccessType)(protection & (Mman.PROT_READ | Mman.PROT_WRITE | Mman.PROT_EXEC));

    private static long Mmap(Task task, in SyscallArguments a)
    {
        const int known = Mman.MAP_TYPE | Mman.MAP_FIXED | Mman.MAP_ANONYMOUS | Mman.MAP_32BIT | Mman.MAP_GROWSDOWN | Mman.MAP_DENYWRITE | Mman.MAP_EXECUTABLE
            | Mman.MAP_LOCKED | Mman.MAP_NORESERVE | Mman.MAP_POPULATE | Mman.MAP_NONBLOCK | Mman.MAP_STACK | Mman.MAP_HUGETLB | Mman.MAP_FIXED_NOREPLACE;
        int flags = a.Int3, type = flags & Mman.MAP_TYPE;
        if (a.A5 % PageSize != 0)
        {
            return -(long)Errno.EINVAL;
        }

        bool anonymous = (flags & Mman.MAP_ANONYMOUS) != 0;
        if (type == Mman.MAP_SHARED_VALIDATE && (flags & ~known) != 0)
        {
            return -(long)Errno.EOPNOTSUPP;
        }

        if (type is not (Mman.MAP_SHARED or Mman.MAP_PRIVATE or Mman.MAP_SHARED_VALIDATE))
        {
            return -(long)Errno.EINVAL;
        }

        if ((flags & Mman.MAP_HUGETLB) != 0)
        {
            // No huge pages are set aside: what Linux says then.
            return -(long)Errno.ENOMEM;
        }

        bool shared = type != Mman.MAP_PRIVATE;
        MmapRequest request = new()
        {
            Address = a.A0,
            Length = a.A1,
            Protection = ToAccess(a.Int2),
            Shared = shared,
            Fixed = (flags & (Mman.MAP_FIXED | Mman.MAP_FIXED_NOREPLACE)) != 0,
            NoReplace = (flags & Mman.MAP_FIXED_NOREPLACE) != 0,
            GrowsDown = (flags & Mman.MAP_GROWSDOWN) != 0,
            Below4G = (flags & Mman.MAP_32BIT) != 0,
            Locked = (flags & Mman.MAP_LOCKED) != 0,
            Populate = (flags & (Mman.MAP_POPULATE | Mman.MAP_NONBLOCK)) == Mman.MAP_POPULATE,
        };
        if (!anonymous)
        {
            return MapFile(task, request, a.Int4, a.A5);
        }

        if (!shared)
        {
            return Finish(task.Memory.Mmap(request, out ulong address), address);
        }

        // Shared anonymous memory is a file without a name.
        if (a.A1 == 0)
        {
            return -(long)Errno.EINVAL;
        }

        PageCache pages = new(task.Kernel.Memory, null, new MappingIdentity("/dev/zero (deleted)", 1, 0));
        pages.SetSize((a.A1 + PageSize - 1) & ~(PageSize - 1));
        request.Mappable = pages;
        long result = Finish(task.Memory.Mmap(request, out ulong place), place);
        pages.DecRef();
        return result;
    }

    private static long MapFile(Task task, MmapRequest request, int fd, ulong offset)
    {
        FileDescription? file = task.Files.Get(fd);
        if (file is null || (file.StatusFlags & Fcntl.O_PATH) != 0)
        {
            file?.DecRef();
            return -(long)Errno.EBADF;
        }

        try
        {
            bool writes = (request.Protection & AccessType.Write) != 0;
            if (!file.IsReadable || (request.Shared && writes && !file.IsWritable))
            {
                return -(long)Errno.EACCES;
            }

            request.MaxProtection = AccessType.Read | AccessType.Execute | (request.Shared && !file.IsWritable ? AccessType.None : AccessType.Write);
            if ((file.Path.Mount.Flags & Linux.Mount.MS_NOEXEC) != 0)
            {
                if ((request.Protection & AccessType.Execute) != 0)
                {
                    return -(long)Errno.EPERM;
                }

                request.MaxProtection &= ~AccessType.Execute;
            }

            Errno error = file.GetMappable(out IMappable? mappable);
            if (error != Errno.None)
            {
                return -(long)error;
            }

            request.Mappable = mappable;
            request.Offset = offset;
            if (request.Shared && file.Inode is TmpfsFile { Seals: uint seals } && (seals & (Fcntl.F_SEAL_WRITE | Fcntl.F_SEAL_FUTURE_WRITE)) != 0)
            {
                if (writes)
                {
                    mappable!.DecRef();
                    return -(long)Errno.EPERM;
                }

                request.MaxProtection &= ~AccessType.Write;
            }

            long result = Finish(task.Memory.Mmap(request, out ulong address), address);
            mappable!.DecRef();
            return result;
        }
        finally
        {
            file.DecRef();
        }
    }

    private static long Finish(Errno error, ulong address) => error == Errno.None ? (long)address : -(long)error;

    private static long Munmap(Task task, in SyscallArguments a) => -(long)task.Memory.Munmap(a.A0, a.A1);

    private static long Mprotect(Task task, in SyscallArguments a)
    {
        const int PROT_SEM = 8;
        const int known = Mman.PROT_READ | Mman.PROT_WRITE | Mman.PROT_EXEC | Mman.PROT_GROWSDOWN | Mman.PROT_GROWSUP | PROT_SEM;
        const int both = Mman.PROT_GROWSDOWN | Mman.PROT_GROWSUP;
        if ((a.Int2 & ~known) != 0 || (a.Int2 & both) == both)
        {
            return -(long)Errno.EINVAL;
        }

        return -(long)task.Memory.Mprotect(a.A0, a.A1, ToAccess(a.Int2), (a.Int2 & Mman.PROT_GROWSDOWN) != 0);
    }

    private static long Mremap(Task task, in SyscallArguments a) => Finish(task.Memory.Mremap(a.A0, a.A1, a.A2, a.Int3, a.A4, out ulong address), address);

    private static long Madvise(Task task, in SyscallArguments a) => -(long)task.Memory.Madvise(a.A0, a.A1, a.Int2);

    private static long Brk(Task task, in SyscallArguments a) => (long)task.Memory.Brk(a.A0, task.ThreadGroup.Limit(Resource.RLIMIT_DATA));

    private static long Msync(Task task, in SyscallArguments a)
    {
        const int both = Mman.MS_ASYNC | Mman.MS_SYNC;
        if ((a.Int2 & ~(both | Mman.MS_INVALIDATE)) != 0 || (a.Int2 & both) == both || a.A0 % PageSize != 0)
        {
            return -(long)Errno.EINVAL;
        }

        return -(long)task.Memory.Msync(a.A0, a.A1, (a.Int2 & Mman.MS_SYNC) != 0);
    }

    private static long Mincore(Task task, in SyscallArguments a)
    {
        if (a.A0 % PageSize != 0)
        {
            return -(long)Errno.EINVAL;
        }

        ulong limit = task.Kernel.Platform.UserAddressLimit;
        if (a.A0 > limit || a.A1 > limit - a.A0)
        {
            return -(long)Errno.ENOMEM;
        }

        ulong pages = (a.A1 + PageSize - 1) / PageSize;
        Span<byte> residency = stackalloc byte[1024];
        for (ulong done = 0; done < pages;)
        {
            Span<byte> part = residency[..(int)Math.Min(pages - done, (ulong)residency.Length)];
            Errno error = task.Memory.Mincore(a.A0 + (done * PageSize), part);
            if (error != Errno.None)
            {
                return -(long)error;
            }

            if (task.Memory.CopyOut(a.A2 + done, part) != part.Length)
            {
                return -(long)Errno.EFAULT;
            }

            done += (ulong)part.Length;
        }

        return 0;
    }

    // Pages of the application are never written to a swap of ours; locking makes them resident, as far as the host keeps them.
    private static long Mlock(Task task, in SyscallArguments a) => Lock(task, a.A0, a.A1, populate: true);

    private static long Mlock2(Task task, in SyscallArguments a)
    {
        const int MLOCK_ONFAULT = 1;
        return (a.Int2 & ~MLOCK_ONFAULT) != 0 ? -(long)Errno.EINVAL : Lock(task, a.A0, a.A1, (a.Int2 & MLOCK_ONFAULT) == 0);
    }

    private static long Lock(Task task, ulong address, ulong length, bool populate)
    {
        ulong limit = task.ThreadGroup.Limit(Resource.RLIMIT_MEMLOCK);
        bool privileged = task.Credentials.HasCapability(Capability.CAP_IPC_LOCK);
        if (limit == 0 && !privileged)
        {
            return -(long)Errno.EPERM;
        }

        return -(long)task.Memory.SetLocked(address, length, true, populate, privileged ? ulong.MaxValue : limit);
    }

    private static long Munlock(Task task, in SyscallArguments a) => -(long)task.Memory.SetLocked(a.A0, a.A1, false, false, ulong.MaxValue);

    private static long MlockAll(Task task, in SyscallArguments a)
    {
        if (a.Int0 == 0 || (a.Int0 & ~(Mman.MCL_CURRENT | Mman.MCL_FUTURE | Mman.MCL_ONFAULT)) != 0 || a.Int0 == Mman.MCL_ONFAULT)
        {
            return -(long)Errno.EINVAL;
        }

        bool privileged = task.Credentials.HasCapability(Capability.CAP_IPC_LOCK);
        ulong limit = task.ThreadGroup.Limit(Resource.RLIMIT_MEMLOCK);
        if (!privileged && limit == 0)
        {
            return -(long)Errno.EPERM;
        }

        return -(long)task.Memory.LockAll(a.Int0, privileged ? ulong.MaxValue : limit);
    }

    private static long MunlockAll(Task task, in SyscallArguments a)
    {
        task.Memory.UnlockAll();
        return 0;
    }

    private static long MemfdCreate(Task task, in SyscallArguments a)
    {
        const uint MFD_CLOEXEC = 1, MFD_ALLOW_SEALING = 2, MFD_HUGETLB = 4, MFD_NOEXEC_SEAL = 8, MFD_EXEC = 16;
        uint flags = a.UInt1;
        if ((flags & ~(MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL | MFD_EXEC | MFD_HUGETLB | 0xfc00_0000)) != 0
            || (flags & (MFD_NOEXEC_SEAL | MFD_EXEC)) == (MFD_NOEXEC_SEAL | MFD_EXEC))
        {
            return -(long)Errno.EINVAL;
        }

        if ((flags & MFD_HUGETLB) != 0)
        {
            return -(long)Errno.ENOMEM;
        }

        Span<byte> buffer = stackalloc byte[250];
        long length = task.Memory.CopyInString(a.A0, buffer);
        if (length < 0)
        {
            return length == -(long)Errno.ENAMETOOLONG ? -(long)Errno.EINVAL : length;
        }

        bool sealable = (flags & (MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL)) != 0;
        uint mode = (flags & MFD_NOEXEC_SEAL) != 0 ? 0x1b6u : 0x1ffu;
        Errno error = task.Kernel.MemoryFiles.Create(task, buffer[..(int)length], mode, sealable, out FileDescription? file);
        if (error != Errno.None)
        {
            return -(long)error;
        }

        long fd = task.Files.Add(file!, (flags & MFD_CLOEXEC) != 0, task.DescriptorLimit);
        if (fd < 0)
        {
            file!.DecRef();
        }

        return fd;
    }

    private static long ProcessRead(Task task, in SyscallArguments a) => ProcessCopy(task, a, fromOther: true);

    private static long ProcessWrite(Task task, in SyscallArguments a) => ProcessCopy(task, a, fromOther: false);

    private static long ProcessCopy(Task task, in SyscallArguments a, bool fromOther)
    {
        if (a.A5 != 0 || a.A2 > 1024 || a.A4 > 1024)
        {
            return -(long)Errno.EINVAL;
        }

        Task? other;
        lock (task.Kernel.TaskLock)
        {
            other = task.Kernel.FindTaskLocked(a.Int0, task.ThreadGroup.Container);
        }

        if (other is null || !other.Memory.TryIncUsers())
        {
            return -(long)Errno.ESRCH;
        }

        MemoryManager memory = other.Memory;
        try
        {
            if (!TraceAccess.IsAllowed(task.Credentials, task.ThreadGroup, other, realIds: true))
            {
                return -(long)Errno.EPERM;
            }

            ulong[] local = new ulong[2 * a.A2], remote = new ulong[2 * a.A4];
            Span<byte> localBytes = MemoryMarshal.AsBytes(local.AsSpan()), remoteBytes = MemoryMarshal.AsBytes(remote.AsSpan());
            if (task.Memory.CopyIn(a.A1, localBytes) != localBytes.Length || task.Memory.CopyIn(a.A3, remoteBytes) != remoteBytes.Length)
            {
                return -(long)Errno.EFAULT;
            }

            return CopyVectors(task.Memory, local, memory, remote, fromOther);
        }
        finally
        {
            memory.DecUsers();
        }
    }

    private static long CopyVectors(MemoryManager own, ulong[] local, MemoryManager other, ulong[] remote, bool fromOther)
    {
        byte[] buffer = System.Buffers.ArrayPool<byte>.Shared.Rent(64 << 10);
        long total = 0;
        int i = 0, j = 0;
        ulong localDone = 0, remoteDone = 0;
        while (i < local.Length && j < remote.Length)
        {
            ulong left = Math.Min(local[i + 1] - localDone, remote[j + 1] - remoteDone);
            if (left == 0)
            {
                (i, localDone) = local[i + 1] == localDone ? (i + 2, 0UL) : (i, localDone);
                (j, remoteDone) = j < remote.Length && remote[j + 1] == remoteDone ? (j + 2, 0UL) : (j, remoteDone);
                continue;
            }

            Span<byte> part = buffer.AsSpan(0, (int)Math.Min(left, 64 << 10));
            ulong here = unchecked(local[i] + localDone), there = unchecked(remote[j] + remoteDone);
            long copied = fromOther ? other.CopyIn(there, part) : own.CopyIn(here, part);
            if (copied > 0)
            {
                copied = fromOther ? own.CopyOut(here, part[..(int)copied]) : other.CopyOut(there, part[..(int)copied]);
            }

            total += Math.Max(copied, 0);
            if (copied != part.Length)
            {
                break;
            }

            localDone += (ulong)part.Length;
            remoteDone += (ulong)part.Length;
        }

        System.Buffers.ArrayPool<byte>.Shared.Return(buffer);
        return total == 0 && i < local.Length && j < remote.Length ? -(long)Errno.EFAULT : total;
    }

    // One memory node, on which everything lies (numa(7)).
    private static long SetPolicy(Task task, in SyscallArguments a) => (a.Int0 & 0xff) is >= 0 and <= 5 ? 0 : -(long)Errno.EINVAL;

    private static long Bind(Task task, in SyscallArguments a) => a.A0 % PageSize != 0 || (a.Int2 & 0xff) is < 0 or > 5 ? -(long)Errno.EINVAL : 0;

    private static long GetPolicy(Task task, in SyscallArguments a)
    {
        if (a.A0 != 0 && task.Memory.CopyOut(a.A0, 0) != Errno.None)
        {
            return -(long)Errno.EFAULT;
        }

        ulong bytes = (a.A2 + 63) / 64 * 8;
        if (a.A1 != 0)
        {
            if (bytes > 4096)
            {
                return -(long)Errno.EINVAL;
            }

            for (ulong at = 0; at < bytes; at += 8)
            {
                const ulong MPOL_F_MEMS_ALLOWED = 4;
                ulong word = at == 0 && (a.A4 & MPOL_F_MEMS_ALLOWED) != 0 ? 1u : 0u;
                if (task.Memory.CopyOut(a.A1 + at, word) != Errno.None)
                {
                    return -(long)Errno.EFAULT;
                }
            }
        }

        return 0;
    }
}
