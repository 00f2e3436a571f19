using System;
using System.Buffers.Binary;
using System.Collections.Generic;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Runsc.Common;
using Runsc.Control;
using Runsc.Host.Syscalls;
using Runsc.Linux;

namespace Runsc.Container.Network;

/// <summary>Puts addresses and routes back that a sandbox has taken from a network namespace, for whoever uses the namespace next.</summary>
internal static class NetworkReturn
{
    // struct ifaddrmsg, struct rtmsg.
    private const int AddressHeader = 8, RouteHeader = 12;

    /// <summary>Once for a sandbox that has ended, and only where the namespace is still what its path names. The sandbox's lock is held.</summary>
    public static void PutBack(StateDirectory states, SandboxState sandbox, bool rootless)
    {
        if (sandbox.Taken is not NetworkSetup taken || sandbox.NetworkPath is not string path)
        {
            return;
        }

        int space = HostFile.OpenAt(Fcntl.AT_FDCWD, [.. Encoding.UTF8.GetBytes(path), 0], Fcntl.O_RDONLY | Fcntl.O_CLOEXEC);
        try
        {
            if (space >= 0 && HostFile.Stat(space, out StatBuffer stat) == 0 && stat.Inode == sandbox.NetworkInode && stat.Device == sandbox.NetworkDevice)
            {
                _ = NetworkScraper.TryEnter(space, rootless, () => Write(taken));
            }
        }
        catch (RunscException error)
        {
            Log.Warning($"the addresses of {path} are not put back: {error.Message}");
        }
        finally
        {
            _ = space >= 0 ? HostFile.Close(space) : 0;
        }

        sandbox.Taken = null;
        states.SaveSandbox(sandbox);
    }

    private static void Write(NetworkSetup taken)
    {
        int socket = HostNetlink.Open();
        if (socket < 0)
        {
            throw new RunscException($"cannot open a netlink socket: errno {-socket}");
        }

        try
        {
            // Another namespace may have the number of one that is gone, and other interfaces may have come.
            NetworkSetup now = NetworkScraper.ReadLinks(socket);
            List<LinkSetup> links = taken.Links.FindAll(link => !link.IsLoopback && now.Links.Exists(other => other.Index == link.Index && other.Mac == link.Mac));
            foreach (LinkSetup link in links)
            {
                link.Addresses.ForEach(address => Add(socket, Rtnetlink.RTM_NEWADDR, Describe(link, address), $"address {address.Address} of {link.Name}"));
            }

            // Those that need no gateway first: a gateway must be within reach of one.
            foreach (bool needsGateway in new[] { false, true })
            {
                foreach (LinkSetup link in links)
                {
                    foreach (RouteSetup route in link.Routes.FindAll(route => route.Gateway is not null == needsGateway))
                    {
                        Add(socket, Rtnetlink.RTM_NEWROUTE, Describe(link, route), $"route to {route.Destination}/{route.PrefixLength} by {link.Name}");
                    }
                }
            }
        }
        finally
        {
            _ = HostFile.Close(socket);
        }
    }

    private static void Add(int socket, ushort type, byte[]? body, string what)
    {
        // Routes of addresses have come with these by themselves.
        int result = body is null ? -(int)Errno.EINVAL : HostNetlink.Change(socket, type, body, Rtnetlink.NLM_F_CREATE | Rtnetlink.NLM_F_EXCL);
        if (result < 0 && result != -(int)Errno.EEXIST)
        {
            Log.Warning($"{what} is not put back: errno {-result}");
        }
    }

    private static byte[]? Describe(LinkSetup link, AddressSetup address)
    {
        if (!IPAddress.TryParse(address.Address, out IPAddress? local))
        {
            return null;
        }

        byte[] header = new byte[AddressHeader];
        header[0] = Family(local);
        header[1] = (byte)address.PrefixLength;
        header[3] = (byte)address.Scope;
        BinaryPrimitives.WriteInt32LittleEndian(header.AsSpan(4), link.Index);
        List<byte> body = [.. header];
        Attribute(body, Rtnetlink.IFA_LOCAL, local.GetAddressBytes());
        Attribute(body, Rtnetlink.IFA_ADDRESS, IPAddress.TryParse(address.Peer, out IPAddress? peer) ? peer.GetAddressBytes() : local.GetAddressBytes());
        if (IPAddress.TryParse(address.Broadcast, out IPAddress? broadcast))
        {
            Attribute(body, Rtnetlink.IFA_BROADCAST, broadcast.GetAddressBytes());
        }

        if (address.Label is string label)
        {
            Attribute(body, Rtnetlink.IFA_LABEL, [.. Encoding.UTF8.GetBytes(label), 0]);
        }

        if (local.AddressFamily == AddressFamily.InterNetworkV6)
        {
            // Nobody else can have taken it meanwhile: the sandbox had it.
            byte[] flags = new byte[4];
            BinaryPrimitives.WriteUInt32LittleEndian(flags, Rtnetlink.IFA_F_NODAD);
            Attribute(body, Rtnetlink.IFA_FLAGS, flags);
        }

        return [.. body];
    }

    private static byte[]? Describe(LinkSetup link, RouteSetup route)
    {
        if (!IPAddress.TryParse(route.Destination, out IPAddress? destination))
        {
            return null;
        }

        byte[] header = new byte[RouteHeader];
        header[0] = Family(destination);
        header[1] = (byte)route.PrefixLength;
        header[4] = Rtnetlink.RT_TABLE_MAIN;
        header[5] = (byte)route.Protocol;
        header[6] = (byte)route.Scope;
        header[7] = (byte)route.Kind;
        BinaryPrimitives.WriteUInt32LittleEndian(header.AsSpan(8), route.IsOnLink ? Rtnetlink.RTNH_F_ONLINK : 0);
        List<byte> body = [.. header];
        if (route.PrefixLength > 0)
        {
            Attribute(body, Rtnetlink.RTA_DST, destination.GetAddressBytes());
        }

        Attribute(body, Rtnetlink.RTA_OIF, BitConverter.GetBytes(link.Index));
        if (IPAddress.TryParse(route.Gateway, out IPAddress? gateway))
        {
            Attribute(body, Rtnetlink.RTA_GATEWAY, gateway.GetAddressBytes());
        }

        if (IPAddress.TryParse(route.Source, out IPAddress? source))
        {
            Attribute(body, Rtnetlink.RTA_PREFSRC, source.GetAddressBytes());
        }

        if (route.Metric != 0)
        {
            Attribute(body, Rtnetlink.RTA_PRIORITY, BitConverter.GetBytes(route.Metric));
        }

        if (route.Mtu != 0)
        {
            List<byte> metrics = [];
            Attribute(metrics, Rtnetlink.RTAX_MTU, BitConverter.GetBytes(route.Mtu));
            Attribute(body, Rtnetlink.RTA_METRICS, [.. metrics]);
        }

        return [.. body];
    }

    private static byte Family(IPAddress address) => (byte)(address.AddressFamily == AddressFamily.InterNetwork ? Linux.Socket.AF_INET : Linux.Socket.AF_INET6);

    private static void Attribute(List<byte> body, ushort type, byte[] value)
    {
        body.AddRange(BitConverter.GetBytes((ushort)(4 + value.Length)));
        body.AddRange(BitConverter.GetBytes(type));
        body.AddRange(value);
        while (body.Count % 4 != 0)
        {
            body.Add(0);
        }
    }
}
