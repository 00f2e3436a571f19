using System.Collections.Generic;
using Runsc.NetStack.Core;
using Runsc.NetStack.Network;

namespace Runsc.NetStack.Transport;

/// <summary>Groups of a socket: IP_ADD_MEMBERSHIP, MCAST_JOIN_GROUP and their source-specific forms. What is behind is guarded by the stack's lock.</summary>
internal sealed class GroupMemberships(NetworkStack stack)
{
    /// <summary>net.ipv4.igmp_max_memberships is 20 by default; IPv6 has no such limit but its option memory.</summary>
    private const int MaxMemberships = 256;

    private List<GroupMembership>? _memberships;

    /// <summary>Joins on an interface; 0 is the one a route to the group leads to.</summary>
    public NetError JoinGroup(IpAddress group, int index)
    {
        using (stack.Enter())
        {
            return JoinLocked(group, index, out _);
        }
    }

    public NetError LeaveGroup(IpAddress group, int index)
    {
        using (stack.Enter())
        {
            if (!group.IsMulticast)
            {
                return NetError.InvalidArgument;
            }

            GroupMembership? membership = FindMembership(group, index);
            if (membership is null)
            {
                return NetError.AddressNotAvailable;
            }

            Leave(membership);
            return NetError.None;
        }
    }

    /// <summary>
    /// A source of a group more or less: of those whose packets are wanted (IP_ADD_SOURCE_MEMBERSHIP, which joins, and IP_DROP_SOURCE_MEMBERSHIP, which leaves with the
    /// last one), or of those whose packets are not (IP_BLOCK_SOURCE, IP_UNBLOCK_SOURCE). Which of both a membership is can change while it has no sources.
    /// </summary>
    public NetError ChangeSource(IpAddress group, int index, IpAddress source, bool include, bool add)
    {
        using (stack.Enter())
        {
            GroupMembership? membership = FindMembership(group, index);
            NetError error = membership is not null ? NetError.None
                : include && add ? JoinLocked(group, index, out membership) : NetError.InvalidArgument;
            if (error != NetError.None)
            {
                return error;
            }

            if (membership!.Sources.Count > 0 && membership.IsInclude != include)
            {
                return NetError.InvalidArgument;
            }

            membership.IsInclude = include;
            if (add)
            {
                return AddSource(membership, source);
            }

            if (!membership.Sources.Remove(source))
            {
                return NetError.AddressNotAvailable;
            }

            if (include && membership.Sources.Count == 0)
            {
                Leave(membership);
            }

            return NetError.None;
        }
    }

    /// <summary>Whether a packet to a group may be received (ip_mc_sf_allow). Under the lock.</summary>
    public bool AllowsLocked(in IpPacketInfo info, EndpointOptions options)
    {
        if (_memberships is not null)
        {
            foreach (GroupMembership membership in _memberships)
            {
                if (membership.Group == info.Destination && membership.Interface == info.Interface)
                {
                    return membership.Allows(info.Source);
                }
            }
        }

        return info.Destination.IsV4 ? options.MulticastAll : options.MulticastAllV6;
    }

    private static NetError AddSource(GroupMembership membership, IpAddress source)
    {
        if (membership.Sources.Contains(source))
        {
            return NetError.AddressNotAvailable;
        }

        if (membership.Sources.Count >= GroupMembership.MaxSources)
        {
            return NetError.NoBufferSpace;
        }

        membership.Sources.Add(source);
        return NetError.None;
    }

    private NetError JoinLocked(IpAddress group, int index, out GroupMembership? membership)
    {
        membership = null;
        if (!group.IsMulticast)
        {
            return NetError.InvalidArgument;
        }

        NetworkInterface? link = GroupInterface(group, index);
        if (link is null)
        {
            return NetError.NoSuchDevice;
        }

        if (FindMembership(group, link.Index) is not null)
        {
            return NetError.AddressInUse;
        }

        _memberships ??= [];
        if (_memberships.Count >= MaxMemberships)
        {
            return NetError.NoBufferSpace;
        }

        NetError error = link.Groups.Join(group);
        if (error == NetError.None)
        {
            membership = new GroupMembership(group, link.Index);
            _memberships.Add(membership);
        }

        return error;
    }

    private NetworkInterface? GroupInterface(IpAddress group, int index)
    {
        if (index != 0)
        {
            return stack.FindInterface(index);
        }

        Route route = new();
        return stack.Ip.FindRoute(new RouteQuery { Destination = group, Source = group.AnyOfFamily }, route) == NetError.None ? route.Interface : null;
    }

    private GroupMembership? FindMembership(IpAddress group, int index)
    {
        if (_memberships is not null)
        {
            foreach (GroupMembership membership in _memberships)
            {
                if (membership.Group == group && (index == 0 || membership.Interface == index))
                {
                    return membership;
                }
            }
        }

        return null;
    }

    private void Leave(GroupMembership membership)
    {
        _memberships!.Remove(membership);
        stack.FindInterface(membership.Interface)?.Groups.Leave(membership.Group);
    }

    /// <summary>The socket is closed.</summary>
    public void LeaveAll()
    {
        using (stack.Enter())
        {
            LeaveAllLocked();
        }
    }

    /// <summary>The same, under the lock.</summary>
    public void LeaveAllLocked()
    {
        while (_memberships is { Count: > 0 })
        {
            Leave(_memberships[^1]);
        }
    }
}
