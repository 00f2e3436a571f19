using System;
using System.Globalization;
using Runsc.Linux;
using Runsc.NetStack.Core;
using Runsc.NetStack.Link;

namespace Runsc.Sentry.Sockets.Inet;

/// <summary>What sysfs shows of an interface: the texts of the files of /sys/class/net/NAME and of its statistics.</summary>
internal static class LinkAttributes
{
    public static readonly (string File, Func<NetworkInterface, string> Text)[] Files =
    [
        ("addr_assign_type", _ => "0"),
        ("addr_len", one => one.Device.HasHeader ? "6" : "0"),
        ("address", one => one.Mac.ToString()),
        ("broadcast", one => one.Device.Kind == LinkKind.Ethernet ? "ff:ff:ff:ff:ff:ff" : "00:00:00:00:00:00"),
        ("carrier", one => one.IsRunning ? "1" : "0"),
        ("dev_id", _ => "0x0"),
        ("dev_port", _ => "0"),
        ("dormant", _ => "0"),
        ("flags", one => string.Create(CultureInfo.InvariantCulture, $"0x{(uint)one.Flags:x}")),
        ("ifalias", _ => ""),
        ("ifindex", one => Number((ulong)one.Index)),
        ("iflink", one => Number((ulong)(one.Device.PeerInterface ?? one).Index)),
        ("link_mode", _ => "0"),
        ("mtu", one => Number((ulong)one.Mtu)),
        ("netdev_group", _ => "0"),
        ("operstate", one => one.OperationalState switch { 0 => "unknown", 6 => "up", 3 => "lowerlayerdown", _ => "down" }),
        ("proto_down", _ => "0"),
        ("tx_queue_len", one => Number((ulong)one.QueueLength)),
        ("type", one => Number((ulong)one.Device.Kind)),
        ("uevent", one => $"INTERFACE={one.Name}\nIFINDEX={Number((ulong)one.Index)}"),
    ];

    /// <summary>Those that tun and tap interfaces have beside.</summary>
    public static readonly (string File, Func<NetworkInterface, string> Text)[] Tun =
    [
        ("group", one => one.Device is TunDevice { OwnerGid: { } group } ? Number(group) : "-1"),
        ("owner", one => one.Device is TunDevice { OwnerUid: { } owner } ? Number(owner) : "-1"),
        ("tun_flags", one => one.Device is TunDevice tun ? string.Create(CultureInfo.InvariantCulture, $"0x{tun.Flags | (tun.IsPersistent ? IfTun.IFF_PERSIST : 0):x}") : ""),
    ];

    public static readonly (string File, Func<NetworkInterface, string> Text)[] Statistics =
    [
        ("collisions", _ => "0"),
        ("multicast", one => Number(one.Counters.ReceivedMulticast)),
        ("rx_bytes", one => Number(one.Counters.ReceivedBytes)),
        ("rx_compressed", _ => "0"),
        ("rx_crc_errors", _ => "0"),
        ("rx_dropped", one => Number(one.Counters.ReceiveDropped)),
        ("rx_errors", one => Number(one.Counters.ReceiveErrors)),
        ("rx_fifo_errors", _ => "0"),
        ("rx_frame_errors", _ => "0"),
        ("rx_packets", one => Number(one.Counters.ReceivedPackets)),
        ("tx_bytes", one => Number(one.Counters.SentBytes)),
        ("tx_carrier_errors", _ => "0"),
        ("tx_compressed", _ => "0"),
        ("tx_dropped", one => Number(one.Counters.SendDropped)),
        ("tx_errors", one => Number(one.Counters.SendErrors)),
        ("tx_fifo_errors", _ => "0"),
        ("tx_packets", one => Number(one.Counters.SentPackets)),
    ];

    /// <summary>Interfaces of a namespace by their index.</summary>
    public static (int Index, string Name)[] Interfaces(NetNamespace network)
    {
        NetworkStack stack = network.Inet.Stack;
        (int Index, string Name)[] all;
        using (stack.Enter())
        {
            all = new (int, string)[stack.Interfaces.Count];
            for (int i = 0; i < all.Length; i++)
            {
                all[i] = (stack.Interfaces[i].Index, stack.Interfaces[i].Name);
            }
        }

        Array.Sort(all, (a, b) => a.Index.CompareTo(b.Index));
        return all;
    }

    public static bool IsTun(NetNamespace network, string name)
    {
        using (network.Inet.Stack.Enter())
        {
            return network.Inet.Stack.FindInterface(name)?.Device is TunDevice;
        }
    }

    public static bool Exists(NetNamespace network, string name)
    {
        using (network.Inet.Stack.Enter())
        {
            return network.Inet.Stack.FindInterface(name) is not null;
        }
    }

    /// <summary>The text of a file; empty for an interface that is gone.</summary>
    public static string Read(NetNamespace network, string name, Func<NetworkInterface, string> text)
    {
        using (network.Inet.Stack.Enter())
        {
            return network.Inet.Stack.FindInterface(name) is { } one ? text(one) + "\n" : "";
        }
    }

    private static string Number(ulong value) => value.ToString(CultureInfo.InvariantCulture);
}
