using System.Threading;
using Runsc.Platform;
using Runsc.Sentry.Auth;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Memory;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.Kernel.Tasks;

/// <summary>A thread of an application (Linux: struct task_struct). It runs on a host thread of its own.</summary>
/// <remarks>
/// What only the task's own thread touches needs no lock. What others read says so. Other parts of the class:
/// Task.Run (the loop), Task.Block (waiting), Task.Signals, Task.Clone, Task.Exec, Task.Exit.
/// </remarks>
internal sealed partial class Task : ICaller
{
    public required Kernel Kernel { get; init; }

    /// <summary>The process. Immutable.</summary>
    public required ThreadGroup ThreadGroup { get; set; }

    /// <summary>Thread id in the root PID namespace; as the task itself sees it: <see cref="PidNamespace"/>.</summary>
    public required int ThreadId { get; set; }

    /// <summary>Its address space. Replaced by execve on its own thread; others take a reference under the thread group's lock.</summary>
    public required MemoryManager Memory { get; set; }

    public required FdTable Files { get; set; }

    public required FsContext Fs { get; set; }

    FsContext? ICaller.Fs => Fs;

    private volatile Credentials? _credentials;

    /// <summary>Written only by the task itself; an immutable record, so anyone may read it.</summary>
    public Credentials Credentials
    {
        get => _credentials!;
        set => _credentials = value;
    }

    public IUserMemory UserMemory => Memory;

    public required MountNamespace MountNamespace { get; set; }

    public int ProcessId => ThreadGroup.Id;

    /// <summary>Registers and FPU state, and the way into the application.</summary>
    public required IContext Context { get; init; }
}
