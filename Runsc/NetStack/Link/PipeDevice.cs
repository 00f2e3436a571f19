using System.Threading;
using Runsc.NetStack.Buffers;
using Runsc.NetStack.Core;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Link;

/// <summary>One end of a cable between two stacks: veth(4), and the link of tests. Frames cross when no stack's lock is held.</summary>
internal class PipeDevice : LinkDevice
{
    private const int MaxQueue = 4096;

    private readonly Delivery _delivery;
    private readonly bool _offload;

    public PipeDevice(MacAddress address, bool offload = true)
    {
        Address = address;
        _offload = offload;
        _delivery = new Delivery(this);
    }

    public override LinkKind Kind => LinkKind.Ethernet;

    public override string? Driver => "veth";

    public override MacAddress Address { get; }

    public override bool HasChecksumOffload => _offload;

    public override int MaxGsoPacket => _offload ? 65535 + EthernetHeader.Size : 0;

    /// <summary>The other end; set once, before frames flow.</summary>
    public PipeDevice? Peer { get; private set; }

    public override bool HasCarrier => Peer?.Interface is { IsUp: true };

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
                while (Take() is { } frame)
                {
                    frame.LinkStart = frame.NetworkStart = frame.TransportStart = -1;
                    frame.Tracking = null;
                    frame.Mark = 0;
                    peer!.Arrive(frame);
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
