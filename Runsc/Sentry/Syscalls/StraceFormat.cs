using System;
using System.Collections.Generic;
using System.Text;
using Runsc.Linux;
using Runsc.Sentry.Kernel.Tasks;

namespace Runsc.Sentry.Syscalls;

/// <summary>How arguments and results look in a trace.</summary>
internal static class StraceFormat
{
    private static readonly (int Value, string Name)[] s_openFlags =
    [
        (Fcntl.O_TMPFILE, "O_TMPFILE"), (Fcntl.O_CREAT, "O_CREAT"), (Fcntl.O_EXCL, "O_EXCL"), (Fcntl.O_NOCTTY, "O_NOCTTY"), (Fcntl.O_TRUNC, "O_TRUNC"),
        (Fcntl.O_APPEND, "O_APPEND"), (Fcntl.O_NONBLOCK, "O_NONBLOCK"), (Fcntl.O_SYNC, "O_SYNC"), (Fcntl.O_DIRECT, "O_DIRECT"),
        (Fcntl.O_DIRECTORY, "O_DIRECTORY"), (Fcntl.O_NOFOLLOW, "O_NOFOLLOW"), (Fcntl.O_NOATIME, "O_NOATIME"), (Fcntl.O_CLOEXEC, "O_CLOEXEC"), (Fcntl.O_PATH, "O_PATH"),
    ];

    private static readonly (int Value, string Name)[] s_protections = [(1, "PROT_READ"), (2, "PROT_WRITE"), (4, "PROT_EXEC"), (Mman.PROT_GROWSDOWN, "PROT_GROWSDOWN")];

    private static readonly (int Value, string Name)[] s_mapFlags =
    [
        (Mman.MAP_SHARED, "MAP_SHARED"), (Mman.MAP_PRIVATE, "MAP_PRIVATE"), (Mman.MAP_FIXED, "MAP_FIXED"), (Mman.MAP_ANONYMOUS, "MAP_ANONYMOUS"),
        (Mman.MAP_GROWSDOWN, "MAP_GROWSDOWN"), (Mman.MAP_DENYWRITE, "MAP_DENYWRITE"), (Mman.MAP_LOCKED, "MAP_LOCKED"), (Mman.MAP_NORESERVE, "MAP_NORESERVE"),
        (Mman.MAP_POPULATE, "MAP_POPULATE"), (Mman.MAP_STACK, "MAP_STACK"), (Mman.MAP_HUGETLB, "MAP_HUGETLB"), (Mman.MAP_FIXED_NOREPLACE, "MAP_FIXED_NOREPLACE"),
    ];

    private static readonly (int Value, string Name)[] s_cloneFlags =
    [
        (Sched.CLONE_VM, "CLONE_VM"), (Sched.CLONE_FS, "CLONE_FS"), (Sched.CLONE_FILES, "CLONE_FILES"), (Sched.CLONE_SIGHAND, "CLONE_SIGHAND"),
        (Sched.CLONE_PIDFD, "CLONE_PIDFD"), (Sched.CLONE_VFORK, "CLONE_VFORK"), (Sched.CLONE_PARENT, "CLONE_PARENT"), (Sched.CLONE_THREAD, "CLONE_THREAD"),
        (Sched.CLONE_NEWNS, "CLONE_NEWNS"), (Sched.CLONE_SYSVSEM, "CLONE_SYSVSEM"), (Sched.CLONE_SETTLS, "CLONE_SETTLS"),
        (Sched.CLONE_PARENT_SETTID, "CLONE_PARENT_SETTID"), (Sched.CLONE_CHILD_CLEARTID, "CLONE_CHILD_CLEARTID"),
        (Sched.CLONE_CHILD_SETTID, "CLONE_CHILD_SETTID"), (Sched.CLONE_NEWUTS, "CLONE_NEWUTS"), (Sched.CLONE_NEWIPC, "CLONE_NEWIPC"),
        (Sched.CLONE_NEWUSER, "CLONE_NEWUSER"), (Sched.CLONE_NEWPID, "CLONE_NEWPID"), (Sched.CLONE_NEWNET, "CLONE_NEWNET"),
    ];

