using System;
using System.Buffers.Binary;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Net;
using System.Text;
using System.Threading;
using Runsc.Common;
using Runsc.Control;
using Runsc.Host.Syscalls;
using Runsc.Linux;

namespace Runsc.Container.Network;

/// <summary>
/// Takes over the interfaces of a network namespace: reads them by rtnetlink, opens a packet socket for each, and removes the addresses, so that the
/// host's kernel answers for nothing there any more.
/// </summary>
internal static class NetworkScraper
{
    private const uint Up = 1;
    private const uint Loopback = 8;
    private const int SocketBuffer = 4 << 20;
    private const int DefaultGso = 65536;

    /// <summary>Reads and takes over what is in the network namespace of a process.</summary>
    /// <param name="pid">The sandbox's process, which lives in the namespace.</param>
    /// <param name="descriptors">Gets the packet sockets, in the order of the links that are not loopback.</param>
    /// <param name="keep">Gets what is found, before anything is changed.</param>
    /// <param name="rootless">An ordinary user's.</param>
    /// <param name="withSysctls">Somebody has made the namespace, and may have set values there.</param>
    /// <exception cref="RunscException">One line for the user.</exception>
    public static NetworkSetup TakeOver(int pid, List<int> descriptors, Action<NetworkSetup>? keep = null, bool rootless = false, bool withSysctls = false) =>
        InNamespace(pid, rootless, () => Read(descriptors, keep, withSysctls));

    /// <summary>Reads what is in the network namespace of a process, and leaves it there.</summary>
    /// <param name="pid">The sandbox's process.</param>
    /// <param name="rootless">An ordinary user's.</param>
    /// <exception cref="RunscException">One line for the user.</exception>
    public static NetworkSetup Look(int pid, bool rootless) => InNamespace(pid, rootless, () => Read(null, null, withSysctls: false));

    private static NetworkSetup InNamespace(int pid, bool rootless, Func<NetworkSetup> work)
    {
        int space = HostFile.OpenAt(Fcntl.AT_FDCWD, [.. Encoding.UTF8.GetBytes($"/proc/{pid}/ns/net"), 0], Fcntl.O_RDONLY | Fcntl.O_CLOEXEC);
        if (space < 0)
        {
            throw new RunscException($"cannot open the network namespace of the sandbox: errno {-space}");
        }

        try
        {
            NetworkSetup setup = new();

            // One inside the sandbox's user namespace that nobody but the sandbox can enter: there is nothing in it.
            _ = TryEnter(space, rootless, () => setup = work());
            return setup;
        }
        finally
        {
            _ = HostFile.Close(space);
        }
    }

    /// <summary>Does something in a network namespace. False when an ordinary user may not enter it.</summary>
    /// <exception cref="RunscException">As the work has thrown it, or nobody may enter.</exception>
    public static bool TryEnter(int space, bool rootless, Action work)
    {
        bool done = false;
        RunscException? problem = null;

        // A thread of its own enters the namespace and never comes back.
        Thread thread = new(() =>
        {
            try
            {
                int joined = (int)HostFile.Syscall(SysNo.setns, space, 0);
                if (joined < 0)
                {
                    problem = joined == -(int)Errno.EPERM && rootless ? null : new RunscException($"cannot enter the network namespace of the sandbox: errno {-joined}");
                    return;
                }

                work();
                done = true;
            }
            catch (RunscException error)
            {
                problem = error;
            }
        });
        thread.Start();
        thread.Join();
        return problem is null ? done : throw problem;
    }

    /// <summary>The namespace of the calling thread must be a container's: taking the host's addresses over would cut the host off.</summary>
    /// <exception cref="RunscException">It is the host's own.</exception>
    public static void RefuseHostNamespace()
    {
        // Only the first namespace of a system shows its device weights.
        if (File.Exists("/proc/sys/net/core/dev_weight"))
        {
            throw new RunscException("the network namespace is the host's own: --network=sandbox would take its addresses away (use --network=host or none, or a network namespace)");
        }
    }

