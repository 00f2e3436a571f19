using System;
using Runsc.Linux;
using Runsc.NetStack;
using Runsc.NetStack.Core;
using Runsc.NetStack.Transport;

namespace Runsc.Sentry.Sockets.Inet;

/// <summary>Options that join and leave multicast groups (ip(7), ipv6(7), RFC 3678).</summary>
internal static class GroupOptions
{
    public static Errno SetV4(NetworkStack stack, DatagramEndpoint? groups, EndpointOptions options, int name, ReadOnlySpan<byte> value)
    {
        if (groups is null && name != Socket.IP_MULTICAST_IF)
        {
            return Errno.EPROTO;
        }

        switch (name)
        {
            case Socket.IP_MULTICAST_IF:
                return SetInterface(stack, options, value);
            case Socket.MCAST_JOIN_GROUP or Socket.MCAST_LEAVE_GROUP:
                return SetAny(groups!, name, value, Socket.AF_INET);
            case Socket.IP_ADD_MEMBERSHIP or Socket.IP_DROP_MEMBERSHIP:
            {
                if (value.Length < 8)
                {
                    return Errno.EINVAL;
                }

                IpAddress group = IpAddress.ReadV4(value);
                Errno error = FindInterface(stack, IpAddress.ReadV4(value[4..]), value.Length >= 12 ? BitConverter.ToInt32(value[8..]) : 0, out int index);
                return error != Errno.None ? error
                    : NetErrors.ToErrno(name == Socket.IP_ADD_MEMBERSHIP ? groups!.JoinGroup(group, index) : groups!.LeaveGroup(group, index));
            }

            default:
            {
                // struct ip_mreq_source: group, interface, source.
                if (value.Length < 12)
                {
                    return Errno.EINVAL;
                }

                IpAddress group = IpAddress.ReadV4(value), source = IpAddress.ReadV4(value[8..]);
                Errno error = FindInterface(stack, IpAddress.ReadV4(value[4..]), 0, out int index);
                return error != Errno.None ? error : NetErrors.ToErrno(name switch
                {
                    Socket.IP_ADD_SOURCE_MEMBERSHIP => groups!.JoinSource(group, index, source),
                    Socket.IP_DROP_SOURCE_MEMBERSHIP => groups!.LeaveSource(group, index, source),
                    Socket.IP_BLOCK_SOURCE => groups!.BlockSource(group, index, source, block: true),
                    _ => groups!.BlockSource(group, index, source, block: false),
                });
            }
        }
    }

    public static Errno SetV6(DatagramEndpoint? groups, int name, ReadOnlySpan<byte> value)
    {
        if (groups is null)
        {
            return Errno.EPROTO;
        }

        if (name is Socket.MCAST_JOIN_GROUP or Socket.MCAST_LEAVE_GROUP)
        {
            return SetAny(groups, name, value, Socket.AF_INET6);
        }

        if (value.Length < 20)
        {
            return Errno.EINVAL;
        }

        IpAddress group = IpAddress.ReadV6(value);
        int index = BitConverter.ToInt32(value[16..]);
        return NetErrors.ToErrno(name == Socket.IPV6_JOIN_GROUP ? groups.JoinGroup(group, index) : groups.LeaveGroup(group, index));
    }

    // struct group_req: interface, and a sockaddr_storage at 8.
    private static Errno SetAny(DatagramEndpoint groups, int name, ReadOnlySpan<byte> value, int family)
    {
        if (value.Length < 8 + Socket.SockaddrStorageSize)
        {
            return Errno.EINVAL;
        }

        Errno error = InetAddress.TryParse(family, value.Slice(8, Socket.SockaddrStorageSize), mixed: false, out IpEndpoint group);
        int index = BitConverter.ToInt32(value);
        return error != Errno.None ? Errno.EADDRNOTAVAIL
            : NetErrors.ToErrno(name == Socket.MCAST_JOIN_GROUP ? groups.JoinGroup(group.Address, index) : groups.LeaveGroup(group.Address, index));
    }

    // struct in_addr, ip_mreq or ip_mreqn.
    private static Errno SetInterface(NetworkStack stack, EndpointOptions options, ReadOnlySpan<byte> value)
    {
        if (value.Length < 4)
        {
            return Errno.EINVAL;
        }

        IpAddress address = IpAddress.ReadV4(value.Length >= 8 ? value[4..] : value);
        int index = value.Length >= 12 ? BitConverter.ToInt32(value[8..]) : 0;
        if (index == 0 && address.IsUnspecified)
        {
            options.MulticastInterface = 0;
            options.MulticastSource = IpAddress.AnyV4;
            return Errno.None;
        }

        Errno error = FindInterface(stack, address, index, out int found);
        if (error == Errno.None)
        {
            options.MulticastInterface = found;
            options.MulticastSource = address;
        }

        return error == Errno.ENODEV ? Errno.EADDRNOTAVAIL : error;
    }

    private static Errno FindInterface(NetworkStack stack, in IpAddress address, int wanted, out int index)
    {
        index = wanted;
        if (wanted != 0 || address.IsUnspecified)
        {
            return Errno.None;
        }

        using (stack.Enter())
        {
            index = stack.FindAddress(address)?.Interface.Index ?? 0;
        }

        return index == 0 ? Errno.ENODEV : Errno.None;
    }
}
