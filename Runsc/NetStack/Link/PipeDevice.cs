using System.Threading;
using Runsc.NetStack.Buffers;
using Runsc.NetStack.Core;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Link;

/// <summary>One end of a cable between two stacks: veth(4), and the link of tests. Frames cross when no stack's lock is held.</summary>
internal class PipeDevice : LinkDevice
{
    private const int MaxQueue = 4096;

    // Cables that a frame may cross: bridges that are joined to a ring would send it round for ever.
    private const int MaxHops = 64;

    private readonly Delivery _delivery;
    private readonly Carrier _carrier;
    private readonly bool _offload;
    private PipeDevice? _peer;

    public PipeDevice(MacAddress address, bool offload = true)
    {
        Address = address;
        _offload = offload;
        _delivery = new Delivery(this);
        _carrier = new Carrier(this);
    }

    public override LinkKind Kind => LinkKind.Ethernet;

    public override string? Driver => "veth";

    public override MacAddress Address { get; }

    public override bool HasChecksumOffload => _offload;

    public override int MaxGsoPacket => _offload ? 65535 + EthernetHeader.Size : 0;

    /// <summary>The other end; set before frames flow, and null after either end is closed.</summary>
    public PipeDevice? Peer
    {
        get => Volatile.Read(ref _peer);
        private set => Volatile.Write(ref _peer, value);
    }

    public override NetworkInterface? PeerInterface => Peer?.Interface;

    // The other end's flag is read without its stack's lock; its change is told to this stack.
    public override bool HasCarrier => Peer?.Interface is { IsUp: true };

    public override bool CanMove => true;

    public override bool CanBeRemoved => true;

    public static void Connect(PipeDevice a, PipeDevice b)
    {
        a.Peer = b;
        b.Peer = a;
    }

    public override bool Transmit(PacketBuffer frame)
    {
        if (Peer is null || !_delivery.TryAdd(frame))
        {
            frame.Release();
            return false;
        }

        Interface!.Stack.Defer(_delivery);
        return true;
    }

    public override void OnSetUp() => Interface!.Stack.Defer(_carrier);

    public override void Close()
    {
        if (Peer is { } peer)
        {
            peer.Peer = null;
            Peer = null;
        }
    }

    /// <summary>Receives a frame at this end. Precondition: the lock of this end's stack is held.</summary>
    protected virtual void Arrive(PacketBuffer frame) => Interface!.Receive(frame);

    /// <summary>Tells the other end that this one went up or down.</summary>
    private sealed class Carrier(PipeDevice owner) : DeferredWork
    {
        public override void Run()
        {
            PipeDevice? peer = owner.Peer;
            if (peer?.Interface is { } there)
            {
                using (there.Stack.Enter())
                {
                    if (ReferenceEquals(peer.Interface, there))
                    {
                        there.Stack.CarrierChanged(there);
                    }
                }
            }
        }
    }

    /// <summary>Frames under way to the other end. Its lock is a leaf.</summary>
    private sealed class Delivery(PipeDevice owner) : DeferredWork
    {
        private readonly Lock _mu = new();

        // Guarded by _mu.
        private PacketBuffer? _first;
        private PacketBuffer? _last;
        private int _count;

        public bool TryAdd(PacketBuffer frame)
        {
            lock (_mu)
            {
                if (_count == MaxQueue)
                {
                    return false;
                }

                frame.Next = null;
                if (_last is null)
                {
                    _first = frame;
                }
                else
                {
                    _last.Next = frame;
                }

                _last = frame;
                _count++;
                return true;
            }
        }

        public override void Run()
        {
            PipeDevice? peer = owner.Peer;
            NetworkInterface? input = peer?.Interface;
            if (input is null)
            {
                while (Take() is { } lost)
                {
                    lost.Release();
                }

                return;
            }

            // The frames are taken under the receiver's lock, so two runs at once do not change their order.
            using (input.Stack.Enter())
            {
                // Meanwhile the other end may have gone to a further stack.
                bool isThere = ReferenceEquals(peer!.Interface, input);
                while (Take() is { } frame)
                {
                    if (!isThere || frame.Hops == MaxHops)
                    {
                        frame.Release();
                        continue;
                    }

                    frame.Hops++;
                    frame.Owner = null;
                    frame.LinkStart = frame.NetworkStart = frame.TransportStart = -1;
                    frame.Tracking = null;
                    frame.Mark = 0;
                    peer.Arrive(frame);
                }
            }
        }

        private PacketBuffer? Take()
        {
            lock (_mu)
            {
                PacketBuffer? frame = _first;
                if (frame is not null)
                {
                    _first = frame.Next;
                    if (_first is null)
                    {
                        _last = null;
                    }

                    frame.Next = null;
                    _count--;
                }

                return frame;
            }
        }
    }
}
