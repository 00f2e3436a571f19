namespace Runsc.NetStack.Network;

/// <summary>A host on a link and what is known of its link address. Guarded by the stack's lock.</summary>
internal sealed class Neighbor(IpAddress address)
{
    public IpAddress Address { get; } = address;
}
