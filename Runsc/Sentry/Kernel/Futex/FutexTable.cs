using System.Threading;
using Runsc.Linux;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Kernel.Time;
using Runsc.Sentry.Memory;

namespace Runsc.Sentry.Kernel.Futex;

/// <summary>One wait of a task for one futex word. Owned by the waiting task, which reuses it.</summary>
internal sealed class FutexWaiter(Task task)
{
    internal readonly Task Task = task;

    // Guarded by the lock of the bucket that it stands in.
    internal FutexWaiter? Previous;
    internal FutexWaiter? Next;
    internal FutexKey Key;
    internal uint Bitset;

    /// <summary>Where it stands; null when it was woken or never stood anywhere. Written under the bucket's lock.</summary>
    internal volatile FutexBucket? Bucket;
}

/// <summary>Waiters whose keys have the same hash, in order of arrival.</summary>
internal sealed class FutexBucket(int index)
{
    internal readonly Lock Mu = new();
    internal readonly int Index = index;

    // Guarded by Mu.
    internal FutexWaiter? First;
    internal FutexWaiter? Last;

    internal void AddLocked(FutexWaiter waiter)
    {
        waiter.Previous = Last;
        waiter.Next = null;
        if (Last is null)
        {
            First = waiter;
        }
        else
        {
            Last.Next = waiter;
        }

        Last = waiter;
        waiter.Bucket = this;
    }

    internal void RemoveLocked(FutexWaiter waiter)
    {
        if (waiter.Previous is null)
        {
            First = waiter.Next;
        }
        else
        {
            waiter.Previous.Next = waiter.Next;
        }

        if (waiter.Next is null)
        {
            Last = waiter.Previous;
        }
        else
        {
            waiter.Next.Previous = waiter.Previous;
        }

        waiter.Previous = waiter.Next = null;
        waiter.Bucket = null;
    }

    /// <summary>Takes the waiter out and wakes its task: after this the waiter may be used again at any moment.</summary>
    internal void WakeLocked(FutexWaiter waiter)
    {
        Task task = waiter.Task;
        RemoveLocked(waiter);
        task.Wake();
    }
}

/// <summary>
/// Futexes (futex(2)). No wake-up is lost: the word is read under the lock of the bucket in which the waiter then stands, and whoever
/// changes the word wakes under the same lock afterwards. Nothing is allocated.
/// Lock order: buckets (two: by index) → the memory manager's lock, for reading the word.
/// </summary>
internal sealed class FutexTable
{
    private const int BucketCount = 1024;

    private readonly FutexBucket[] _buckets = new FutexBucket[BucketCount];

    public FutexTable()
    {
        for (int i = 0; i < BucketCount; i++)
        {
            _buckets[i] = new FutexBucket(i);
        }
    }

    /// <summary>
    /// FUTEX_WAIT, FUTEX_WAIT_BITSET: sleeps if *address is <paramref name="expected"/>. None when woken; EAGAIN: another value; ETIMEDOUT;
    /// ERESTARTSYS: interrupted; EFAULT, EINVAL.
    /// </summary>
    public Errno Wait(Task task, ulong address, bool isPrivate, uint expected, uint bitset, in Deadline deadline)
    {
        if (bitset == 0)
        {
            return Errno.EINVAL;
        }

        MemoryManager memory = task.Memory;
        Errno error = memory.GetFutexKey(address, isPrivate, out FutexKey key);
        if (error != Errno.None)
        {
            return error;
        }

        // Brings the page in, so that the read under the bucket's lock is short.
        error = memory.LoadUInt32(address, out uint value);
        if (error != Errno.None)
        {
            return error;
        }

        FutexWaiter waiter = task.FutexWaiter;
        FutexBucket bucket = BucketOf(key);
        lock (bucket.Mu)
        {
            error = memory.LoadUInt32(address, out value);
            if (error != Errno.None)
            {
                return error;
            }

            if (value != expected)
            {
                return Errno.EAGAIN;
            }

            waiter.Key = key;
            waiter.Bitset = bitset;
            bucket.AddLocked(waiter);
        }

        while (waiter.Bucket is not null)
        {
            error = task.Block(deadline);
            if (error != Errno.None)
            {
                // A wake-up that came at the same time wins, for it has been counted.
                return Cancel(waiter) ? error : Errno.None;
            }
        }

        return Errno.None;
    }

