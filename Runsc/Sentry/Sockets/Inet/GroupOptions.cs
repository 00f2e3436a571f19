using System;
using Runsc.Linux;
using Runsc.NetStack;
using Runsc.NetStack.Core;
using Runsc.NetStack.Transport;

namespace Runsc.Sentry.Sockets.Inet;

/// <summary>Options that join and leave multicast groups (ip(7), ipv6(7), RFC 3678).</summary>
internal static class GroupOptions
{
    public static Errno SetV4(NetworkStack stack, GroupMemberships groups, EndpointOptions options, int name, ReadOnlySpan<byte> value)
    {
        switch (name)
        {
            case Socket.IP_MULTICAST_IF:
                return SetInterface(stack, options, value);
            case Socket.IP_ADD_MEMBERSHIP or Socket.IP_DROP_MEMBERSHIP:
            {
                if (value.Length < 8)
                {
                    return Errno.EINVAL;
                }

                IpAddress group = IpAddress.ReadV4(value);
                Errno error = FindInterface(stack, IpAddress.ReadV4(value[4..]), value.Length >= 12 ? BitConverter.ToInt32(value[8..]) : 0, out int index);
                return error != Errno.None ? error
                    : NetErrors.ToErrno(name == Socket.IP_ADD_MEMBERSHIP ? groups.JoinGroup(group, index) : groups.LeaveGroup(group, index));
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
                return error != Errno.None ? error : NetErrors.ToErrno(groups.ChangeSource(
                    group,
                    index,
                    source,
                    include: name is Socket.IP_ADD_SOURCE_MEMBERSHIP or Socket.IP_DROP_SOURCE_MEMBERSHIP,
                    add: name is Socket.IP_ADD_SOURCE_MEMBERSHIP or Socket.IP_BLOCK_SOURCE));
            }
        }
    }

    public static Errno SetV6(GroupMemberships groups, int name, ReadOnlySpan<byte> value)
    {
        if (value.Length < 20)
        {
            return Errno.EINVAL;
        }

        IpAddress group = IpAddress.ReadV6(value);
        int index = BitConverter.ToInt32(value[16..]);
        return NetErrors.ToErrno(name == Socket.IPV6_JOIN_GROUP ? groups.JoinGroup(group, index) : groups.LeaveGroup(group, index));
    }

    /// <summary>MCAST_*: struct group_req (interface, and a sockaddr_storage at 8) or group_source_req (the source after it).</summary>
    public static Errno SetAny(GroupMemberships groups, int name, ReadOnlySpan<byte> value, int family)
    {
        const int groupAt = 8, sourceAt = groupAt + Socket.SockaddrStorageSize;
        bool hasSource = name is not (Socket.MCAST_JOIN_GROUP or Socket.MCAST_LEAVE_GROUP);
        if (value.Length < (hasSource ? sourceAt + Socket.SockaddrStorageSize : sourceAt))
        {
            return Errno.EINVAL;
        }

        IpEndpoint source = default;
        if (InetAddress.TryParse(family, value.Slice(groupAt, Socket.SockaddrStorageSize), mixed: false, out IpEndpoint group) != Errno.None
            || (hasSource && InetAddress.TryParse(family, value.Slice(sourceAt, Socket.SockaddrStorageSize), mixed: false, out source) != Errno.None))
        {
            return Errno.EADDRNOTAVAIL;
        }

        int index = BitConverter.ToInt32(value);
        return NetErrors.ToErrno(name switch
        {
            Socket.MCAST_JOIN_GROUP => groups.JoinGroup(group.Address, index),
            Socket.MCAST_LEAVE_GROUP => groups.LeaveGroup(group.Address, index),
            _ => groups.ChangeSource(
                group.Address,
                index,
                source.Address,
                include: name is Socket.MCAST_JOIN_SOURCE_GROUP or Socket.MCAST_LEAVE_SOURCE_GROUP,
                add: name is Socket.MCAST_JOIN_SOURCE_GROUP or Socket.MCAST_BLOCK_SOURCE),
        });
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
