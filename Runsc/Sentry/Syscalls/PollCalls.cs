using System;
using System.Buffers;
using System.Numerics;
using System.Runtime.InteropServices;
using Runsc.Linux;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Kernel.Time;
using Runsc.Sentry.Vfs;
using Runsc.Sentry.Waiting;

namespace Runsc.Sentry.Syscalls;

/// <summary>poll(2), ppoll(2), select(2), pselect(2).</summary>
internal static unsafe class PollCalls
{
    private const int StackItems = 32;
    private const int MaxSelect = 1 << 20;

    public static void Register(SyscallTable.Builder b)
    {
        b.Add(SysNo.poll, "poll", &Poll, "ptr,uint,int");
        b.Add(SysNo.ppoll, "ppoll", &PPoll, "ptr,uint,timespec,sigset,size");
        b.Add(SysNo.select, "select", &Select, "int,ptr,ptr,ptr,ptr");
        b.Add(SysNo.pselect6, "pselect6", &PSelect, "int,ptr,ptr,ptr,timespec,ptr");
    }

    /// <summary>struct pollfd.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct PollItem
    {
        public int Fd;
        public short Events;
        public short Returned;
    }

    private static long Poll(Task task, in SyscallArguments a)
    {
        Deadline deadline = a.Int2 < 0 ? Deadline.Infinite : Deadline.After(a.Int2 * 1_000_000L);
        return DoPoll(task, a.A0, a.UInt1, deadline, restartable: true);
    }

    private static long PPoll(Task task, in SyscallArguments a)
    {
        Errno error = TimeArguments.ReadTimeout(task, a.A2, out Deadline deadline);
        if (error == Errno.None)
        {
            error = SetMask(task, a.A3, a.A4);
        }

        if (error != Errno.None)
        {
            return -(long)error;
        }

        long result = DoPoll(task, a.A0, a.UInt1, deadline, restartable: false);
        WriteRemaining(task, a.A2, deadline);
        if (result != -(long)Errno.ERESTARTNOHAND)
        {
            task.RestoreTemporaryMask();
        }

        return result;
    }

    /// <summary>The mask for the duration of a call; address 0: none.</summary>
    internal static Errno SetMask(Task task, ulong address, ulong size)
    {
        if (address == 0)
        {
            return Errno.None;
        }

        if (size != 8)
        {
            return Errno.EINVAL;
        }

        if (task.Memory.CopyIn(address, out ulong mask) != Errno.None)
        {
            return Errno.EFAULT;
        }

        task.SetTemporaryMask(mask);
        return Errno.None;
    }

    // Linux stores what is left of the timeout, and does not mind when it cannot.
    private static void WriteRemaining(Task task, ulong address, in Deadline deadline)
    {
        if (address != 0 && !deadline.IsInfinite)
        {
            _ = task.Memory.CopyOut(address, Timespec.FromNanoseconds(Math.Max(deadline.Nanoseconds - task.Kernel.Clock.Monotonic, 0)));
        }
    }

    private static long DoPoll(Task task, ulong address, uint count, in Deadline deadline, bool restartable)
    {
        if (count > task.DescriptorLimit)
        {
            return -(long)Errno.EINVAL;
        }

        PollItem[]? rented = count > StackItems ? ArrayPool<PollItem>.Shared.Rent((int)count) : null;
        Span<PollItem> items = rented is null ? stackalloc PollItem[StackItems] : rented;
        items = items[..(int)count];
        Span<byte> bytes = MemoryMarshal.AsBytes(items);
        long result = -(long)Errno.EFAULT;
        if (task.Memory.CopyIn(address, bytes) == bytes.Length)
        {
            result = Wait(task, items, deadline);
            if (result >= 0)
            {
                for (int i = 0; i < items.Length; i++)
                {
                    if (task.Memory.CopyOut(address + ((ulong)i * 8) + 6, items[i].Returned) != Errno.None)
                    {
                        result = -(long)Errno.EFAULT;
                        break;
                    }
                }
            }
        }

        if (rented is not null)
        {
            ArrayPool<PollItem>.Shared.Return(rented);
        }

        if (result == -(long)Errno.ERESTARTSYS)
        {
            if (!restartable)
            {
                return -(long)Errno.ERESTARTNOHAND;
            }

            task.RestartA = address;
            task.RestartB = count;
            task.RestartDeadline = deadline.Nanoseconds;
            return task.SetRestart(&RestartPoll);
        }

        return result;
    }

