using System;
using System.Collections.Generic;
using Runsc.NetStack;
using Runsc.NetStack.Transport.Tcp;
using Xunit;

namespace Runsc.Tests.Unit.NetStack.Tcp;

/// <summary>Two hosts and a link that loses, delays, reorders, duplicates and damages by a seed. Time is simulated.</summary>
internal sealed class TcpLink
{
    private readonly PriorityQueue<(TestHost To, WireSegment Segment), (long Time, long Order)> _wire = new();
    private readonly Random _random;
    private long _order;
    private readonly long[] _free = new long[2];

    public TcpLink(int seed)
    {
        _random = new Random(seed);
        Clock = new HandClock();
        A = new TestHost(Clock, seed * 2, IpAddress.FromV4(10, 0, 0, 1), segment => Carry(segment, 1));
        B = new TestHost(Clock, (seed * 2) + 1, IpAddress.FromV4(10, 0, 0, 2), segment => Carry(segment, 0));
    }

    public HandClock Clock { get; }

    public TestHost A { get; }

    public TestHost B { get; }

    public double Loss { get; set; }

    public double Duplication { get; set; }

    public double Reordering { get; set; }

    public double Damage { get; set; }

    /// <summary>One way, in nanoseconds.</summary>
    public long Delay { get; set; } = 1_000_000;

    /// <summary>Bytes a second, or 0 for no limit.</summary>
    public long Rate { get; set; }

    /// <summary>Nanoseconds of queue before packets are dropped, with a rate.</summary>
    public long Queue { get; set; } = 50_000_000;

    /// <summary>IP packets beyond this vanish without a word.</summary>
    public int BlackHole { get; set; } = int.MaxValue;

    /// <summary>Packets that would be dropped by the queue are marked instead when they can be.</summary>
    public bool Marks { get; set; }

    public int Carried { get; private set; }

    public int MarkedPackets { get; private set; }

    private void Carry(WireSegment segment, int to)
    {
        Carried++;
        if (segment.Bytes.Length + 20 > BlackHole || _random.NextDouble() < Loss)
        {
            return;
        }

        long at = Clock.Monotonic + Delay;
        if (Rate > 0)
        {
            long start = Math.Max(_free[to], Clock.Monotonic);
            long waiting = start - Clock.Monotonic;
            if (waiting > Queue)
            {
                return;
            }

            if (Marks && waiting > Queue / 4 && (segment.TrafficClass & 3) != 0)
            {
                MarkedPackets++;
                segment = segment with { TrafficClass = 3 };
            }

            _free[to] = start + ((segment.Bytes.Length + 34) * 1_000_000_000L / Rate);
            at = _free[to] + Delay;
        }

        if (_random.NextDouble() < Reordering)
        {
            at += (long)(_random.NextDouble() * 4 * Delay);
        }

        if (_random.NextDouble() < Damage)
        {
            byte[] damaged = (byte[])segment.Bytes.Clone();
            damaged[_random.Next(damaged.Length)] ^= (byte)(1 << _random.Next(8));
            segment = segment with { Bytes = damaged };
        }

        TestHost host = to == 1 ? B : A;
        _wire.Enqueue((host, segment), (at, _order++));
        if (_random.NextDouble() < Duplication)
        {
            _wire.Enqueue((host, segment), (at + _random.Next(1_000_000), _order++));
        }
    }

    /// <summary>The next thing happens: a packet arrives or a timer fires. False if nothing is left to happen before <paramref name="limit"/>.</summary>
    public bool Step(long limit = long.MaxValue - 1)
    {
        long next = Math.Min(A.Stack.RunTimers(), B.Stack.RunTimers());
        long arrival = _wire.TryPeek(out _, out (long Time, long Order) key) ? key.Time : long.MaxValue;
        next = Math.Min(next, arrival);
        if (next > limit)
        {
            return false;
        }

        Clock.Monotonic = Math.Max(Clock.Monotonic, next);
        if (arrival <= Clock.Monotonic)
        {
            (TestHost to, WireSegment segment) = _wire.Dequeue();
            to.Deliver(segment);
        }

        return true;
    }

    /// <summary>Lets time pass.</summary>
    public void Run(double seconds)
    {
        long end = Clock.Monotonic + (long)(seconds * 1e9);
        while (Step(end))
        {
        }

        Clock.Monotonic = end;
        A.Stack.RunTimers();
        B.Stack.RunTimers();
    }

    public (TcpEndpoint Client, TcpEndpoint Listener) Connect(Action<TcpEndpoint>? client = null, Action<TcpEndpoint>? server = null)
    {
        TcpEndpoint listener = B.Tcp.CreateEndpoint(isV6: false);
        server?.Invoke(listener);
        Assert.Equal(NetError.None, listener.Bind(new IpEndpoint(IpAddress.AnyV4, 80)));
        Assert.Equal(NetError.None, listener.Listen(16));
        TcpEndpoint endpoint = A.Tcp.CreateEndpoint(isV6: false);
        client?.Invoke(endpoint);
        Assert.Equal(NetError.InProgress, endpoint.Connect(new IpEndpoint(B.Address, 80)));
        return (endpoint, listener);
    }
}
