namespace Runsc.NetStack.Filter.Tracking;

/// <summary>What addresses and ports a rule offers (nf_nat_range2). Without addresses those of the packet stay.</summary>
internal readonly record struct NatRange
{
    public bool HasAddresses { get; init; }

    public IpAddress MinAddress { get; init; }

    public IpAddress MaxAddress { get; init; }

    public bool HasPorts { get; init; }

    /// <summary>In host order; at least one port.</summary>
    public ushort MinPort { get; init; }

    public ushort MaxPort { get; init; }

    /// <summary>The search for a port begins anywhere.</summary>
    public bool IsRandom { get; init; }

    /// <summary>A source gets the same address whatever it talks to.</summary>
    public bool IsPersistent { get; init; }
}