    private static long RestartPoll(Task task) => DoPoll(task, task.RestartA, (uint)task.RestartB, new Deadline(task.RestartDeadline), restartable: true);

    /// <summary>Fills in what is ready; waits until something is. The number of items with events, or −ERESTARTSYS.</summary>
    private static long Wait(Task task, Span<PollItem> items, in Deadline deadline)
    {
        int ready = Look(task, items, null);
        if (ready > 0 || deadline.Nanoseconds == 0 || deadline.HasPassed)
        {
            return ready;
        }

        Entry[] entries = ArrayPool<Entry>.Shared.Rent(Math.Max(items.Length, 1));
        Array.Clear(entries, 0, items.Length);
        long result;
        try
        {
            for (int i = 0; i < items.Length; i++)
            {
                FileDescription? file = items[i].Fd < 0 ? null : task.Files.Get(items[i].Fd);
                if (file is not null)
                {
                    TaskWaiter waiter = new(task) { Mask = (EventMask)(ushort)items[i].Events | EventMask.Unmaskable };
                    file.Register(waiter);
                    entries[i] = new Entry(file, waiter);
                }
            }

            while (true)
            {
                ready = Look(task, items, entries);
                if (ready > 0)
                {
                    result = ready;
                    break;
                }

                Errno error = task.Block(deadline);
                if (error != Errno.None)
                {
                    result = error == Errno.ETIMEDOUT ? 0 : -(long)error;
                    break;
                }
            }
        }
        finally
        {
            for (int i = 0; i < items.Length; i++)
            {
                if (entries[i].File is FileDescription file)
                {
                    file.Unregister(entries[i].Waiter);
                    file.DecRef();
                }
            }

            Array.Clear(entries, 0, items.Length);
            ArrayPool<Entry>.Shared.Return(entries);
        }

        return result;
    }

    private readonly record struct Entry(FileDescription File, TaskWaiter Waiter);

    private static int Look(Task task, Span<PollItem> items, Entry[]? entries)
    {
        int ready = 0;
        for (int i = 0; i < items.Length; i++)
        {
            ref PollItem item = ref items[i];
            item.Returned = 0;
            if (item.Fd < 0)
            {
                continue;
            }

            FileDescription? file = entries?[i].File ?? task.Files.Get(item.Fd);
            if (file is null || (file.StatusFlags & Fcntl.O_PATH) != 0)
            {
                item.Returned = (short)EventMask.Nval;
            }
            else
            {
                EventMask mask = (EventMask)(ushort)item.Events | EventMask.Unmaskable;
                item.Returned = (short)(file.Readiness(mask) & mask);
            }

            if (entries is null)
            {
                file?.DecRef();
            }

            ready += item.Returned != 0 ? 1 : 0;
        }

        return ready;
    }

    private static long Select(Task task, in SyscallArguments a)
    {
        Errno error = TimeArguments.ReadTimevalTimeout(task, a.A4, out Deadline deadline);
        if (error != Errno.None)
        {
            return -(long)error;
        }

        long result = DoSelect(task, a, deadline);
        if (a.A4 != 0 && !deadline.IsInfinite)
        {
            _ = task.Memory.CopyOut(a.A4, Timeval.FromNanoseconds(Math.Max(deadline.Nanoseconds - task.Kernel.Clock.Monotonic, 0)));
        }

        return result;
    }

    private static long PSelect(Task task, in SyscallArguments a)
    {
        Errno error = TimeArguments.ReadTimeout(task, a.A4, out Deadline deadline);
        if (error == Errno.None && a.A5 != 0)
        {
            // The sixth argument is a pair: address of the mask, and its size.
            error = task.Memory.CopyIn(a.A5, out ulong mask) != Errno.None || task.Memory.CopyIn(a.A5 + 8, out ulong size) != Errno.None
                ? Errno.EFAULT
                : SetMask(task, mask, size);
        }

        if (error != Errno.None)
        {
            return -(long)error;
        }

        long result = DoSelect(task, a, deadline);
        WriteRemaining(task, a.A4, deadline);
        if (result != -(long)Errno.ERESTARTNOHAND)
        {
            task.RestoreTemporaryMask();
        }

        return result;
    }

