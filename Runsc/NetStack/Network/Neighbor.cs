using Runsc.NetStack.Buffers;
using Runsc.NetStack.Core;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Network;

/// <summary>A host on a link and what is known of its link address. Its timer is itself. Guarded by the stack's lock.</summary>
/// <remarks>
/// None → Incomplete (asked) → Reachable (answered) → Stale (30 s later) → Delay (a packet is sent) → Probe (5 s without a confirmation)
/// → Reachable or Failed. Incomplete → Failed after three questions. Failed → Incomplete with the next packet.
/// </remarks>
internal sealed class Neighbor(NeighborTable table, IpAddress address) : NetTimer
{
    private const long Second = 1_000_000_000;
    private const int MaxProbes = 3;
    private const long RetransmitTime = Second;
    private const long DelayTime = 5 * Second;
    private const long ReachableTime = 30 * Second;

    // Packets that wait for an answer; the oldest gives way.
    private const int MaxPending = 64;

    private PacketBuffer? _firstPending;
    private PacketBuffer? _lastPending;
    private int _pending;
    private int _probes;

    public IpAddress Address { get; } = address;

    public NetworkInterface Interface => table.Interface;

    public NeighborState State { get; private set; }

    public MacAddress Mac { get; private set; }

    /// <summary>It said that it is a router (NTF_ROUTER).</summary>
    public bool IsRouter { get; set; }

    /// <summary>Monotonic nanoseconds, for the eviction of what is not used.</summary>
    public long LastUsed { get; private set; }

    public long LastConfirmed { get; private set; }

    public bool HasAddress => (State & (NeighborState.Reachable | NeighborState.Stale | NeighborState.Delay | NeighborState.Probe | NeighborState.Permanent | NeighborState.NoArp)) != 0;

    private NetworkStack Stack => table.Interface.Stack;

    /// <summary>Sends an IP packet to it, now or when its address is known; takes the packet.</summary>
    public void Send(PacketBuffer packet)
    {
        LastUsed = Stack.Now;
        if (HasAddress)
        {
            if (State == NeighborState.Stale)
            {
                Enter(NeighborState.Delay, DelayTime);
            }

            Interface.SendFrame(packet, Mac, packet.Protocol);
            return;
        }

        if (_pending == MaxPending)
        {
            PacketBuffer oldest = _firstPending!;
            _firstPending = oldest.Next;
            oldest.Next = null;
            oldest.Release();
            _pending--;
        }

        if (_firstPending is null)
        {
            _firstPending = packet;
        }
        else
        {
            _lastPending!.Next = packet;
        }

        _lastPending = packet;
        _pending++;
        if (State != NeighborState.Incomplete)
        {
            _probes = 0;
            Enter(NeighborState.Incomplete, RetransmitTime);
            Ask();
        }
    }

    /// <summary>An upper layer has seen that packets reach it: new data were acknowledged.</summary>
    public void Confirm()
    {
        if (HasAddress && State is not (NeighborState.Permanent or NeighborState.NoArp))
        {
            LastConfirmed = Stack.Now;
            if (State != NeighborState.Reachable)
            {
                Enter(NeighborState.Reachable, ReachableTime);
            }
        }
    }

    /// <summary>Its address was heard: in an answer to our question (solicited), or by the way.</summary>
    /// <param name="mac">The address.</param>
    /// <param name="solicited">It answered us, so it is reachable.</param>
    /// <param name="overrides">A new address replaces a known one.</param>
    public void Heard(MacAddress mac, bool solicited, bool overrides)
    {
        if (State == NeighborState.Permanent || !mac.IsUnicast)
        {
            return;
        }

        bool differs = HasAddress && mac != Mac;
        if (differs && !overrides)
        {
            // RFC 4861, 7.2.5: keep the old address but find out whether it still holds.
            if (State == NeighborState.Reachable)
            {
                Enter(NeighborState.Stale, 0);
            }

            return;
        }

        bool known = HasAddress;
        Mac = mac;
        if (solicited)
        {
            LastConfirmed = Stack.Now;
            Enter(NeighborState.Reachable, ReachableTime);
        }
        else if (!known || differs)
        {
            Enter(NeighborState.Stale, 0);
        }

        FlushPending();
    }

    /// <summary>Sets it by hand (RTM_NEWNEIGH).</summary>
    public void Set(MacAddress mac, NeighborState state)
    {
        Mac = mac;
        Enter(state, state == NeighborState.Reachable ? ReachableTime : 0);
        if (HasAddress)
        {
            FlushPending();
        }
    }

    public override void Fire()
    {
        long now = Stack.Now;
        switch (State)
        {
            case NeighborState.Reachable:
                if (now - LastConfirmed < ReachableTime)
                {
                    Stack.Schedule(this, LastConfirmed + ReachableTime);
                    break;
                }

                Enter(NeighborState.Stale, 0);
                break;
            case NeighborState.Delay:
                _probes = 0;
                Enter(NeighborState.Probe, RetransmitTime);
                Ask();
                break;
            case NeighborState.Incomplete:
            case NeighborState.Probe:
                if (++_probes < MaxProbes)
                {
                    Stack.Schedule(this, now + RetransmitTime);
                    Ask();
                    break;
                }

                Enter(NeighborState.Failed, 0);
                FailPending();
                break;
            default:
                break;
        }
    }

    /// <summary>It leaves the table.</summary>
    internal void Close()
    {
        Stack.Cancel(this);
        State = NeighborState.None;
        while (TakePending() is { } packet)
        {
            packet.Release();
        }
    }

    private void Ask()
    {
        if (Address.IsV4)
        {
            ArpProtocol.Ask(Interface, Address, State == NeighborState.Probe ? Mac : MacAddress.Broadcast, _firstPending);
        }
        else
        {
            NdpProtocol.Ask(Interface, Address, State == NeighborState.Probe ? Mac : null);
        }
    }

    private void Enter(NeighborState state, long time)
    {
        State = state;
        if (time > 0)
        {
            Stack.Schedule(this, Stack.Now + time);
        }
        else
        {
            Stack.Cancel(this);
        }

        Stack.Observer?.NeighborChanged(this, removed: false);
    }

    private void FlushPending()
    {
        while (TakePending() is { } packet)
        {
            Interface.SendFrame(packet, Mac, packet.Protocol);
        }
    }

    private void FailPending()
    {
        while (TakePending() is { } packet)
        {
            Stack.ReportLinkFailure(packet);
        }
    }

    private PacketBuffer? TakePending()
    {
        PacketBuffer? packet = _firstPending;
        if (packet is not null)
        {
            _firstPending = packet.Next;
            packet.Next = null;
            _pending--;
        }

        return packet;
    }
}