    private static readonly string[] s_signals =
    [
        "0", "SIGHUP", "SIGINT", "SIGQUIT", "SIGILL", "SIGTRAP", "SIGABRT", "SIGBUS", "SIGFPE", "SIGKILL", "SIGUSR1", "SIGSEGV", "SIGUSR2", "SIGPIPE", "SIGALRM",
        "SIGTERM", "SIGSTKFLT", "SIGCHLD", "SIGCONT", "SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGURG", "SIGXCPU", "SIGXFSZ", "SIGVTALRM", "SIGPROF",
        "SIGWINCH", "SIGIO", "SIGPWR", "SIGSYS",
    ];

    private static readonly string[] s_clocks =
    [
        "CLOCK_REALTIME", "CLOCK_MONOTONIC", "CLOCK_PROCESS_CPUTIME_ID", "CLOCK_THREAD_CPUTIME_ID", "CLOCK_MONOTONIC_RAW", "CLOCK_REALTIME_COARSE",
        "CLOCK_MONOTONIC_COARSE", "CLOCK_BOOTTIME",
    ];

    private static readonly string[] s_futex =
    [
        "FUTEX_WAIT", "FUTEX_WAKE", "FUTEX_FD", "FUTEX_REQUEUE", "FUTEX_CMP_REQUEUE", "FUTEX_WAKE_OP", "FUTEX_LOCK_PI", "FUTEX_UNLOCK_PI", "FUTEX_TRYLOCK_PI",
        "FUTEX_WAIT_BITSET", "FUTEX_WAKE_BITSET",
    ];

    /// <summary>One argument before the call.</summary>
    public static string Argument(Task task, string kind, in SyscallArguments a, int index)
    {
        ulong value = Strace.ArgumentAt(a, index);
        int low = unchecked((int)value);
        switch (kind)
        {
            case "fd":
            case "int":
            case "pid":
                return low.ToString();
            case "uint":
            case "rlimit":
            case "prctl":
                return unchecked((uint)value).ToString();
            case "size":
            case "off":
                return unchecked((long)value).ToString();
            case "dirfd":
                return low == Fcntl.AT_FDCWD ? "AT_FDCWD" : low.ToString();
            case "path":
            case "str":
                return String(task, value);
            case "buf":
                return Text(task, value, Strace.ArgumentAt(a, index + 1));
            case "argv":
                return Strings(task, value);
            case "mode":
                return "0" + Convert.ToString(low & 0xffff, 8);
            case "oflags":
                return (low & 3) switch { 0 => "O_RDONLY", 1 => "O_WRONLY", 2 => "O_RDWR", _ => "3" } + Rest(low & ~3, s_openFlags, "|");
            case "prot":
                return low == 0 ? "PROT_NONE" : Rest(low, s_protections, "")[..];
            case "mapflags":
                return Rest(low, s_mapFlags, "");
            case "cloneflags":
                return Rest(low & ~0xff, s_cloneFlags, "") + ((low & 0xff) != 0 ? "|" + SignalName(low & 0xff) : "");
            case "sig":
                return SignalName(low);
            case "sighow":
                return low switch { 0 => "SIG_BLOCK", 1 => "SIG_UNBLOCK", 2 => "SIG_SETMASK", _ => low.ToString() };
            case "sigset":
                return value == 0 || task.Memory.CopyIn(value, out ulong set) != Errno.None ? Hex(value) : SignalSet(set);
            case "timespec":
                return value == 0 ? "NULL" : task.Memory.CopyIn(value, out Timespec time) != Errno.None ? Hex(value) : $"{{{time.Seconds}, {time.Nanoseconds}}}";
            case "clock":
                return (uint)low < s_clocks.Length ? s_clocks[low] : low.ToString();
            case "futexop":
                return ((low & 0x7f) < s_futex.Length ? s_futex[low & 0x7f] : (low & 0x7f).ToString())
                    + ((low & Linux.Futex.FUTEX_PRIVATE_FLAG) != 0 ? "_PRIVATE" : "") + ((low & Linux.Futex.FUTEX_CLOCK_REALTIME) != 0 ? "|FUTEX_CLOCK_REALTIME" : "");
            case "family" or "socktype" or "msgflags" or "sockaddr" or "outsockaddr" or "msghdr" or "outmsghdr" or "sol" or "sockopt" or "shut":
                return StraceSockets.Argument(task, kind, a, index);
            case "whence":
                return low switch { 0 => "SEEK_SET", 1 => "SEEK_CUR", 2 => "SEEK_END", 3 => "SEEK_DATA", 4 => "SEEK_HOLE", _ => low.ToString() };
            default:
                return Hex(value);
        }
    }

