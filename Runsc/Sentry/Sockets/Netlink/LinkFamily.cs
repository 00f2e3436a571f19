using System;
using Runsc.Linux;
using Runsc.NetStack.Core;
using Runsc.NetStack.Link;

namespace Runsc.Sentry.Sockets.Netlink;

/// <summary>RTM_GETLINK and what is told of links. Under the stack's lock.</summary>
internal static class LinkFamily
{
    /// <summary>struct ifinfomsg.</summary>
    public const int HeaderSize = 16;

    /// <summary>AF_BRIDGE.</summary>
    public const int BridgeAddressFamily = 7;

    public const int NewLink = 16, DeleteLink = 17, SetLink = 19;

    // IFLA_*.
    public const int Address = 1, Broadcast = 2, Name = 3, Mtu = 4, LowerLink = 5, Discipline = 6, Master = 10, QueueLength = 13, OperationalState = 16, Mode = 17, Info = 18,
        ProcessNamespace = 19, Counters = 23, Group = 27, FileNamespace = 28, Promiscuity = 30, SendQueues = 31, ReceiveQueues = 32, Carrier = 33, LowerNamespace = 37;

    public const int InfoKind = 1, InfoData = 2;

    private const int InfoPortKind = 4;

    public static Errno Dump(NetworkStack stack, NetlinkWriter writer)
    {
        foreach (NetworkInterface one in stack.Interfaces)
        {
            Write(one, NetlinkWriter.Multi, writer);
        }

        return Errno.None;
    }

    /// <summary>The dump of family AF_BRIDGE: the ports of bridges, with their state.</summary>
    public static Errno DumpPorts(NetworkStack stack, NetlinkWriter writer)
    {
        foreach (NetworkInterface one in stack.Interfaces)
        {
            if (one.Master is { } master)
            {
                writer.Begin(NewLink, NetlinkWriter.Multi);
                writer.Add((ushort)BridgeAddressFamily);
                writer.Add((ushort)one.Device.Kind);
                writer.Add((uint)one.Index);
                writer.Add((uint)one.ShownFlags);
                writer.Add(0u);
                writer.Attribute(Name, one.Name);
                writer.Attribute(Master, (uint)master.Interface);
                writer.Attribute(Mtu, (uint)one.Mtu);
                writer.Attribute(OperationalState, [one.OperationalState]);
                if (one.Device.PeerInterface is { } peer)
                {
                    writer.Attribute(LowerLink, (uint)peer.Index);
                }

                WritePort(one, writer);
                writer.End();
            }
        }

        return Errno.None;
    }

    // IFLA_BRPORT_STATE, _PRIORITY, _COST.
    private static void WritePort(NetworkInterface port, NetlinkWriter writer)
    {
        const int information = 12, nested = 0x8000, state = 1, priority = 2, cost = 3;
        const byte disabled = 0, forwarding = 3;
        int nest = writer.BeginNest(information | nested);
        writer.Attribute(state, [port.IsRunning ? forwarding : disabled]);
        writer.Attribute(priority, [32, 0]);
        writer.Attribute(cost, 2u);
        writer.EndNest(nest);
    }

    /// <summary>The neighbours of family AF_BRIDGE: the stations that bridges know.</summary>
    public static Errno DumpStations(NetworkStack stack, in NetlinkRequest request, NetlinkWriter writer)
    {
        // struct ndmsg; NDA_*, NUD_*, NTF_*.
        const int headerSize = 12, newNeighbor = 28, linkAddress = 2, cacheInfo = 3, master = 9;
        const ushort reachable = 2;
        const byte ofMaster = 4;
        request.TryGetNumber(headerSize, master, out uint wanted);
        Span<byte> mac = stackalloc byte[6];
        foreach (NetworkInterface one in stack.Interfaces)
        {
            if (one.Device is not BridgeDevice bridge || (wanted != 0 && wanted != (uint)one.Index))
            {
                continue;
            }

            foreach ((NetStack.Wire.MacAddress station, NetworkInterface port, long silent) in bridge.Table.All(stack.Now))
            {
                writer.Begin(newNeighbor, NetlinkWriter.Multi);
                writer.Add((byte)BridgeAddressFamily);
                writer.Add((byte)0);
                writer.Add((ushort)0);
                writer.Add((uint)port.Index);
                writer.Add(reachable);
                writer.Add(ofMaster);
                writer.Add((byte)0);
                station.Write(mac);
                writer.Attribute(linkAddress, mac);
                writer.Attribute(master, (uint)one.Index);
                uint ticks = (uint)Math.Min(silent / 10_000_000, uint.MaxValue);
                Span<uint> times = [ticks, ticks, ticks, 0];
                writer.Attribute(cacheInfo, System.Runtime.InteropServices.MemoryMarshal.AsBytes(times));
                writer.End();
            }
        }

        return Errno.None;
    }

    public static NetworkInterface? Find(NetworkStack stack, in NetlinkRequest request)
    {
        int index = request.Body.Length >= 8 ? BitConverter.ToInt32(request.Body[4..]) : 0;
        return index > 0 ? stack.FindInterface(index) : stack.FindInterface(request.GetText(HeaderSize, Name));
    }

