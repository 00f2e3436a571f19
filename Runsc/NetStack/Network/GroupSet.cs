using System.Collections.Generic;
using Runsc.NetStack.Core;

namespace Runsc.NetStack.Network;

/// <summary>The groups that an interface is in, with the sockets' counts; tells the routers by IGMP and MLD. Guarded by the stack's lock.</summary>
internal sealed class GroupSet(NetworkInterface owner)
{
    private const int MaxGroups = 4096;

    private readonly Dictionary<IpAddress, GroupMember> _groups = [];

    public IReadOnlyDictionary<IpAddress, GroupMember> All => _groups;

    public NetworkInterface Interface { get; } = owner;

    /// <summary>Packets to the group are for this host. The all-hosts groups always are.</summary>
    public bool Contains(in IpAddress group) =>
        Interface.IsLoopback || _groups.ContainsKey(group) || (group.IsV4 && group.V4 == 0xe000_0001) || (group.IsV6 && group.High == 0xff01_0000_0000_0000 && group.Low == 1);

    public NetError Join(in IpAddress group)
    {
        if (_groups.TryGetValue(group, out GroupMember? member))
        {
            member.Count++;
            return NetError.None;
        }

        if (_groups.Count >= MaxGroups)
        {
            return NetError.NoBufferSpace;
        }

        member = new GroupMember(this, group) { Count = 1 };
        _groups.Add(group, member);
        if (Interface.IsUp)
        {
            member.Announce();
        }

        return NetError.None;
    }

    public void Leave(in IpAddress group)
    {
        if (_groups.TryGetValue(group, out GroupMember? member) && --member.Count == 0)
        {
            _groups.Remove(group);
            member.Withdraw();
        }
    }

    /// <summary>Joins for the host itself, once.</summary>
    public void JoinOwn(in IpAddress group)
    {
        if (!_groups.ContainsKey(group))
        {
            Join(group);
        }
    }

    public void LeaveOwn(in IpAddress group)
    {
        foreach (InterfaceAddress address in Interface.Addresses)
        {
            if (address.Address.IsV6 && NdpProtocol.SolicitedNode(address.Address) == group)
            {
                return;
            }
        }

        Leave(group);
    }

    /// <summary>The interface went up: all groups are announced.</summary>
    public void Start()
    {
        foreach (GroupMember member in _groups.Values)
        {
            member.Announce();
        }
    }

    public void Clear()
    {
        foreach (GroupMember member in _groups.Values)
        {
            member.Stop();
        }

        _groups.Clear();
    }

    /// <summary>A router asks which groups there are; an unspecified group asks for all.</summary>
    public void Queried(in IpAddress group, int version, int maxResponse, bool v4)
    {
        foreach (GroupMember member in _groups.Values)
        {
            if (member.Group.IsV4 == v4 && (group.IsUnspecified || group == member.Group))
            {
                member.Queried(version, maxResponse);
            }
        }
    }

    /// <summary>Another host has reported the group, so with the old versions our report may stay out.</summary>
    public void ReportedByOther(in IpAddress group)
    {
        if (_groups.TryGetValue(group, out GroupMember? member))
        {
            member.Suppress();
        }
    }
}
