using System;
using System.Collections.Generic;
using System.Threading;
using Runsc.Sentry.Kernel.Tasks;

namespace Runsc.Sentry.Kernel;

/// <summary>Pausing the tasks of a container (`runsc pause`): they finish their system calls and do not go back to the application.</summary>
internal sealed partial class SentryKernel
{
    // A monitor, not a Lock: paused tasks wait on it. A leaf of the lock order.
    private readonly object _pauseGate = new();

    // The containers that are. Replaced under the gate, never changed.
    private volatile HashSet<string>? _paused;

    /// <summary>Is the container of a task paused?</summary>
    public bool IsPaused(Task task) => _paused is { } paused && paused.Contains(task.ThreadGroup.Home);

    /// <summary>Takes the task lock.</summary>
    /// <param name="container">The home of the tasks.</param>
    public void Pause(string container)
    {
        lock (_pauseGate)
        {
            _paused = new HashSet<string>(_paused ?? [], StringComparer.Ordinal) { container };
        }

        lock (TaskLock)
        {
            foreach (Task task in SnapshotTasksLocked())
            {
                if (!task.HasExited && task.ThreadGroup.Home == container)
                {
                    task.Kick();
                }
            }
        }
    }

    public void Resume(string container)
    {
        lock (_pauseGate)
        {
            HashSet<string> left = new(_paused ?? [], StringComparer.Ordinal);
            _ = left.Remove(container);
            _paused = left.Count > 0 ? left : null;
            Monitor.PulseAll(_pauseGate);
        }
    }

    /// <summary>Returns when the task's container is not paused, or when the task must end.</summary>
    internal void WaitWhilePaused(Task task)
    {
        if (!IsPaused(task))
        {
            return;
        }

        lock (_pauseGate)
        {
            while (IsPaused(task) && !task.MustEnd)
            {
                Monitor.Wait(_pauseGate);
            }
        }
    }

    /// <summary>Lets paused tasks look whether they must end.</summary>
    internal void PulsePaused()
    {
        if (_paused is not null)
        {
            lock (_pauseGate)
            {
                Monitor.PulseAll(_pauseGate);
            }
        }
    }
}