    /// <summary>
    /// futex_waitv(2): waits for any of several words. The index of one that was woken, or −errno (EAGAIN, ETIMEDOUT, ERESTARTSYS, EFAULT, EINVAL).
    /// </summary>
    public long WaitAny(Task task, System.ReadOnlySpan<FutexWaitv> words, in Deadline deadline)
    {
        FutexWaiter[] waiters = new FutexWaiter[words.Length];
        int set = 0;
        Errno error = Errno.None;
        for (; set < words.Length && error == Errno.None; set++)
        {
            FutexWaitv word = words[set];
            error = task.Memory.GetFutexKey(word.Address, (word.Flags & Linux.Futex.FUTEX_PRIVATE_FLAG) != 0, out FutexKey key);
            if (error != Errno.None)
            {
                break;
            }

            FutexWaiter waiter = waiters[set] = new FutexWaiter(task) { Key = key, Bitset = Linux.Futex.FUTEX_BITSET_MATCH_ANY };
            FutexBucket bucket = BucketOf(key);
            lock (bucket.Mu)
            {
                error = task.Memory.LoadUInt32(word.Address, out uint value);
                if (error == Errno.None && value != (uint)word.Value)
                {
                    error = Errno.EAGAIN;
                }

                if (error != Errno.None)
                {
                    break;
                }

                bucket.AddLocked(waiter);
            }
        }

        while (error == Errno.None && AllWaiting(waiters))
        {
            error = task.Block(deadline);
        }

        long woken = -1;
        for (int i = 0; i < set; i++)
        {
            if (!Cancel(waiters[i]))
            {
                woken = i;
            }
        }

        return woken >= 0 ? woken : -(long)error;
    }

    /// <summary>FUTEX_WAKE, FUTEX_WAKE_BITSET: the number of waiters woken, or −errno.</summary>
    public long Wake(MemoryManager memory, ulong address, bool isPrivate, int count, uint bitset)
    {
        if (bitset == 0)
        {
            return -(long)Errno.EINVAL;
        }

        Errno error = memory.GetFutexKey(address, isPrivate, out FutexKey key);
        if (error != Errno.None)
        {
            return -(long)error;
        }

        FutexBucket bucket = BucketOf(key);
        lock (bucket.Mu)
        {
            return WakeLocked(bucket, key, count, bitset);
        }
    }

    /// <summary>
    /// FUTEX_REQUEUE and FUTEX_CMP_REQUEUE: wakes some waiters and moves others to another word. The number woken (and, when comparing, moved), or −errno;
    /// EAGAIN when *address is not <paramref name="expected"/>.
    /// </summary>
    public long Requeue(MemoryManager memory, ulong address, ulong target, bool isPrivate, int wake, int move, uint? expected)
    {
        if (wake < 0 || move < 0)
        {
            return -(long)Errno.EINVAL;
        }

        Errno error = memory.GetFutexKey(address, isPrivate, out FutexKey key);
        FutexKey targetKey = default;
        if (error == Errno.None)
        {
            error = memory.GetFutexKey(target, isPrivate, out targetKey);
        }

        if (error == Errno.None && expected is not null)
        {
            error = memory.LoadUInt32(address, out _);
        }

        if (error != Errno.None)
        {
            return -(long)error;
        }

        FutexBucket from = BucketOf(key), to = BucketOf(targetKey);
        FutexBucket first = from.Index <= to.Index ? from : to, second = first == from ? to : from;
        lock (first.Mu)
        {
            // Taking the lock a second time when both words share a bucket is allowed: Lock counts.
            lock (second.Mu)
            {
                if (expected is uint value)
                {
                    error = memory.LoadUInt32(address, out uint seen);
                    if (error != Errno.None || seen != value)
                    {
                        return -(long)(error != Errno.None ? error : Errno.EAGAIN);
                    }
                }

                int woken = 0, moved = 0;
                for (FutexWaiter? waiter = from.First; waiter is not null;)
                {
                    FutexWaiter? next = waiter.Next;
                    if (waiter.Key == key)
                    {
                        if (woken < wake)
                        {
                            from.WakeLocked(waiter);
                            woken++;
                        }
                        else if (moved < move)
                        {
                            moved++;
                            if (key != targetKey)
                            {
                                from.RemoveLocked(waiter);
                                waiter.Key = targetKey;
                                to.AddLocked(waiter);
                            }
                        }
                        else
                        {
                            break;
                        }
                    }

                    waiter = next;
                }

                return expected is null ? woken : woken + moved;
            }
        }
    }

    /// <summary>FUTEX_WAKE_OP: changes *second, wakes waiters of the first word, and of the second if its old value passes the comparison.</summary>
    public long WakeOp(MemoryManager memory, ulong address, ulong second, bool isPrivate, int wake, int wakeSecond, uint encoded)
    {
        Errno error = memory.GetFutexKey(address, isPrivate, out FutexKey key);
        FutexKey secondKey = default;
        if (error == Errno.None)
        {
            error = memory.GetFutexKey(second, isPrivate, out secondKey);
        }

        if (error != Errno.None)
        {
            return -(long)error;
        }

        FutexBucket one = BucketOf(key), two = BucketOf(secondKey);
        FutexBucket low = one.Index <= two.Index ? one : two, high = low == one ? two : one;
        lock (low.Mu)
        {
            lock (high.Mu)
            {
                error = ApplyOperation(memory, second, encoded, out bool wakeBoth);
                if (error != Errno.None)
                {
                    return -(long)error;
                }

                long woken = WakeLocked(one, key, wake, Linux.Futex.FUTEX_BITSET_MATCH_ANY);
                if (wakeBoth)
                {
                    woken += WakeLocked(two, secondKey, wakeSecond, Linux.Futex.FUTEX_BITSET_MATCH_ANY);
                }

                return woken;
            }
        }
    }