    private static long DoSelect(Task task, in SyscallArguments a, in Deadline deadline)
    {
        const EventMask readSet = EventMask.Readable | EventMask.ReadBand | EventMask.Hup | EventMask.Err;
        const EventMask writeSet = EventMask.Writable | EventMask.WriteBand | EventMask.Err;
        const EventMask exceptSet = EventMask.Pri;
        int count = a.Int0;
        if (count is < 0 or > MaxSelect)
        {
            return -(long)Errno.EINVAL;
        }

        // Descriptors beyond the table's end are not looked at, as in Linux.
        count = Math.Min(count, Math.Max(task.Files.Capacity, 64));
        int words = (count + 63) / 64;
        ulong[] sets = ArrayPool<ulong>.Shared.Rent(Math.Max(words * 3, 1));
        PollItem[]? items = null;
        try
        {
            Span<ulong> all = sets.AsSpan(0, words * 3);
            all.Clear();
            Errno error = CopySet(task, a.A1, all[..words]);
            error = error == Errno.None ? CopySet(task, a.A2, all.Slice(words, words)) : error;
            error = error == Errno.None ? CopySet(task, a.A3, all.Slice(words * 2, words)) : error;
            if (error != Errno.None)
            {
                return -(long)error;
            }

            int wanted = 0;
            for (int word = 0; word < words; word++)
            {
                wanted += BitOperations.PopCount(Union(all, words, word, count));
            }

            items = ArrayPool<PollItem>.Shared.Rent(Math.Max(wanted, 1));
            Span<PollItem> used = items.AsSpan(0, wanted);
            int next = 0;
            for (int word = 0; word < words; word++)
            {
                for (ulong bits = Union(all, words, word, count); bits != 0; bits &= bits - 1)
                {
                    int bit = BitOperations.TrailingZeroCount(bits);
                    EventMask events = (Has(all, word, bit) ? EventMask.Readable | EventMask.ReadBand : 0)
                        | (Has(all, words + word, bit) ? EventMask.Writable | EventMask.WriteBand : 0)
                        | (Has(all, (words * 2) + word, bit) ? EventMask.Pri : 0);
                    int fd = (word << 6) + bit;
                    FileDescription? file = task.Files.Get(fd);
                    if (file is null)
                    {
                        return -(long)Errno.EBADF;
                    }

                    file.DecRef();
                    used[next++] = new PollItem { Fd = fd, Events = (short)events };
                }
            }

            long result = Wait(task, used, deadline);
            if (result < 0)
            {
                return result == -(long)Errno.ERESTARTSYS ? -(long)Errno.ERESTARTNOHAND : result;
            }

            long total = 0;
            ulong[] answer = new ulong[words * 3];
            foreach (ref readonly PollItem item in used)
            {
                EventMask got = (EventMask)(ushort)item.Returned;
                int word = item.Fd >> 6;
                ulong bit = 1UL << (item.Fd & 63);
                Mark(readSet, 0);
                Mark(writeSet, words);
                Mark(exceptSet, words * 2);

                void Mark(EventMask set, int from)
                {
                    if ((got & set) != 0 && (sets[from + word] & bit) != 0)
                    {
                        answer[from + word] |= bit;
                        total++;
                    }
                }
            }

            bool written = StoreSet(task, a.A1, answer.AsSpan(0, words)) && StoreSet(task, a.A2, answer.AsSpan(words, words))
                && StoreSet(task, a.A3, answer.AsSpan(words * 2, words));
            return written ? total : -(long)Errno.EFAULT;
        }
        finally
        {
            ArrayPool<ulong>.Shared.Return(sets);
            if (items is not null)
            {
                ArrayPool<PollItem>.Shared.Return(items);
            }
        }
    }

    private static ulong Union(Span<ulong> all, int words, int word, int count)
    {
        ulong bits = all[word] | all[words + word] | all[(words * 2) + word];
        int left = count - (word << 6);
        return left >= 64 ? bits : bits & ((1UL << left) - 1);
    }

    private static bool Has(Span<ulong> all, int word, int bit) => (all[word] >> bit & 1) != 0;

    // The kernel's sets are whole longs, whatever the number of descriptors.
    private static Errno CopySet(Task task, ulong address, Span<ulong> set)
    {
        Span<byte> bytes = MemoryMarshal.AsBytes(set);
        return address == 0 || task.Memory.CopyIn(address, bytes) == bytes.Length ? Errno.None : Errno.EFAULT;
    }

    private static bool StoreSet(Task task, ulong address, Span<ulong> set)
    {
        ReadOnlySpan<byte> bytes = MemoryMarshal.AsBytes(set);
        return address == 0 || task.Memory.CopyOut(address, bytes) == bytes.Length;
    }
}
