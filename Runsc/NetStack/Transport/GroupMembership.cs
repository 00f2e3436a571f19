using System.Collections.Generic;

namespace Runsc.NetStack.Transport;

/// <summary>A group that a socket is in on one interface, with its source filter (RFC 3678). Guarded by the stack's lock.</summary>
internal sealed class GroupMembership(IpAddress group, int networkInterface)
{
    /// <summary>As net.ipv4.igmp_max_msf allows with some room.</summary>
    public const int MaxSources = 64;

    public IpAddress Group { get; } = group;

    public int Interface { get; } = networkInterface;

    /// <summary>MCAST_INCLUDE: only the listed sources; else all but them.</summary>
    public bool IsInclude { get; set; }

    public List<IpAddress> Sources { get; } = [];

    public bool Allows(in IpAddress source) => Sources.Contains(source) == IsInclude;
}
