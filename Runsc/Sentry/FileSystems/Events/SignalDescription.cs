using System;
using System.Runtime.InteropServices;
using Runsc.Linux;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Kernel.Signals;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Vfs;
using Runsc.Sentry.Waiting;

namespace Runsc.Sentry.FileSystems.Events;

/// <summary>Signals as a file (signalfd(2)): it reads the signals of whoever reads it, and is ready for whoever made it.</summary>
internal sealed class SignalDescription(SentryKernel kernel, Task maker, ulong set, int flags)
    : FileDescription(kernel.AnonymousFiles.NewPath("anon_inode:[signalfd]", 0x180), Fcntl.O_RDWR | flags)
{
    private readonly ThreadGroup _process = maker.ThreadGroup;
    private ulong _set = set;

    public override bool SupportsPoll => true;

    public override string ShownInfo => $"sigmask:\t{Set:x16}\n";

    /// <summary>Signals that it takes.</summary>
    public ulong Set
    {
        get => System.Threading.Volatile.Read(ref _set);
        set
        {
            System.Threading.Volatile.Write(ref _set, value);
            _process.SignalEvents.Notify(EventMask.Readable);
        }
    }

    /// <summary>struct signalfd_siginfo.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 128)]
    private struct Record
    {
        [FieldOffset(0)]
        public uint Signal;

        [FieldOffset(4)]
        public int Errno;

        [FieldOffset(8)]
        public int Code;

        [FieldOffset(12)]
        public uint ProcessId;

        [FieldOffset(16)]
        public uint Uid;

        [FieldOffset(20)]
        public int Fd;

        [FieldOffset(24)]
        public uint TimerId;

        [FieldOffset(28)]
        public uint Band;

        [FieldOffset(32)]
        public uint Overrun;

        [FieldOffset(36)]
        public uint Trap;

        [FieldOffset(40)]
        public int Status;

        [FieldOffset(44)]
        public int Int;

        [FieldOffset(48)]
        public ulong Pointer;

        [FieldOffset(56)]
        public ulong UserTime;

        [FieldOffset(64)]
        public ulong SystemTime;

        [FieldOffset(72)]
        public ulong Address;
    }

    public override long Read(ICaller caller, ref IoBuffer destination)
    {
        if (destination.Remaining < 128 || caller is not Task task)
        {
            return -(long)Errno.EINVAL;
        }

        long total = 0;
        while (destination.Remaining >= 128 && task.TryTakeSignal(Set, out SignalInfo info))
        {
            Record record = Describe(info);
            long n = destination.CopyOut(MemoryMarshal.AsBytes(new ReadOnlySpan<Record>(in record)));
            if (n < 0)
            {
                return total > 0 ? total : n;
            }

            total += n;
        }

        return total > 0 ? total : -(long)Errno.EAGAIN;
    }

    private static Record Describe(in SignalInfo info)
    {
        Record record = new() { Signal = (uint)info.Signal, Errno = info.Errno, Code = info.Code };
        switch (info.Signal)
        {
            case Signal.SIGSEGV or Signal.SIGBUS or Signal.SIGILL or Signal.SIGFPE or Signal.SIGTRAP when info.Code > 0:
                record.Address = info.Address;
                break;
            case Signal.SIGCHLD:
                record.ProcessId = (uint)info.ProcessId;
                record.Uid = info.Uid;
                record.Status = info.Status;
                record.UserTime = (ulong)info.UserTime;
                record.SystemTime = (ulong)info.SystemTime;
                break;
            default:
                if (info.Code == SignalInfo.SI_TIMER)
                {
                    record.TimerId = (uint)info.ProcessId;
                    record.Overrun = info.Uid;
                }
                else
                {
                    record.ProcessId = (uint)info.ProcessId;
                    record.Uid = info.Uid;
                }

                record.Pointer = info.Value;
                record.Int = unchecked((int)info.Value);
                break;
        }

        return record;
    }

    public override EventMask Readiness(EventMask mask)
    {
        (ulong own, ulong shared) = maker.PendingSignals;
        return ((own | shared) & Set) != 0 ? mask & EventMask.Readable : EventMask.None;
    }

    public override void Register(Waiter waiter) => _process.SignalEvents.Register(waiter);

    public override void Unregister(Waiter waiter) => _process.SignalEvents.Unregister(waiter);
}
