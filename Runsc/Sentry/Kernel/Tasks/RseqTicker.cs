using Runsc.Sentry.Kernel.Time;

namespace Runsc.Sentry.Kernel.Tasks;

/// <summary>
/// Interrupts tasks with restartable sequences that stay in the application for long: a program may wait in a critical section for its own preemption, and on an idle
/// machine nothing else would come. It runs only while such a task is in the application.
/// </summary>
internal sealed class RseqTicker
{
    private const long Period = 50_000_000;

    private readonly SentryKernel _kernel;
    private readonly KernelTimer _timer;
    private volatile bool _isRunning;

    public RseqTicker(SentryKernel kernel)
    {
        _kernel = kernel;
        _timer = new KernelTimer(kernel.Timers, _ => Tick());
    }

    /// <summary>
    /// A task with restartable sequences is in the application, and has published that with a full fence. Pairs with <see cref="Tick"/>, which takes the flag down before it
    /// looks for tasks: either it finds this one or this one finds the flag down.
    /// </summary>
    public void Started()
    {
        if (!_isRunning)
        {
            _isRunning = true;
            _timer.Set(_kernel.Clock.Monotonic + Period, 0);
        }
    }

    private void Tick()
    {
        _isRunning = false;
        System.Threading.Interlocked.MemoryBarrier();
        bool any = false;
        lock (_kernel.TaskLock)
        {
            foreach (Task task in _kernel.AllTasksLocked())
            {
                if (task.HasExited || !task.HasRseq)
                {
                    continue;
                }

                any |= task.IsInApplication;
                if (task.StaysInApplication(ref task.TickMark))
                {
                    task.Kick();
                }
            }
        }

        if (any)
        {
            Started();
        }
    }
}
