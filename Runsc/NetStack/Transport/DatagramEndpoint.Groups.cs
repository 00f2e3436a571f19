using System.Collections.Generic;
using Runsc.NetStack.Core;
using Runsc.NetStack.Network;

namespace Runsc.NetStack.Transport;

/// <summary>Groups of a socket: IP_ADD_MEMBERSHIP, MCAST_JOIN_GROUP and their source-specific forms.</summary>
internal abstract partial class DatagramEndpoint
{
    /// <summary>net.ipv4.igmp_max_memberships is 20 by default; IPv6 has no such limit but its option memory.</summary>
    private const int MaxMemberships = 256;

    private List<GroupMembership>? _memberships;

    /// <summary>Joins on an interface; 0 is the one a route to the group leads to.</summary>
    public NetError JoinGroup(IpAddress group, int index)
    {
        using (Stack.Enter())
        {
            return JoinLocked(group, index, out _);
        }
    }

    public NetError LeaveGroup(IpAddress group, int index)
    {
        using (Stack.Enter())
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

    /// <summary>IP_ADD_SOURCE_MEMBERSHIP: joins for one source more.</summary>
    public NetError JoinSource(IpAddress group, int index, IpAddress source)
    {
        using (Stack.Enter())
        {
            GroupMembership? membership = FindMembership(group, index);
            if (membership is null)
            {
                NetError error = JoinLocked(group, index, out membership);
                if (error != NetError.None)
                {
                    return error;
                }

                membership!.IsInclude = true;
            }

            if (!membership.IsInclude)
            {
                return NetError.InvalidArgument;
            }

            return AddSource(membership, source);
        }
    }

    /// <summary>IP_DROP_SOURCE_MEMBERSHIP: the last source takes the membership with it.</summary>
    public NetError LeaveSource(IpAddress group, int index, IpAddress source)
    {
        using (Stack.Enter())
        {
            if (FindMembership(group, index) is not { IsInclude: true } membership || !membership.Sources.Remove(source))
            {
                return NetError.AddressNotAvailable;
            }

            if (membership.Sources.Count == 0)
            {
                Leave(membership);
            }

            return NetError.None;
        }
    }

    /// <summary>IP_BLOCK_SOURCE and IP_UNBLOCK_SOURCE.</summary>
    public NetError BlockSource(IpAddress group, int index, IpAddress source, bool block)
    {
        using (Stack.Enter())
        {
            GroupMembership? membership = FindMembership(group, index);
            if (membership is null || membership.IsInclude)
            {
                return NetError.InvalidArgument;
            }

            if (!block)
            {
                return membership.Sources.Remove(source) ? NetError.None : NetError.AddressNotAvailable;
            }

            return AddSource(membership, source);
        }
    }

    /// <summary>Whether a packet to a group may be received (ip_mc_sf_allow). Under the lock.</summary>
    protected bool AllowsGroupLocked(in IpPacketInfo info)
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

        return info.Destination.IsV4 ? Options.MulticastAll : Options.MulticastAllV6;
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
            return Stack.FindInterface(index);
        }

        Route route = new();
        return Stack.Ip.FindRoute(new RouteQuery { Destination = group, Source = group.AnyOfFamily }, route) == NetError.None ? route.Interface : null;
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
        Stack.FindInterface(membership.Interface)?.Groups.Leave(membership.Group);
    }

    private void LeaveAllGroups()
    {
        while (_memberships is { Count: > 0 })
        {
            Leave(_memberships[^1]);
        }
    }
}