    /// <param name="descriptors">Gets the packet sockets; null: everything stays where it is.</param>
    /// <param name="keep">Gets what is found, before anything is changed.</param>
    /// <param name="withSysctls">With the values below /proc/sys/net.</param>
    private static NetworkSetup Read(List<int>? descriptors, Action<NetworkSetup>? keep, bool withSysctls)
    {
        if (descriptors is not null)
        {
            RefuseHostNamespace();
        }

        int socket = HostNetlink.Open();
        if (socket < 0)
        {
            throw new RunscException($"cannot open a netlink socket: errno {-socket}");
        }

        try
        {
            NetworkSetup setup = ReadLinks(socket);
            List<byte[]> addresses = Dump(socket, Rtnetlink.RTM_GETADDR, new byte[8]);
            addresses.ForEach(body => ReadAddress(setup, body));
            Dump(socket, Rtnetlink.RTM_GETROUTE, new byte[12]).ForEach(body => ReadRoute(setup, body));
            Dump(socket, Rtnetlink.RTM_GETNEIGH, new byte[12]).ForEach(body => ReadNeighbor(setup, body));
            if (descriptors is null)
            {
                return setup;
            }

            foreach (LinkSetup link in setup.Links)
            {
                if (link.IsLoopback)
                {
                    continue;
                }

                int packets = HostLinkSocket.Open(link.Index, SocketBuffer);
                if (packets < 0)
                {
                    throw new RunscException($"cannot open a packet socket for interface {link.Name}: errno {-packets}");
                }

                descriptors.Add(packets);
            }

            int resolver = OpenResolver();
            if (resolver >= 0)
            {
                setup.HasResolver = true;
                descriptors.Add(resolver);
            }

            if (withSysctls)
            {
                HostSysctls.Read(setup);
            }

            keep?.Invoke(setup);

            // Last: from here on the host does not answer, and the sandbox must.
            foreach (byte[] body in addresses)
            {
                if (Find(setup, BinaryPrimitives.ReadInt32LittleEndian(body.AsSpan(4))) is { IsLoopback: false } link)
                {
                    int result = HostNetlink.Change(socket, Rtnetlink.RTM_DELADDR, body);
                    if (result < 0 && result != -(int)Errno.EADDRNOTAVAIL)
                    {
                        throw new RunscException($"cannot take an address of interface {link.Name} over: errno {-result}");
                    }
                }
            }

            return setup;
        }
        finally
        {
            _ = HostFile.Close(socket);
        }
    }

    /// <summary>The interfaces that are up, without their addresses.</summary>
    /// <exception cref="RunscException">One line for the user.</exception>
    public static NetworkSetup ReadLinks(int socket)
    {
        NetworkSetup setup = new();
        foreach (byte[] body in Dump(socket, Rtnetlink.RTM_GETLINK, new byte[16]))
        {
            if (ReadLink(body) is { } link)
            {
                setup.Links.Add(link);
            }
        }

        return setup;
    }

    /// <summary>A socket to Docker's name server, which listens at 127.0.0.11 on a port of its own; negative if there is none.</summary>
    private static int OpenResolver()
    {
        const uint Address = 0x0b00007f;
        foreach (string line in File.ReadLines("/proc/thread-self/net/udp"))
        {
            string[] words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            string[] local = words.Length > 1 ? words[1].Split(':') : [];
            if (local.Length == 2 && uint.TryParse(local[0], NumberStyles.HexNumber, CultureInfo.InvariantCulture, out uint address) && address == Address
                && ushort.TryParse(local[1], NumberStyles.HexNumber, CultureInfo.InvariantCulture, out ushort port))
            {
                return HostSocket.ConnectDatagram(address, port);
            }
        }

        return -1;
    }

    private static List<byte[]> Dump(int socket, ushort type, byte[] body)
    {
        List<byte[]> answers = [];
        int result = HostNetlink.Dump(socket, type, body, answers);
        return result < 0 ? throw new RunscException($"cannot read the network of the container (netlink request {type}): errno {-result}") : answers;
    }

    private static bool IsOne(string path)
    {
        try
        {
            return File.ReadAllText(path).Trim() == "1";
        }
        catch (IOException)
        {
            return true;
        }
    }

    private static LinkSetup? ReadLink(byte[] body)
    {
        uint flags = BinaryPrimitives.ReadUInt32LittleEndian(body.AsSpan(8));
        ushort kind = BinaryPrimitives.ReadUInt16LittleEndian(body.AsSpan(2));
        if ((flags & Up) == 0)
        {
            return null;
        }

        LinkSetup link = new() { Index = BinaryPrimitives.ReadInt32LittleEndian(body.AsSpan(4)), IsLoopback = (flags & Loopback) != 0, GsoMaxSize = DefaultGso, QueueLength = 1000 };
        Dictionary<ushort, byte[]> attributes = Attributes(body, 16);
        link.Name = attributes.TryGetValue(Rtnetlink.IFLA_IFNAME, out byte[]? name) ? Encoding.UTF8.GetString(name).TrimEnd('\0') : $"if{link.Index}";
        link.Mtu = Int32(attributes, Rtnetlink.IFLA_MTU, 1500);
        link.QueueLength = Int32(attributes, Rtnetlink.IFLA_TXQLEN, 1000);
        link.GsoMaxSize = Math.Min(Int32(attributes, Rtnetlink.IFLA_GSO_MAX_SIZE, DefaultGso), DefaultGso);
        link.Ipv6Disabled = IsOne($"/proc/sys/net/ipv6/conf/{link.Name}/disable_ipv6");
        link.Mac = attributes.TryGetValue(Rtnetlink.IFLA_ADDRESS, out byte[]? mac) ? MacText(mac) : "";
        return link.IsLoopback || (kind == 1 && mac?.Length == 6) ? link : null;
    }

