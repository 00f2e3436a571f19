using System;
using System.Buffers.Binary;
using System.Collections.Generic;
using Runsc.NetStack.Buffers;
using Runsc.NetStack.Core;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Transport;

/// <summary>Packet sockets that share frames (PACKET_FANOUT, packet(7)): each goes to one of them. Guarded by the stack's lock.</summary>
internal sealed class PacketFanout(NetworkStack stack, ushort id, FanoutMode mode, byte flags, ushort protocol, int index) : IPacketTap
{
    /// <summary>PACKET_FANOUT_FLAG_*, their upper byte: another one is tried when a socket is full; the kernel chooses the number; frames that go out are not shared.</summary>
    public const byte FlagRollover = 0x10, FlagUniqueId = 0x20, FlagIgnoreOutgoing = 0x40;

    private const int MaximumMembers = 256;

    private readonly List<PacketEndpoint> _members = [];
    private uint _turn;
    private int _current;

    public ushort Id => id;

    public FanoutMode Mode => mode;

    public byte Flags => flags;

    /// <summary>What getsockopt(2) shows.</summary>
    public uint Value => id | ((uint)mode << 16) | ((uint)flags << 24);

    public bool Takes(FanoutMode wanted, ushort wantedProtocol, int wantedInterface) =>
        wanted == mode && wantedProtocol == protocol && wantedInterface == index && _members.Count < MaximumMembers;

    public bool IsFull => _members.Count == MaximumMembers;

    public void Add(PacketEndpoint member)
    {
        if (_members.Count == 0)
        {
            stack.AddTap(this, index);
        }

        _members.Add(member);
    }

    public void Remove(PacketEndpoint member)
    {
        _members.Remove(member);
        if (_members.Count == 0)
        {
            stack.RemoveTap(this);
            stack.Fanouts.Remove(this);
        }
    }

    public void OnFrame(NetworkInterface networkInterface, PacketBuffer frame, PacketType type)
    {
        if (type == PacketType.Outgoing && (flags & FlagIgnoreOutgoing) != 0)
        {
            return;
        }

        int count = _members.Count;
        int chosen = mode switch
        {
            FanoutMode.Hash => (int)(((ulong)HashOf(frame) * (ulong)count) >> 32),
            FanoutMode.LoadBalance => (int)(unchecked(++_turn) % (uint)count),
            FanoutMode.Random => (int)(stack.Random.Next() % (ulong)count),
            FanoutMode.Rollover => _current < count ? _current : 0,

            // One processor receives, and there is one queue.
            _ => 0,
        };
        if (mode == FanoutMode.Rollover || (flags & FlagRollover) != 0)
        {
            for (int i = 0; i < count && !_members[chosen].HasRoom; i++)
            {
                chosen = (chosen + 1) % count;
            }

            _current = chosen;
        }

        _members[chosen].OnFrame(networkInterface, frame, type);
    }

    /// <summary>The same for both directions of a flow.</summary>
    private uint HashOf(PacketBuffer frame)
    {
        int link = frame.LinkStart >= 0 && frame.Length > EthernetHeader.Size && stack.FindInterface(frame.Interface) is { Device.HasHeader: true } ? EthernetHeader.Size : 0;
        Span<byte> front = stackalloc byte[Ipv4Header.MaxSize + 4];
        front = front[..frame.CopyTo(link, front)];
        IpAddress source, destination;
        int transport;
        if (frame.Protocol == EtherType.Ipv4 && front.Length >= Ipv4Header.MinSize)
        {
            int length = (front[0] & 0xf) * 4;
            if (length < Ipv4Header.MinSize || length > front.Length)
            {
                return 0;
            }

            Ipv4Header header = Ipv4Header.OfChecked(front);
            (source, destination) = (header.Source, header.Destination);
            transport = header.IsFragment || header.Protocol is not (IpProtocol.Tcp or IpProtocol.Udp) ? -1 : header.HeaderLength;
        }
        else if (frame.Protocol == EtherType.Ipv6 && front.Length >= Ipv6Header.Size)
        {
            Ipv6Header header = Ipv6Header.OfChecked(front);
            (source, destination) = (header.Source, header.Destination);
            transport = header.NextHeader is not (IpProtocol.Tcp or IpProtocol.Udp) ? -1 : Ipv6Header.Size;
        }
        else
        {
            return 0;
        }

        ushort from = 0, to = 0;
        if (transport >= 0 && front.Length >= transport + 4)
        {
            from = BinaryPrimitives.ReadUInt16BigEndian(front[transport..]);
            to = BinaryPrimitives.ReadUInt16BigEndian(front[(transport + 2)..]);
        }

        bool swap = source.High != destination.High ? source.High > destination.High : source.Low != destination.Low ? source.Low > destination.Low : from > to;
        return unchecked((uint)(swap ? stack.Hash.Hash(destination, to, source, from) : stack.Hash.Hash(source, from, destination, to)));
    }
}
