using System;
using System.Threading;
using Runsc.NetStack.Core;

namespace Runsc.Tests.Support;

/// <summary>The thread that fires a stack's timers: it sleeps until the next one and is woken when an earlier one is set.</summary>
internal sealed class TimerThread : DeferredWork
{
    private const long Millisecond = 1_000_000;
    private const int MaxSleep = 60_000;

    private readonly NetworkStack _stack;
    private readonly object _mu = new();

    // Guarded by _mu: an earlier timer was set since the thread last looked.
    private bool _isWoken;
    private volatile bool _isStopped;

    public TimerThread(NetworkStack stack)
    {
        _stack = stack;
        stack.TimerWaker = this;
    }

    public void Start() => new Thread(Loop, 256 << 10) { IsBackground = true, Name = "net timers" }.Start();

    public void Stop()
    {
        _isStopped = true;
        Run();
    }

    public override void Run()
    {
        lock (_mu)
        {
            _isWoken = true;
            Monitor.Pulse(_mu);
        }
    }

    private void Loop()
    {
        while (!_isStopped)
        {
            long next = _stack.RunTimers();
            if (next == NetTimer.Never)
            {
                Sleep(Timeout.Infinite);
                continue;
            }

            // Rounded up: a timer that is a part of a millisecond late is right, one that is early would spin.
            long wait = next - _stack.Clock.Monotonic;
            if (wait > 0)
            {
                Sleep((int)Math.Min(((wait - 1) / Millisecond) + 1, MaxSleep));
            }
        }
    }

    private void Sleep(int milliseconds)
    {
        lock (_mu)
        {
            if (!_isWoken)
            {
                Monitor.Wait(_mu, milliseconds);
            }

            _isWoken = false;
        }
    }
}
