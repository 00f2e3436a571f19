using System.Collections.Generic;
using Runsc.Common;
using Runsc.Linux;
using Runsc.Platform;
using Runsc.Sentry.Kernel.Seccomp;
using Runsc.Sentry.Kernel.Tasks;

namespace Runsc.Sentry.Syscalls;

/// <summary>System calls by number (syscalls(2)): what runs, and how a trace shows them. Only the trace changes once it is built.</summary>
internal sealed unsafe class SyscallTable
{
    private const int Size = 512;

    private readonly delegate*<Task, in SyscallArguments, long>[] _handlers = new delegate*<Task, in SyscallArguments, long>[Size];
    private readonly string?[] _names = new string?[Size];
    private readonly string?[] _formats = new string?[Size];

    // Numbers that were called and are not there, so that each is logged once. Benign races.
    private readonly bool[] _missingLogged = new bool[Size];

    /// <summary>Where decoded calls go; null: no trace. May change at any time: a call sees one or the other.</summary>
    public ITrace? Trace { get; set; }

    /// <summary>All families.</summary>
    public static SyscallTable Create(ITrace? trace)
    {
        SyscallTable table = new() { Trace = trace };
        SyscallFamilies.RegisterAll(new Builder(table));
        return table;
    }

    /// <summary>True when a call is there.</summary>
    public bool Has(int number) => (uint)number < Size && _handlers[number] != null;

    /// <summary>The name of a call that is there, else "syscall_N".</summary>
    public string NameOf(int number) => (uint)number < Size && _names[number] is string name ? name : $"syscall_{number:x}";

    /// <summary>The trace format of a call's arguments; "" when it is not there.</summary>
    public string FormatOf(int number) => (uint)number < Size ? _formats[number] ?? "" : "";

    /// <summary>Carries out the call that the task's registers hold: its result, or −errno. ENOSYS for what is not there.</summary>
    public long Dispatch(Task task)
    {
        ref TrapFrame frame = ref task.Context.Frame;
        if (task.Seccomp is SeccompFilters filters && !task.PassesSeccomp(filters, out long refused))
        {
            return refused;
        }

        // Linux looks at the low 32 bits. A filter's tracer may have changed the registers.
        SyscallArguments arguments = new(unchecked((int)frame.OrigRax), frame.Rdi, frame.Rsi, frame.Rdx, frame.R10, frame.R8, frame.R9);
        int number = arguments.Number;

        if ((uint)number >= Size || _handlers[number] == null)
        {
            return Missing(task, arguments);
        }

        if (Trace is ITrace trace)
        {
            object? state = trace.Enter(task, this, arguments);
            long result = _handlers[number](task, arguments);
            trace.Leave(task, this, arguments, state, result);
            return result;
        }

        return _handlers[number](task, arguments);
    }

    private long Missing(Task task, in SyscallArguments arguments)
    {
        int number = arguments.Number;
        if ((uint)number >= Size || !_missingLogged[number])
        {
            if ((uint)number < Size)
            {
                _missingLogged[number] = true;
            }

            Log.Info($"system call {number} is not there (first called by {task.ThreadId}, {task.Name})");
        }

        ITrace? trace = Trace;
        trace?.Leave(task, this, arguments, trace.Enter(task, this, arguments), -(long)Errno.ENOSYS);
        return -(long)Errno.ENOSYS;
    }

    /// <summary>Hears of every call, on the task's thread.</summary>
    internal interface ITrace
    {
        /// <summary>Before the call: what only then can be read. The result is given to <see cref="Leave"/>.</summary>
        object? Enter(Task task, SyscallTable table, in SyscallArguments arguments);

        void Leave(Task task, SyscallTable table, in SyscallArguments arguments, object? state, long result);
    }

    /// <summary>Fills a table.</summary>
    internal sealed class Builder(SyscallTable table)
    {
        private readonly HashSet<int> _numbers = [];

        /// <summary>
        /// Adds a call. <paramref name="format"/> names a kind for each argument, separated by commas, for the trace: fd, dirfd, path, str, buf (read by the
        /// call), outbuf (filled by it), iov, size, int, uint, hex, ptr, mode, oflags, prot, mapflags, sig, pid, timespec, clock, futexop, …; see Strace.
        /// </summary>
        public void Add(int number, string name, delegate*<Task, in SyscallArguments, long> handler, string format)
        {
            if (!_numbers.Add(number))
            {
                Invariant.Fail($"system call {name} is registered twice");
            }

            table._handlers[number] = handler;
            table._names[number] = name;
            table._formats[number] = format;
        }
    }
}
