using System.Threading;
using Runsc.Sentry.Kernel.Tasks;

namespace Runsc.Sentry.Kernel;

/// <summary>Pausing all tasks (`runsc pause`): they finish their system calls and do not go back to the application.</summary>
internal sealed partial class SentryKernel
{
    // A monitor, not a Lock: paused tasks wait on it. A leaf of the lock order.
    private readonly object _pauseGate = new();
    private volatile bool _isPaused;

    public bool IsPaused => _isPaused;

    /// <summary>Takes the task lock.</summary>
    public void Pause()
    {
        lock (TaskLock)
        {
            _isPaused = true;
            foreach (Task task in SnapshotTasksLocked())
            {
                if (!task.HasExited)
                {
                    task.Kick();
                }
            }
        }
    }

    public void Resume()
    {
        lock (_pauseGate)
        {
            _isPaused = false;
            Monitor.PulseAll(_pauseGate);
        }
    }

    /// <summary>Returns when the sandbox is not paused, or when the task must end.</summary>
    internal void WaitWhilePaused(Task task)
    {
        if (!_isPaused)
        {
            return;
        }

        lock (_pauseGate)
        {
            while (_isPaused && !task.MustEnd)
            {
                Monitor.Wait(_pauseGate);
            }
        }
    }

    /// <summary>Lets paused tasks look whether they must end.</summary>
    internal void PulsePaused()
    {
        if (_isPaused)
        {
            lock (_pauseGate)
            {
                Monitor.PulseAll(_pauseGate);
            }
        }
    }
}
