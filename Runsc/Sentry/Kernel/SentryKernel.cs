using System;
using System.Collections.Generic;
using System.Text;
using System.Threading;
using Runsc.Common;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.Platform;
using Runsc.Sentry.Kernel.Futex;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Kernel.Time;
using Runsc.Sentry.Memory;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.Kernel;

/// <summary>The application kernel of one sandbox: everything hangs off this object.</summary>
internal sealed class SentryKernel(IPlatform platform, MemoryFile memory)
{
    public const string Release = "6.12.0-runsc";

    /// <summary>Guards the task tree (groups, children, process groups, sessions), signal queues, masks and dispositions, and exit states. Outermost.</summary>
    public readonly Lock TaskLock = new();

    // Guarded by TaskLock.
    private readonly Dictionary<int, Task> _tasks = [];
    private int _nextId = 1;

    private readonly List<string> _log = [];
    private long _nextDevice = 2;

    public IPlatform Platform { get; } = platform;

    public MemoryFile Memory { get; } = memory;

    public TimerQueue Timers { get; } = new();

    public FutexTable Futexes { get; } = new();

    public AnonymousFileSystem AnonymousFiles { get; } = new() { Device = 1 };

    public long BootTime { get; } = HostTime.Now(TimeConstants.CLOCK_MONOTONIC);

    public string HostName { get; set; } = "runsc";

    public string DomainName { get; set; } = "(none)";

    public int Processors { get; init; } = Environment.ProcessorCount;

    /// <summary>Carries out one system call: the dispatcher of a higher rank.</summary>
    public required Func<Task, long> SystemCall { get; init; }

    /// <summary>Loads a program for execve: the loader of a higher rank.</summary>
    public required ProgramLoader Loader { get; init; }

    /// <summary>Ends the sandbox after an internal error.</summary>
    public required Action<Exception> Panic { get; init; }

    /// <summary>The first process of the container.</summary>
    public ThreadGroup? Init { get; set; }

    /// <summary>All times that the application sees as the start of the system begin here.</summary>
    public long UptimeNanoseconds => HostTime.Now(TimeConstants.CLOCK_MONOTONIC) - BootTime;

    /// <summary>A device number for a new file system (major 0).</summary>
    public ulong NewDevice() => (ulong)Interlocked.Increment(ref _nextDevice);

    /// <summary>Adds a line to the kernel log (syslog(2)).</summary>
    public void LogLine(string text)
    {
        lock (_log)
        {
            double seconds = UptimeNanoseconds / 1e9;
            _log.Add($"<6>[{seconds,12:F6}] {text}");
        }
    }

    public byte[] ReadLog()
    {
        lock (_log)
        {
            return Encoding.ASCII.GetBytes(string.Join('\n', _log) + "\n");
        }
    }

    /// <summary>Lock held: TaskLock. Gives a task the next free id.</summary>
    public int AddTaskLocked(Task task)
    {
        while (_tasks.ContainsKey(_nextId))
        {
            Advance();
        }

        int id = _nextId;
        Advance();
        _tasks.Add(id, task);
        return id;

        void Advance() => _nextId = _nextId >= 4_194_303 ? 300 : _nextId + 1;
    }

    /// <summary>Lock held: TaskLock.</summary>
    public void RemoveTaskLocked(int id) => _tasks.Remove(id);

    /// <summary>Lock held: TaskLock. A leader's id goes over to the thread that called execve.</summary>
    public void RenameTaskLocked(Task task, int id)
    {
        _tasks.Remove(task.ThreadId);
        _tasks[id] = task;
        task.ThreadId = id;
    }

    /// <summary>Lock held: TaskLock. The task with an id, zombies included; or null.</summary>
    public Task? FindTaskLocked(int id) => _tasks.GetValueOrDefault(id);

    /// <summary>Lock held: TaskLock. All tasks in order of their ids.</summary>
    public List<Task> SnapshotTasksLocked()
    {
        List<Task> tasks = [.. _tasks.Values];
        tasks.Sort((a, b) => a.ThreadId.CompareTo(b.ThreadId));
        return tasks;
    }

    /// <summary>Thread group leaders in order of their ids.</summary>
    public List<ThreadGroup> SnapshotGroups()
    {
        lock (TaskLock)
        {
            List<ThreadGroup> groups = [];
            foreach (Task task in SnapshotTasksLocked())
            {
                if (task.ThreadGroup.Leader == task)
                {
                    groups.Add(task.ThreadGroup);
                }
            }

            return groups;
        }
    }

}

/// <summary>What execve asks of the loader; see Loader.</summary>
internal delegate Errno ProgramLoader(Task task, FileDescription file, byte[] path, List<byte[]> arguments, List<byte[]> environment, out LoadedProgram program);

/// <summary>A program that is ready to run in an address space of its own.</summary>
internal sealed class LoadedProgram
{
    public required MemoryManager Memory { get; init; }
    public required ulong EntryPoint { get; init; }
    public required ulong StackPointer { get; init; }

    /// <summary>Last component of the path (comm).</summary>
    public required string Name { get; init; }

    /// <summary>The program's file (the script's interpreter, not the script); a reference passes to the new owner.</summary>
    public required FileDescription Executable { get; init; }
}
