using System;
using System.Collections.Generic;
using System.Threading;
using Runsc.NetStack.Buffers;
using Runsc.NetStack.Core;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Transport;

/// <summary>A packet socket's lower half (packet(7)): frames of interfaces, in and out. Guarded by the stack's lock, which the public members take.</summary>
internal sealed class PacketEndpoint(NetworkStack stack, bool isRaw) : IPacketTap
{
    /// <summary>ETH_P_ALL.</summary>
    public const ushort AllProtocols = 3;

    // What waits between the stack's lock and a ring: no longer than it takes to let go of the lock.
    private const int RingBacklog = 4 << 20;

    private readonly Queue<ReceivedFrame> _queue = new();
    private int _memory;
    private uint _received;
    private uint _dropped;
    private uint _freezes;
    private bool _isFrozen;

    public NetworkStack Stack { get; } = stack;

    /// <summary>SOCK_RAW: with the link header. Else SOCK_DGRAM.</summary>
    public bool IsRaw { get; } = isRaw;

    public EndpointNotifier Notifier { get; } = new(stack);

    public IDatagramFilter? Filter { get; set; }

    public int ReceiveBuffer { get; set; } = stack.Parameters.DefaultReceiveBuffer;

    /// <summary>The EtherType it receives, <see cref="AllProtocols"/>, or 0 for none.</summary>
    public ushort Protocol { get; private set; }

    /// <summary>The interface it is bound to, or 0 for all.</summary>
    public int Interface { get; private set; }

    /// <summary>Memory of the queue, for /proc/net/packet.</summary>
    public int QueuedMemory => _memory;

    /// <summary>PACKET_IGNORE_OUTGOING.</summary>
    public bool IgnoresOutgoing { get; set; }

    public NetEvents Readiness
    {
        get
        {
            using (Stack.Enter())
            {
                return NetEvents.Writable | (_queue.Count > 0 ? NetEvents.Readable : 0);
            }
        }
    }

    /// <summary>bind(2), and the protocol of socket(2): what is received from now on.</summary>
    public NetError Bind(ushort protocol, int index)
    {
        using (Stack.Enter())
        {
            if (Fanout is not null)
            {
                return NetError.InvalidArgument;
            }

            if (index != 0 && Stack.FindInterface(index) is null)
            {
                return NetError.NoSuchDevice;
            }

            Untap();
            Protocol = protocol;
            Interface = index;
            if (protocol != 0)
            {
                Stack.AddTap(this, index);
            }

            return NetError.None;
        }
    }

    /// <summary>Takes the first frame; WouldBlock if there is none.</summary>
    public NetError Receive(bool peek, out ReceivedFrame frame)
    {
        using (Stack.Enter())
        {
            if (!_queue.TryPeek(out frame))
            {
                return NetError.WouldBlock;
            }

            if (peek)
            {
                frame.Packet = frame.Packet.TryClone()!;
                return frame.Packet is null ? NetError.NoBufferSpace : NetError.None;
            }

            _queue.Dequeue();
            _memory -= frame.Packet.Footprint;
            return NetError.None;
        }
    }

    /// <summary>Sends a frame (raw), or a packet to a link address; takes it.</summary>
    public NetError Send(PacketBuffer packet, int index, ushort protocol, MacAddress destination)
    {
        using (Stack.Enter())
        {
            NetworkInterface? output = Stack.FindInterface(index != 0 ? index : Interface);
            NetError error = output is null ? NetError.NoSuchInterface
                : !output.IsUp ? NetError.NetworkDown
                : packet.Length > output.Mtu + (IsRaw && output.Device.HasHeader ? EthernetHeader.Size : 0) ? NetError.MessageTooLong
                : IsRaw && output.Device.HasHeader && !packet.EnsureLinear(EthernetHeader.Size) ? NetError.InvalidArgument
                : NetError.None;
            if (error != NetError.None)
            {
                packet.Release();
                return error;
            }

            if (IsRaw)
            {
                packet.LinkStart = packet.Position;
                output!.TransmitFrame(packet);
            }
            else
            {
                output!.SendFrame(packet, destination, protocol != 0 ? protocol : Protocol);
            }

            return NetError.None;
        }
    }

    /// <summary>PACKET_STATISTICS: frames since the last call, dropped ones included, and how often a ring of blocks was full.</summary>
    public (uint Received, uint Dropped, uint Freezes) TakeStatistics()
    {
        using (Stack.Enter())
        {
            (uint, uint, uint) result = (_received, _dropped, _freezes);
            _received = _dropped = _freezes = 0;
            return result;
        }
    }

    /// <summary>Frames were lost since the statistics were taken. No lock.</summary>
    public bool HasDropped => Volatile.Read(ref _dropped) != 0;

    /// <summary>A ring had no room for a frame that was received.</summary>
    public void CountDrop()
    {
        using (Stack.Enter())
        {
            Dropped();
        }
    }

