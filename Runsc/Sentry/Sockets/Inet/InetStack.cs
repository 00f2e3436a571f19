using System;
using System.Threading;
using Runsc.NetStack.Buffers;
using Runsc.NetStack.Core;
using Runsc.NetStack.Link;
using Runsc.NetStack.Transport.Tcp;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Kernel.Time;

namespace Runsc.Sentry.Sockets.Inet;

/// <summary>The TCP/IP of a network namespace: a stack with the kernel's clock, randomness and timers, and its loopback interface.</summary>
internal sealed class InetStack
{
    private const int Idle = 0, Running = 1, RunAgain = 2;

    private readonly KernelTimer _timer;
    private int _running;

    public InetStack(SentryKernel kernel, BufferPool pool)
    {
        Stack = new NetworkStack(new StackClock(kernel.Clock), new StackRandom(), pool);
        Tcp = new TcpProtocol(Stack);
        _timer = new KernelTimer(kernel.Timers, _ => RunTimers());
        Stack.TimerWaker = new Waker(this);
        using (Stack.Enter())
        {
            Stack.Register(Tcp);
            _ = Stack.AddInterface("lo", new LoopbackDevice(), out _);
        }
    }

    public NetworkStack Stack { get; }

    public TcpProtocol Tcp { get; }

    /// <summary>Gives the loopback interface its addresses and puts it up: the namespace of a container starts so, a new one does not.</summary>
    public void StartLoopback()
    {
        using (Stack.Enter())
        {
            LoopbackAddresses.SetUp(Stack, Stack.Loopback!, up: true);
        }
    }

    /// <summary>A new namespace begins with what IPv4's interfaces, TCP's buffers and its congestion control are in the first one (devconf_inherit_init_net 0).</summary>
    public void Inherit(InetStack first)
    {
        InterfaceParameters all = new(), others = new();
        TcpParameters theirs = first.Tcp.Parameters, own = Tcp.Parameters;
        using (first.Stack.Enter())
        {
            all.CopyFrom(first.Stack.Parameters.All, onlyV4: true);
            others.CopyFrom(first.Stack.Parameters.Default, onlyV4: true);
            own.CongestionControl = theirs.CongestionControl;
            (own.MinimumReceiveBuffer, own.DefaultReceiveBuffer, own.MaximumReceiveBuffer) = (theirs.MinimumReceiveBuffer, theirs.DefaultReceiveBuffer, theirs.MaximumReceiveBuffer);
            (own.MinimumSendBuffer, own.DefaultSendBuffer, own.MaximumSendBuffer) = (theirs.MinimumSendBuffer, theirs.DefaultSendBuffer, theirs.MaximumSendBuffer);
        }

        using (Stack.Enter())
        {
            Stack.Parameters.All.CopyFrom(all, onlyV4: true);
            Stack.Parameters.Default.CopyFrom(others, onlyV4: true);
            Stack.Loopback!.Parameters.CopyFrom(others, onlyV4: true);
        }
    }

    // Any thread that made a timer earlier may come here, and the timer thread. One runs the timers and sets the kernel's timer; who comes
    // meanwhile has it do so again, so that a deadline is never replaced by one that was read before.
    private void RunTimers()
    {
        if (Interlocked.CompareExchange(ref _running, Running, Idle) != Idle && Interlocked.Exchange(ref _running, RunAgain) != Idle)
        {
            return;
        }

        do
        {
            Volatile.Write(ref _running, Running);
            long next = Stack.RunTimers();
            _timer.Set(next == NetTimer.Never ? -1 : Math.Max(next, 0), 0);
        }
        while (Interlocked.CompareExchange(ref _running, Idle, Running) != Running);
    }

    /// <summary>The stack's next timer became earlier.</summary>
    private sealed class Waker(InetStack owner) : DeferredWork
    {
        public override void Run() => owner.RunTimers();
    }

    private sealed class StackClock(IClock clock) : INetClock
    {
        public long Monotonic => clock.Monotonic;

        public long RealTime => clock.Realtime;
    }

    /// <summary>The host's random bytes, fetched in stock: every packet of IPv4 takes some.</summary>
    private sealed class StackRandom : INetRandom
    {
        private readonly Lock _mu = new();

        // Guarded by _mu, a leaf: what was taken is cleared.
        private readonly byte[] _stock = new byte[512];
        private int _left;

        public ulong Next()
        {
            lock (_mu)
            {
                if (_left == 0)
                {
                    SentryKernel.FillRandom(_stock);
                    _left = _stock.Length;
                }

                _left -= sizeof(ulong);
                Span<byte> bytes = _stock.AsSpan(_left, sizeof(ulong));
                ulong value = BitConverter.ToUInt64(bytes);
                bytes.Clear();
                return value;
            }
        }

        public void Fill(Span<byte> bytes) => SentryKernel.FillRandom(bytes);
    }
}
