namespace Runsc.NetStack.Transport;

/// <summary>Whose socket it is, for rules of the packet filter.</summary>
internal sealed record SocketOwner(uint User, uint Group);
