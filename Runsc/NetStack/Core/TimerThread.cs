using System;
using System.Threading;

namespace Runsc.NetStack.Core;

/// <summary>The thread that fires a stack's timers: it sleeps until the next one and is woken when an earlier one is set.</summary>
internal sealed class TimerThread : DeferredWork
{
    private const long Millisecond = 1_000_000;
    private const int MaxSleep = 60_000;

    private readonly NetworkStack _stack;
    private readonly AutoResetEvent _wake = new(initialState: false);
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
        _wake.Set();
    }

    public override void Run() => _wake.Set();

    private void Loop()
    {
        while (!_isStopped)
        {
            long next = _stack.RunTimers();
            if (next == NetTimer.Never)
            {
                _wake.WaitOne();
                continue;
            }

            // Rounded up: a timer that is a part of a millisecond late is right, one that is early would spin.
            long wait = next - _stack.Clock.Monotonic;
            if (wait > 0)
            {
                _wake.WaitOne((int)Math.Min(((wait - 1) / Millisecond) + 1, MaxSleep));
            }
        }
    }
}