    /// <summary>Does the encoded operation of FUTEX_WAKE_OP on a word and compares its old value. ENOSYS for an unknown operation.</summary>
    private static Errno ApplyOperation(MemoryManager memory, ulong address, uint encoded, out bool holds)
    {
        holds = false;
        int operation = (int)(encoded >> 28) & 7, comparison = (int)(encoded >> 24) & 15;
        int argument = SignExtend12(encoded >> 12), compared = SignExtend12(encoded);
        if ((encoded >> 31) != 0)
        {
            argument = 1 << (argument & 31);
        }

        Errno error = memory.LoadUInt32(address, out uint old);
        while (error == Errno.None)
        {
            uint value;
            switch (operation)
            {
                case Linux.Futex.FUTEX_OP_SET: value = unchecked((uint)argument); break;
                case Linux.Futex.FUTEX_OP_ADD: value = unchecked(old + (uint)argument); break;
                case Linux.Futex.FUTEX_OP_OR: value = old | unchecked((uint)argument); break;
                case Linux.Futex.FUTEX_OP_ANDN: value = old & ~unchecked((uint)argument); break;
                case Linux.Futex.FUTEX_OP_XOR: value = old ^ unchecked((uint)argument); break;
                default: return Errno.ENOSYS;
            }

            error = memory.CompareExchangeUInt32(address, old, value, out uint seen);
            if (error == Errno.None && seen == old)
            {
                int signed = unchecked((int)old);
                switch (comparison)
                {
                    case Linux.Futex.FUTEX_OP_CMP_EQ: holds = signed == compared; break;
                    case Linux.Futex.FUTEX_OP_CMP_NE: holds = signed != compared; break;
                    case Linux.Futex.FUTEX_OP_CMP_LT: holds = signed < compared; break;
                    case Linux.Futex.FUTEX_OP_CMP_LE: holds = signed <= compared; break;
                    case Linux.Futex.FUTEX_OP_CMP_GT: holds = signed > compared; break;
                    case Linux.Futex.FUTEX_OP_CMP_GE: holds = signed >= compared; break;
                    default: return Errno.ENOSYS;
                }

                return Errno.None;
            }

            old = seen;
        }

        return error;
    }

    private static int SignExtend12(uint value) => unchecked((int)(value << 20)) >> 20;

    private static long WakeLocked(FutexBucket bucket, in FutexKey key, int count, uint bitset)
    {
        // Linux wakes one waiter when asked for none or for a negative number.
        count = System.Math.Max(count, 1);
        int woken = 0;
        for (FutexWaiter? waiter = bucket.First; waiter is not null && woken < count;)
        {
            FutexWaiter? next = waiter.Next;
            if ((waiter.Bitset & bitset) != 0 && waiter.Key == key)
            {
                bucket.WakeLocked(waiter);
                woken++;
            }

            waiter = next;
        }

        return woken;
    }

    /// <summary>Takes a waiter out of its bucket. False when it has been woken.</summary>
    private static bool Cancel(FutexWaiter waiter)
    {
        // A requeue may move it while the lock is taken.
        while (waiter.Bucket is FutexBucket bucket)
        {
            lock (bucket.Mu)
            {
                if (waiter.Bucket == bucket)
                {
                    bucket.RemoveLocked(waiter);
                    return true;
                }
            }
        }

        return false;
    }

    private static bool AllWaiting(FutexWaiter[] waiters)
    {
        foreach (FutexWaiter waiter in waiters)
        {
            if (waiter.Bucket is null)
            {
                return false;
            }
        }

        return true;
    }

    private FutexBucket BucketOf(in FutexKey key)
    {
        ulong hash = unchecked(key.Value * 0x9e37_79b9_7f4a_7c15UL);
        if (key.Manager is not null)
        {
            hash ^= unchecked((ulong)System.Runtime.CompilerServices.RuntimeHelpers.GetHashCode(key.Manager) * 0xc2b2_ae3d_27d4_eb4fUL);
        }

        return _buckets[(int)(hash >> 40) & (BucketCount - 1)];
    }
}

/// <summary>struct futex_waitv (futex_waitv(2)).</summary>
[System.Runtime.InteropServices.StructLayout(System.Runtime.InteropServices.LayoutKind.Sequential)]
internal struct FutexWaitv
{
    public const int SizeInBytes = 24;

    public ulong Value;
    public ulong Address;
    public uint Flags;
    public uint Reserved;
}
