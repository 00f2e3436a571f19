using System;
using System.Buffers.Binary;
using Runsc.NetStack.Buffers;
using Runsc.NetStack.Core;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Network;

/// <summary>Membership in one group on one interface: its reports (RFC 2236, 3376; RFC 2710, 3810). Guarded by the stack's lock.</summary>
/// <remarks>Reports are of the newest version until a router asks in an older one. Source filters are applied by the sockets, not told to routers.</remarks>
internal sealed class GroupMember(GroupSet set, IpAddress group) : NetTimer
{
    private const long Millisecond = 1_000_000;
    private const int UnsolicitedInterval = 1000;
    private const uint AllHosts = 0xe000_0001;
    private const uint AllRouters = 0xe000_0002;
    private const uint AllV3Routers = 0xe000_0016;

    private int _repeats;

    public IpAddress Group { get; } = group;

    /// <summary>Sockets, and the host itself, that want it.</summary>
    public int Count { get; set; }

    /// <summary>What the last query spoke; 0 is the newest.</summary>
    public int OldVersion { get; private set; }

    private NetworkInterface Interface => set.Interface;

    private NetworkStack Stack => set.Interface.Stack;

    // 224.0.0.1, ff02::1 and what stays on the host are never reported.
    private bool IsReported =>
        !Interface.IsLoopback && (Interface.Flags & InterfaceFlags.Multicast) != 0
        && (Group.IsV4 ? Group.V4 != AllHosts : Group.MulticastScope >= 2 && !(Group.High == 0xff02_0000_0000_0000 && Group.Low == 1));

    public void Announce()
    {
        if (IsReported)
        {
            _repeats = 1;
            Report(GroupRecord.ToExclude);
            Delay(UnsolicitedInterval);
        }
    }

    public void Withdraw()
    {
        Stack.Cancel(this);
        if (!IsReported || !Interface.IsUp)
        {
            return;
        }

        if (OldVersion == 0)
        {
            Report(GroupRecord.ToInclude);
        }
        else if (Group.IsV4 ? OldVersion == 2 : OldVersion == 1)
        {
            Send(Group.IsV4 ? IgmpMessage.Leave : Icmpv6Type.MldDone, Group.IsV4 ? IpAddress.FromV4(AllRouters) : new IpAddress(0xff02_0000_0000_0000, 2));
        }
    }

    public void Stop() => Stack.Cancel(this);

    public void Queried(int version, int maxResponse)
    {
        if (!IsReported)
        {
            return;
        }

        OldVersion = version == (Group.IsV4 ? 3 : 2) ? 0 : version;
        Delay(version == 1 && Group.IsV4 ? 10000 : Math.Clamp(maxResponse, 1, 60000));
    }

    public void Suppress()
    {
        if (OldVersion != 0)
        {
            Stack.Cancel(this);
        }
    }

    public override void Fire()
    {
        Report(_repeats > 0 ? GroupRecord.ToExclude : GroupRecord.IsExclude);
        _repeats = 0;
    }

    private void Delay(int milliseconds)
    {
        long when = Stack.Now + ((long)(Stack.Random.Next() % (ulong)milliseconds) * Millisecond) + 1;
        if (!IsSet || when < Deadline)
        {
            Stack.Schedule(this, when);
        }
    }

    private void Report(byte record)
    {
        if (OldVersion != 0)
        {
            byte type = !Group.IsV4 ? Icmpv6Type.MldReport : OldVersion == 1 ? IgmpMessage.ReportV1 : IgmpMessage.ReportV2;
            Send(type, Group);
            return;
        }

        PacketBuffer packet = Stack.Pool.Allocate(PacketBuffer.Headroom, GroupRecord.Length(Group));
        GroupRecord.Write(packet.Append(GroupRecord.Length(Group)), record, Group);
        Send(packet, Group.IsV4 ? IpAddress.FromV4(AllV3Routers) : new IpAddress(0xff02_0000_0000_0000, 0x16));
    }

    private void Send(byte type, in IpAddress destination)
    {
        int length = Group.IsV4 ? IgmpMessage.Size : MldMessage.Size;
        PacketBuffer packet = Stack.Pool.Allocate(PacketBuffer.Headroom, length);
        if (Group.IsV4)
        {
            IgmpMessage.Write(packet.Append(length), type, Group);
        }
        else
        {
            MldMessage.Write(packet.Append(length), type, Group);
        }

        Send(packet, destination);
    }

    /// <summary>Sends with TTL 1 and the router alert option, over this interface only.</summary>
    private void Send(PacketBuffer packet, in IpAddress destination)
    {
        int length = packet.Length;
        if (Group.IsV4)
        {
            Span<byte> header = packet.Prepend(24);
            header[20] = Ipv4Options.RouterAlert;
            header[21] = 4;
            header[22] = header[23] = 0;
            Ipv4Header.Write(header, new Ipv4Header.Fields
            {
                TotalLength = length + 24,
                TrafficClass = 0xc0,
                DontFragment = true,
                Ttl = 1,
                Protocol = IpProtocol.Igmp,
                Source = Interface.SelectV4(destination, NetworkStack.ScopeLink),
                Destination = destination,
            });
        }
        else
        {
            IpAddress source = Interface.LinkLocal;
            BinaryPrimitives.WriteUInt16BigEndian(packet.Linear[2..], 0);
            ulong sum = Checksum.PseudoHeader(source, destination, IpProtocol.Icmpv6, length);
            BinaryPrimitives.WriteUInt16BigEndian(packet.Linear[2..], Checksum.Finish(Checksum.Add(sum, packet.Linear)));
            ReadOnlySpan<byte> hopByHop = [IpProtocol.Icmpv6, 0, Ipv6Options.RouterAlert, 2, 0, 0, Ipv6Options.PadN, 0];
            hopByHop.CopyTo(packet.Prepend(8));
            Ipv6Header.Write(packet.Prepend(Ipv6Header.Size), new Ipv6Header.Fields
            {
                PayloadLength = length + 8,
                NextHeader = IpProtocol.HopByHop,
                HopLimit = 1,
                Source = source,
                Destination = destination,
            });
        }

        packet.NetworkStart = packet.Position;
        Stack.Counters.Ip(Group.IsV4).OutRequests++;
        Stack.Counters.Ip(Group.IsV4).OutMulticast++;
        Interface.SendIp(packet, null, destination, isBroadcast: false);
    }
}