    private static void ReadAddress(NetworkSetup setup, byte[] body)
    {
        if (Find(setup, BinaryPrimitives.ReadInt32LittleEndian(body.AsSpan(4))) is not { } link)
        {
            return;
        }

        Dictionary<ushort, byte[]> attributes = Attributes(body, 8);
        byte[]? peer = attributes.GetValueOrDefault(Rtnetlink.IFA_ADDRESS);
        byte[]? local = attributes.GetValueOrDefault(Rtnetlink.IFA_LOCAL) ?? peer;
        if (local is null)
        {
            return;
        }

        link.Addresses.Add(new AddressSetup
        {
            Address = Text(local),
            PrefixLength = body[1],
            Peer = peer is null || peer.AsSpan().SequenceEqual(local) ? null : Text(peer),
            Broadcast = attributes.TryGetValue(Rtnetlink.IFA_BROADCAST, out byte[]? broadcast) ? Text(broadcast) : null,
            Label = attributes.TryGetValue(Rtnetlink.IFA_LABEL, out byte[]? label) ? Encoding.UTF8.GetString(label).TrimEnd('\0') : null,
            Scope = body[3],
        });
    }

    private static void ReadRoute(NetworkSetup setup, byte[] body)
    {
        Dictionary<ushort, byte[]> attributes = Attributes(body, 12);
        bool isMain = Int32(attributes, Rtnetlink.RTA_TABLE, body[4]) == Rtnetlink.RT_TABLE_MAIN;
        if (!isMain || body[0] is not ((byte)Socket.AF_INET or (byte)Socket.AF_INET6) || Find(setup, Int32(attributes, Rtnetlink.RTA_OIF, 0)) is not { } link)
        {
            return;
        }

        int mtu = 0;
        if (attributes.TryGetValue(Rtnetlink.RTA_METRICS, out byte[]? metrics))
        {
            mtu = Int32(Attributes(metrics, 0), Rtnetlink.RTAX_MTU, 0);
        }

        link.Routes.Add(new RouteSetup
        {
            Destination = attributes.TryGetValue(Rtnetlink.RTA_DST, out byte[]? destination) ? Text(destination) : body[0] == Socket.AF_INET ? "0.0.0.0" : "::",
            PrefixLength = body[1],
            Gateway = attributes.TryGetValue(Rtnetlink.RTA_GATEWAY, out byte[]? gateway) ? Text(gateway) : null,
            Source = attributes.TryGetValue(Rtnetlink.RTA_PREFSRC, out byte[]? source) ? Text(source) : null,
            Metric = (uint)Int32(attributes, Rtnetlink.RTA_PRIORITY, 0),
            Protocol = body[5],
            Scope = body[6],
            Kind = body[7],
            Mtu = mtu,
            IsOnLink = (BinaryPrimitives.ReadUInt32LittleEndian(body.AsSpan(8)) & Rtnetlink.RTNH_F_ONLINK) != 0,
        });
    }

    private static void ReadNeighbor(NetworkSetup setup, byte[] body)
    {
        ushort state = BinaryPrimitives.ReadUInt16LittleEndian(body.AsSpan(8));
        Dictionary<ushort, byte[]> attributes = Attributes(body, 12);
        if ((state & Rtnetlink.NUD_PERMANENT) != 0 && Find(setup, BinaryPrimitives.ReadInt32LittleEndian(body.AsSpan(4))) is { IsLoopback: false } link
            && attributes.TryGetValue(Rtnetlink.NDA_DST, out byte[]? address) && attributes.TryGetValue(Rtnetlink.NDA_LLADDR, out byte[]? mac) && mac.Length == 6)
        {
            link.Neighbors.Add(new NeighborSetup { Address = Text(address), Mac = MacText(mac) });
        }
    }

    private static LinkSetup? Find(NetworkSetup setup, int index) => setup.Links.Find(link => link.Index == index);

    private static Dictionary<ushort, byte[]> Attributes(byte[] body, int at)
    {
        Dictionary<ushort, byte[]> attributes = [];
        while (at + 4 <= body.Length)
        {
            int length = BinaryPrimitives.ReadUInt16LittleEndian(body.AsSpan(at));
            if (length < 4 || at + length > body.Length)
            {
                break;
            }

            attributes[(ushort)(BinaryPrimitives.ReadUInt16LittleEndian(body.AsSpan(at + 2)) & 0x3fff)] = body[(at + 4)..(at + length)];
            at += (length + 3) & ~3;
        }

        return attributes;
    }

    private static int Int32(Dictionary<ushort, byte[]> attributes, ushort type, int otherwise) =>
        attributes.TryGetValue(type, out byte[]? value) && value.Length >= 4 ? BinaryPrimitives.ReadInt32LittleEndian(value) : otherwise;

    private static string Text(byte[] address) => address.Length is 4 or 16 ? new IPAddress(address).ToString() : "";

    private static string MacText(byte[] mac) => BitConverter.ToString(mac).Replace('-', ':').ToLowerInvariant();
}
