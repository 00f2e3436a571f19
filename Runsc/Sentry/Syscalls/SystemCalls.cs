using System;
using System.Runtime.InteropServices;
using System.Text;
using Runsc.Linux;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Kernel.Time;

namespace Runsc.Sentry.Syscalls;

/// <summary>The system as a whole: uname(2), sysinfo(2), syslog(2), getrandom(2), ….</summary>
internal static unsafe class SystemCalls
{
    private const int FieldSize = 65;

    public static void Register(SyscallTable.Builder b)
    {
        b.Add(SysNo.uname, "uname", &Uname, "ptr");
        b.Add(SysNo.sethostname, "sethostname", &SetHostName, "buf,size");
        b.Add(SysNo.setdomainname, "setdomainname", &SetDomainName, "buf,size");
        b.Add(SysNo.sysinfo, "sysinfo", &SysInfo, "ptr");
        b.Add(SysNo.syslog, "syslog", &SysLog, "int,outbuf,int");
        b.Add(SysNo.getrandom, "getrandom", &GetRandom, "ptr,size,hex");
        b.Add(SysNo.reboot, "reboot", &Reboot, "hex,hex,hex,ptr");
    }

    private static long Uname(Task task, in SyscallArguments a)
    {
        Span<byte> buffer = stackalloc byte[6 * FieldSize];
        buffer.Clear();
        string[] fields = ["Linux", task.Uts.HostName, SentryKernel.Release, SentryKernel.Version, (task.Personality & Misc.PER_MASK) == Misc.PER_LINUX32 ? "i686" : "x86_64", task.Uts.DomainName];
        for (int i = 0; i < fields.Length; i++)
        {
            Encoding.Latin1.GetBytes(fields[i], buffer.Slice(i * FieldSize, FieldSize - 1));
        }

        return task.Memory.CopyOut(a.A0, buffer) == buffer.Length ? 0 : -(long)Errno.EFAULT;
    }

    private static Errno ReadName(Task task, in SyscallArguments a, out string name)
    {
        name = "";
        if (!task.Credentials.HasCapability(Capability.CAP_SYS_ADMIN, task.Uts.Owner))
        {
            return Errno.EPERM;
        }

        if (a.UInt1 > UtsNamespace.MaximumLength)
        {
            return Errno.EINVAL;
        }

        Span<byte> bytes = stackalloc byte[a.Int1];
        if (task.Memory.CopyIn(a.A0, bytes) != bytes.Length)
        {
            return Errno.EFAULT;
        }

        int end = bytes.IndexOf((byte)0);
        name = Encoding.Latin1.GetString(end < 0 ? bytes : bytes[..end]);
        return Errno.None;
    }

    private static long SetHostName(Task task, in SyscallArguments a)
    {
        Errno error = ReadName(task, a, out string name);
        if (error == Errno.None)
        {
            task.Uts.HostName = name;
        }

        return -(long)error;
    }

    private static long SetDomainName(Task task, in SyscallArguments a)
    {
        Errno error = ReadName(task, a, out string name);
        if (error == Errno.None)
        {
            task.Uts.DomainName = name;
        }

        return -(long)error;
    }

    /// <summary>struct sysinfo.</summary>
    [StructLayout(LayoutKind.Sequential, Size = 112)]
    private struct SysInfoBuffer
    {
        public long Uptime;
        public ulong Load1;
        public ulong Load5;
        public ulong Load15;
        public ulong TotalRam;
        public ulong FreeRam;
        public ulong SharedRam;
        public ulong BufferRam;
        public ulong TotalSwap;
        public ulong FreeSwap;
        public ushort Processes;
        public ushort Padding;
        public ulong TotalHigh;
        public ulong FreeHigh;
        public uint Unit;
    }

    private static long SysInfo(Task task, in SyscallArguments a)
    {
        SentryKernel kernel = task.Kernel;
        int processes;
        lock (kernel.TaskLock)
        {
            processes = kernel.TaskCountLocked;
        }

        SysInfoBuffer info = new()
        {
            Uptime = (kernel.Clock.Monotonic - task.BootPoint) / ClockMath.Second,
            TotalRam = kernel.TotalMemory,
            FreeRam = kernel.FreeMemory,
            Processes = (ushort)Math.Min(processes, ushort.MaxValue),
            Unit = 1,
        };
        return task.Memory.CopyOut(a.A0, info) == Errno.None ? 0 : -(long)Errno.EFAULT;
    }

    private static long SysLog(Task task, in SyscallArguments a)
    {
        const int READ_ALL = 3, READ_CLEAR = 4, CLEAR = 5, SIZE_UNREAD = 9, SIZE_BUFFER = 10;
        byte[] log = task.Kernel.ReadLog();
        switch (a.Int0)
        {
            case READ_ALL:
            case READ_CLEAR:
                if (a.A1 == 0 || a.Int2 < 0)
                {
                    return -(long)Errno.EINVAL;
                }

                // The end of the log, when it does not fit.
                ReadOnlySpan<byte> bytes = log.Length > a.Int2 ? log.AsSpan(log.Length - a.Int2) : log;
                return task.Memory.CopyOut(a.A1, bytes) == bytes.Length ? bytes.Length : -(long)Errno.EFAULT;
            case SIZE_UNREAD:
            case SIZE_BUFFER:
                return log.Length;
            case CLEAR:
            default:
                return a.Int0 is >= 0 and <= 8 ? -(long)Errno.EPERM : -(long)Errno.EINVAL;
        }
    }

    private static long GetRandom(Task task, in SyscallArguments a)
    {
        const uint known = (uint)Linux.Misc.GRND_NONBLOCK | (uint)Linux.Misc.GRND_RANDOM | (uint)Linux.Misc.GRND_INSECURE;
        const uint exclusive = (uint)Linux.Misc.GRND_RANDOM | (uint)Linux.Misc.GRND_INSECURE;
        if ((a.UInt2 & ~known) != 0 || (a.UInt2 & exclusive) == exclusive)
        {
            return -(long)Errno.EINVAL;
        }

        ulong length = Math.Min(a.A1, 0x7fff_f000), done = 0;
        Span<byte> chunk = stackalloc byte[256];
        while (done < length)
        {
            Span<byte> part = chunk[..(int)Math.Min(length - done, (ulong)chunk.Length)];
            SentryKernel.FillRandom(part);
            long written = task.Memory.CopyOut(unchecked(a.A0 + done), part);
            if (written != part.Length)
            {
                return done > 0 ? (long)done : -(long)Errno.EFAULT;
            }

            done += (ulong)part.Length;

            // A long read stops for a signal, as in Linux.
            if (done >= 256 && task.HasInterrupt)
            {
                break;
            }
        }

        return (long)done;
    }

    private static long Reboot(Task task, in SyscallArguments a) => -(long)Errno.EPERM;
}