    public static string Result(SyscallTable table, int number, long result)
    {
        if (result is < 0 and > -4096)
        {
            Errno error = (Errno)(-result);
            return error >= Errno.ERESTARTSYS && error <= Errno.ERESTART_RESTARTBLOCK ? $"? {error}" : $"-1 {error}";
        }

        return number is SysNo.mmap or SysNo.mremap or SysNo.brk || result is > int.MaxValue or < 0 ? Hex(unchecked((ulong)result)) : result.ToString();
    }

    public static string Hex(ulong value) => value == 0 ? "NULL" : $"0x{value:x}";

    /// <summary>Bytes of the application as a C string, shortened.</summary>
    public static string Text(Task task, ulong address, ulong length)
    {
        Span<byte> buffer = stackalloc byte[Strace.TextLimit];
        int wanted = (int)Math.Min(length, (ulong)buffer.Length);
        long read = wanted == 0 ? 0 : task.Memory.CopyIn(address, buffer[..wanted]);
        return read < 0 ? Hex(address) : Quote(buffer[..(int)read], (ulong)read < length);
    }

    private static string String(Task task, ulong address)
    {
        if (address == 0)
        {
            return "NULL";
        }

        byte[] buffer = new byte[4096];
        long length = task.Memory.CopyInString(address, buffer);
        return length < 0 ? Hex(address) : Quote(buffer.AsSpan(0, (int)length), false);
    }

    private static string Strings(Task task, ulong address)
    {
        List<string> strings = [];
        for (; strings.Count < 32; address += 8)
        {
            if (address == 0 || task.Memory.CopyIn(address, out ulong pointer) != Errno.None || pointer == 0)
            {
                return $"[{string.Join(", ", strings)}]";
            }

            strings.Add(String(task, pointer));
        }

        return $"[{string.Join(", ", strings)}, ...]";
    }

    internal static string Quote(ReadOnlySpan<byte> bytes, bool cut)
    {
        StringBuilder text = new("\"");
        foreach (byte c in bytes)
        {
            _ = c switch
            {
                (byte)'"' or (byte)'\\' => text.Append('\\').Append((char)c),
                (byte)'\n' => text.Append("\\n"),
                (byte)'\t' => text.Append("\\t"),
                (byte)'\r' => text.Append("\\r"),
                < 0x20 or >= 0x7f => text.Append('\\').Append(Convert.ToString(c, 8)),
                _ => text.Append((char)c),
            };
        }

        return Strace.Shorten(text, cut);
    }

    internal static string Rest(int value, (int Value, string Name)[] names, string prefix)
    {
        StringBuilder text = new();
        foreach ((int bit, string name) in names)
        {
            if ((value & bit) == bit)
            {
                text.Append(text.Length == 0 ? prefix : "|").Append(name);
                value &= ~bit;
            }
        }

        if (value != 0)
        {
            text.Append(text.Length == 0 ? prefix : "|").Append($"0x{value:x}");
        }

        return text.Length == 0 && prefix.Length == 0 ? "0" : text.ToString();
    }

    private static string SignalName(int signal) => (uint)signal < s_signals.Length ? s_signals[signal] : signal is >= 32 and <= 64 ? $"SIGRT_{signal - 32}" : signal.ToString();

    private static string SignalSet(ulong set)
    {
        bool inverted = ulong.PopCount(set) > 32;
        set = inverted ? ~set : set;
        List<string> names = [];
        for (int signal = 1; signal <= 64; signal++)
        {
            if ((set >> (signal - 1) & 1) != 0)
            {
                string name = SignalName(signal);
                names.Add(name.StartsWith("SIG", StringComparison.Ordinal) ? name[3..] : name);
            }
        }

        return $"{(inverted ? "~" : "")}[{string.Join(' ', names)}]";
    }
}