    /// <summary>A ring of blocks is full: counted once until there is room again.</summary>
    public void CountFreeze()
    {
        using (Stack.Enter())
        {
            _freezes += _isFrozen ? 0u : 1;
            _isFrozen = true;
        }
    }

    public void Thaw()
    {
        if (Volatile.Read(ref _isFrozen))
        {
            using (Stack.Enter())
            {
                _isFrozen = false;
            }
        }
    }

    /// <summary>The group that it shares frames with.</summary>
    public PacketFanout? Fanout { get; private set; }

    /// <summary>Frames are taken out at once by a ring, which has its own limit.</summary>
    public bool HasRing { get; set; }

    /// <summary>Another frame would be taken.</summary>
    internal bool HasRoom => _memory < Limit / 2;

    private int Limit => HasRing ? Math.Max(ReceiveBuffer, RingBacklog) : ReceiveBuffer;

    /// <summary>PACKET_FANOUT: joins the group of an id, or makes it.</summary>
    public NetError Join(ushort id, FanoutMode mode, byte flags)
    {
        using (Stack.Enter())
        {
            if (mode > FanoutMode.QueueMapping || (mode == FanoutMode.Rollover && (flags & PacketFanout.FlagRollover) != 0)
                || (flags & ~(PacketFanout.FlagRollover | PacketFanout.FlagUniqueId | PacketFanout.FlagIgnoreOutgoing)) != 0)
            {
                return NetError.InvalidArgument;
            }

            if (Fanout is not null)
            {
                return NetError.AlreadyInProgress;
            }

            if ((flags & PacketFanout.FlagUniqueId) != 0)
            {
                if (id != 0)
                {
                    return NetError.InvalidArgument;
                }

                while (Stack.Fanouts.Exists(one => one.Id == id))
                {
                    if (++id == 0)
                    {
                        return NetError.NoMemory;
                    }
                }

                flags &= unchecked((byte)~PacketFanout.FlagUniqueId);
            }

            PacketFanout? group = Stack.Fanouts.Find(one => one.Id == id);
            if (Protocol == 0 || (group is not null && (group.Flags != flags || !group.Takes(mode, Protocol, Interface))))
            {
                return group is { IsFull: true } ? NetError.NoSpace : NetError.InvalidArgument;
            }

            if (group is null)
            {
                group = new PacketFanout(Stack, id, mode, flags, Protocol, Interface);
                Stack.Fanouts.Add(group);
            }

            Stack.RemoveTap(this);
            group.Add(this);
            Fanout = group;
            return NetError.None;
        }
    }

    public void Close()
    {
        using (Stack.Enter())
        {
            Untap();
            Protocol = 0;
            while (_queue.TryDequeue(out ReceivedFrame frame))
            {
                frame.Packet.Release();
            }

            _memory = 0;
        }
    }

    public void OnFrame(NetworkInterface networkInterface, PacketBuffer frame, PacketType type)
    {
        // Over loopback every frame is seen going out and coming in, as in Linux.
        if ((Protocol != AllProtocols && (Protocol != frame.Protocol || type == PacketType.Outgoing)) || (type == PacketType.Outgoing && IgnoresOutgoing))
        {
            return;
        }

        if (_memory + frame.Footprint > Limit || frame.TryClone() is not { } copy)
        {
            _received = unchecked(_received + 1);
            Dropped();
            return;
        }

        ReceivedFrame received = new() { Interface = networkInterface.Index, Protocol = frame.Protocol, Type = type, LinkKind = networkInterface.Device.Kind };
        if (networkInterface.Device.HasHeader && copy.EnsureLinear(EthernetHeader.Size) && EthernetHeader.TryParse(copy.Linear, out EthernetHeader header))
        {
            received.Source = header.Source;
            if (!IsRaw)
            {
                copy.TrimFront(EthernetHeader.Size);
            }
        }

        if (Filter is { } filter)
        {
            int kept = filter.Run(copy);
            if (kept == 0)
            {
                copy.Release();
                return;
            }

            received.OriginalLength = copy.Length;
            copy.TrimTo(kept);
        }
        else
        {
            received.OriginalLength = copy.Length;
        }

        // Frames that the filter refuses are not counted.
        _received = unchecked(_received + 1);
        if (_memory + copy.Footprint > Limit)
        {
            copy.Release();
            Dropped();
            return;
        }

        if (copy.Timestamp == 0)
        {
            copy.Timestamp = Stack.Clock.RealTime;
        }

        received.Timestamp = copy.Timestamp;
        received.Packet = copy;
        _memory += copy.Footprint;
        _queue.Enqueue(received);
        Notifier.Raise(NetEvents.Readable);
    }

    private void Dropped() => _dropped = unchecked(_dropped + 1);

    private void Untap()
    {
        Fanout?.Remove(this);
        Fanout = null;
        Stack.RemoveTap(this);
    }
}
