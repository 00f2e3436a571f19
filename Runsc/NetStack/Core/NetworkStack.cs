using System.Threading;
using Runsc.Common;
using Runsc.NetStack.Buffers;
using Runsc.NetStack.Network;
using Runsc.NetStack.Transport;
using Runsc.NetStack.Transport.Tcp;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Core;

/// <summary>One network namespace: interfaces, addresses, routes, endpoints. Thread-safe by one lock.</summary>
/// <remarks>
/// The lock guards all protocol state of the stack. Received packets are processed and socket calls are made under it; it is held
/// for short work only, never while blocking, never over a copy of user memory. What must reach the outside (wake-ups, frames for a device,
/// packets for another stack) is deferred and done once the lock is free, so the locks of two stacks are never held together.
/// </remarks>
internal sealed partial class NetworkStack : ITimerHost
{
    // Timers that fire in one hold of the lock. What thousands of connections send when their timers are due together fits no device's queue.
    private const int TimerBatch = 256;

    private readonly Lock _mu = new();
    private readonly DeferredList _deferred = new();
    private readonly TimerHeap _timers = new();
    private readonly ITransportProtocol?[] _transports = new ITransportProtocol?[256];

    // Guarded by _mu: the time of the current hold of the lock, or a negative value while it was not asked for.
    private long _now = -1;
    private bool _timersChanged;

    // Guarded by _mu: when the host runs the timers again without being asked. A timer that was cancelled leaves it early, so that one which is set for
    // each packet and cancelled by the answer wakes nobody.
    private long _promised = NetTimer.Never;

    public NetworkStack(INetClock clock, INetRandom random, BufferPool pool)
    {
        Clock = clock;
        Random = random;
        Pool = pool;
        Ports = new PortManager(random);
        Hash = new FlowHash(random.Next(), random.Next());
        Routes4 = new RoutingTables(this, v4: true);
        Routes6 = new RoutingTables(this, v4: false);
        PathMtus = new PathMtuCache(this);
        Output = new IpOutput(this);
        Ip = Output;
        Ipv4 = new Ipv4Protocol(this);
        Ipv6 = new Ipv6Protocol(this);
        Icmpv4 = new Icmpv4Protocol(this);
        Icmpv6 = new Icmpv6Protocol(this);
        ErrorSender = new IcmpErrorSender(this);
        IcmpErrors = ErrorSender;
        Pings = new PingTable(random);
        Udp = new UdpProtocol(this, IpProtocol.Udp);
        UdpLite = new UdpProtocol(this, IpProtocol.UdpLite);
        Register(Udp);
        Register(UdpLite);
    }

    public INetClock Clock { get; }

    public INetRandom Random { get; }

    public BufferPool Pool { get; }

    public PortManager Ports { get; }

    /// <summary>IP for transports; a test of one transport may put its own in.</summary>
    public IIpOutput Ip { get; set; }

    /// <summary>Where ICMP errors about received packets go out.</summary>
    public IIcmpErrors IcmpErrors { get; set; }

    public StackParameters Parameters { get; } = new();

    public StackCounters Counters { get; } = new();

    public RoutingTables Routes4 { get; }

    public RoutingTables Routes6 { get; }

    public UdpProtocol Udp { get; }

    public UdpProtocol UdpLite { get; }

    /// <summary>TCP, after <see cref="AddTcp"/>.</summary>
    public TcpProtocol? Tcp { get; private set; }

    public RawTable Raw { get; } = new();

    public PingTable Pings { get; }

    /// <summary>iptables and nftables; null while there are no rules.</summary>
    public IPacketFilter? Filter { get; set; }

    internal PathMtuCache PathMtus { get; }

    internal IpOutput Output { get; }

    internal Ipv4Protocol Ipv4 { get; }

    internal Ipv6Protocol Ipv6 { get; }

    internal Icmpv4Protocol Icmpv4 { get; }

    internal Icmpv6Protocol Icmpv6 { get; }

    internal IcmpErrorSender ErrorSender { get; }

    /// <summary>The key of this stack's hash tables.</summary>
    public FlowHash Hash { get; }

    /// <summary>Deferred, once the lock is free, whenever the next timer became earlier: wakes the thread that sleeps until it.</summary>
    public DeferredWork? TimerWaker { get; set; }

    public long Now => _now >= 0 ? _now : _now = Clock.Monotonic;

    /// <summary>Changes with routes, addresses, interfaces and path MTUs: kept routes of an older generation are looked up again.</summary>
    internal uint RouteGeneration { get; private set; } = 1;

    public bool IsLocked => _mu.IsHeldByCurrentThread;

    /// <summary>Takes the lock until the result is disposed: <c>using (stack.Enter()) { … }</c>. Not to be nested.</summary>
    public Hold Enter()
    {
        if (_mu.IsHeldByCurrentThread)
        {
            Invariant.Fail("the lock of a network stack was taken twice");
        }

        _mu.Enter();
        _now = -1;
        return new Hold(this);
    }

    /// <summary>Has the work done once the lock is free. Precondition: the lock is held.</summary>
    public void Defer(DeferredWork work) => _deferred.Add(work);

    public void Register(ITransportProtocol protocol) => _transports[protocol.Number] = protocol;

    /// <summary>Makes this stack speak TCP.</summary>
    public TcpProtocol AddTcp()
    {
        TcpProtocol tcp = new(this);
        Tcp = tcp;
        Register(tcp);
        return tcp;
    }

    public void Schedule(NetTimer timer, long deadline)
    {
        _timers.Schedule(timer, deadline);
        _timersChanged |= deadline < _promised;
    }

    public void Cancel(NetTimer timer) => _timers.Cancel(timer);

    /// <summary>Runs what is due and returns the time to call again, or <see cref="NetTimer.Never"/>. Takes the lock.</summary>
    public long RunTimers()
    {
        while (true)
        {
            using (Enter())
            {
                int left = TimerBatch;
                while (left > 0 && _timers.TakeDue(Now) is { } timer)
                {
                    timer.Fire();
                    left--;
                }

                _timersChanged = false;
                if (left > 0)
                {
                    return _promised = _timers.Earliest;
                }
            }
        }
    }

    public RoutingTables Routes(bool v4) => v4 ? Routes4 : Routes6;

    internal ITransportProtocol? Transport(byte protocol) => _transports[protocol];

    internal void RoutesChanged() => RouteGeneration = unchecked(RouteGeneration + 1);

    private void Leave()
    {
        RunBacklog();
        if (_timersChanged)
        {
            _timersChanged = false;
            if (TimerWaker is { } waker)
            {
                _deferred.Add(waker);
            }
        }

        _mu.Exit();
        if (!_deferred.IsEmpty)
        {
            _deferred.RunAll();
        }
    }

    /// <summary>The lock, held.</summary>
    internal readonly ref struct Hold(NetworkStack stack)
    {
        public void Dispose() => stack.Leave();
    }
}