    public static Errno One(NetworkStack stack, in NetlinkRequest request, NetlinkWriter writer)
    {
        if (request.Body.Length < HeaderSize)
        {
            return Errno.EINVAL;
        }

        if (Find(stack, request) is not NetworkInterface found)
        {
            return BitConverter.ToInt32(request.Body[4..]) > 0 || request.GetText(HeaderSize, Name).Length > 0 ? Errno.ENODEV : Errno.EINVAL;
        }

        Write(found, 0, writer);
        return Errno.None;
    }

    /// <summary>RTM_NEWLINK, RTM_DELLINK.</summary>
    public static void Write(NetworkInterface one, int flags, NetlinkWriter writer, bool removed = false)
    {
        bool isEthernet = one.Device.Kind == LinkKind.Ethernet;
        writer.Begin(removed ? DeleteLink : NewLink, flags);
        writer.Add((ushort)Socket.AF_UNSPEC);
        writer.Add((ushort)one.Device.Kind);
        writer.Add((uint)one.Index);
        writer.Add((uint)one.ShownFlags);
        writer.Add(0u);
        writer.Attribute(Name, one.Name);
        writer.Attribute(QueueLength, (uint)one.QueueLength);
        writer.Attribute(OperationalState, [one.OperationalState]);
        writer.Attribute(Mode, [(byte)0]);
        writer.Attribute(Mtu, (uint)one.Mtu);
        writer.Attribute(Group, 0u);
        writer.Attribute(Promiscuity, 0u);
        writer.Attribute(SendQueues, 1u);
        writer.Attribute(ReceiveQueues, 1u);
        writer.Attribute(Carrier, [one.IsRunning ? (byte)1 : (byte)0]);
        if (one.Device.HasHeader)
        {
            Span<byte> mac = stackalloc byte[6];
            mac.Clear();
            if (isEthernet)
            {
                one.Mac.Write(mac);
            }

            writer.Attribute(Address, mac);
            mac.Fill(isEthernet ? (byte)0xff : (byte)0);
            writer.Attribute(Broadcast, mac);
        }

        writer.Attribute(Discipline, DisciplineOf(one));
        if (one.Device.PeerInterface is { } peer)
        {
            writer.Attribute(LowerLink, (uint)peer.Index);
            if (peer.Stack != one.Stack)
            {
                writer.Attribute(LowerNamespace, (uint)one.Stack.PeerNumber(peer.Stack, assigns: true));
            }
        }

        if (one.Master is { } master)
        {
            writer.Attribute(Master, (uint)master.Interface);
        }

        WriteInfo(one, writer);
        InterfaceCounters c = one.Counters;
        Span<ulong> counters =
        [
            c.ReceivedPackets, c.SentPackets, c.ReceivedBytes, c.SentBytes, c.ReceiveErrors, c.SendErrors, c.ReceiveDropped, c.SendDropped, c.ReceivedMulticast,
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        ];
        writer.Attribute(Counters, System.Runtime.InteropServices.MemoryMarshal.AsBytes(counters));
        writer.End();
    }

    private static void WriteInfo(NetworkInterface one, NetlinkWriter writer)
    {
        if (one.Device.Driver is null && one.Master is null)
        {
            return;
        }

        int nest = writer.BeginNest(Info);
        if (one.Device.Driver is { } driver)
        {
            writer.Attribute(InfoKind, driver);
        }

        if (one.Master is not null)
        {
            writer.Attribute(InfoPortKind, "bridge");
        }

        writer.EndNest(nest);
    }

    /// <summary>IFLA_QDISC.</summary>
    private static string DisciplineOf(NetworkInterface one) => !one.HasBeenUp ? "noop" : one.Device.Driver is null && one.Device.Kind == LinkKind.Ethernet ? "pfifo_fast" : "noqueue";

    /// <summary>RTM_GETQDISC: the queue that each interface has, once it has been up.</summary>
    public static Errno DumpQueues(NetworkStack stack, NetlinkWriter writer)
    {
        // struct tcmsg; TCA_*; TC_H_ROOT; struct tc_prio_qopt of pfifo_fast.
        const int newQueue = 36, kind = 1, options = 2, offload = 12;
        const uint root = uint.MaxValue, references = 2;
        foreach (NetworkInterface one in stack.Interfaces)
        {
            string discipline = DisciplineOf(one);
            if (!one.HasBeenUp)
            {
                continue;
            }

            writer.Begin(newQueue, NetlinkWriter.Multi);
            writer.Add((uint)Socket.AF_UNSPEC);
            writer.Add((uint)one.Index);
            writer.Add(0u);
            writer.Add(root);
            writer.Add(references);
            writer.Attribute(kind, discipline);
            if (discipline == "pfifo_fast")
            {
                writer.Attribute(options, [3, 0, 0, 0, 1, 2, 2, 2, 1, 2, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1]);
            }

            writer.Attribute(offload, [(byte)0]);
            writer.End();
        }

        return Errno.None;
    }
}
