using Runsc.NetStack.Core;
using Runsc.Tests.Unit.NetStack.Support;
using Xunit;

namespace Runsc.Tests.Unit.NetStack;

/// <summary>When the thread that runs a stack's timers is asked to come earlier than it said it would.</summary>
public sealed class TimerWakeTests
{
    [Fact]
    public void TimerThatIsCancelledAndSetAgain_WakesOnce()
    {
        using StackPair pair = new();
        NetworkStack stack = pair.A;
        Counter waker = new();
        Timer timer = new();
        pair.Run(200_000);
        Assert.Equal(NetTimer.Never, stack.RunTimers());
        stack.TimerWaker = waker;
        for (int i = 0; i < 10; i++)
        {
            using (stack.Enter())
            {
                stack.Schedule(timer, pair.Clock.Monotonic + 1000 + i);
                stack.Cancel(timer);
            }

            // What a host does that is woken.
            if (waker.Runs == 1 && i == 0)
            {
                using (stack.Enter())
                {
                    stack.Schedule(timer, pair.Clock.Monotonic + 1000);
                }

                stack.RunTimers();
            }
        }

        int woken = waker.Runs;
        Assert.InRange(woken, 1, 2);
        using (stack.Enter())
        {
            stack.Schedule(timer, pair.Clock.Monotonic + 500);
        }

        Assert.Equal(woken + 1, waker.Runs);
        pair.Clock.Monotonic += 2000;
        Assert.Equal(NetTimer.Never, stack.RunTimers());
        Assert.Equal(1, timer.Fired);
        using (stack.Enter())
        {
            stack.Schedule(timer, pair.Clock.Monotonic + 5000);
        }

        Assert.Equal(woken + 2, waker.Runs);
    }

    /// <summary>What the timers of many connections send has to leave before there is more of it than a device's queue takes.</summary>
    [Fact]
    public void TimersDueTogether_LetTheirWorkOutBetween()
    {
        using StackPair pair = new();
        NetworkStack stack = pair.A;
        Bursts bursts = new();
        using (stack.Enter())
        {
            for (int i = 0; i < 5000; i++)
            {
                stack.Schedule(new Sender(stack, bursts), pair.Clock.Monotonic + 1000);
            }
        }

        pair.Clock.Monotonic += 2000;
        stack.RunTimers();
        Assert.Equal(5000, bursts.All);
        Assert.InRange(bursts.Largest, 1, 500);
    }

    private sealed class Sender(NetworkStack stack, Bursts bursts) : NetTimer
    {
        public override void Fire()
        {
            bursts.Waiting++;
            stack.Defer(bursts);
        }
    }

    private sealed class Bursts : DeferredWork
    {
        public int Waiting { get; set; }

        public int Largest { get; private set; }

        public int All { get; private set; }

        public override void Run()
        {
            Largest = System.Math.Max(Largest, Waiting);
            All += Waiting;
            Waiting = 0;
        }
    }

    private sealed class Counter : DeferredWork
    {
        public int Runs { get; private set; }

        public override void Run() => Runs++;
    }

    private sealed class Timer : NetTimer
    {
        public int Fired { get; private set; }

        public override void Fire() => Fired++;
    }
}
