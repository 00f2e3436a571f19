using Runsc.NetStack.Network;

namespace Runsc.NetStack.Transport.Tcp;

/// <summary>What owns a pair of addresses and ports: a connection, a request that waits for its handshake, or a connection in TIME-WAIT. Guarded by the stack's lock.</summary>
internal abstract class TcpFlow
{
    public IpAddress LocalAddress { get; protected set; }

    public IpAddress RemoteAddress { get; protected set; }

    public ushort LocalPort { get; protected set; }

    public ushort RemotePort { get; protected set; }

    public abstract TcpState State { get; }

    internal ulong Hash { get; set; }

    internal TcpFlow? NextInBucket { get; set; }

    internal bool IsInTable { get; set; }

    /// <summary>A segment of this flow; takes the packet.</summary>
    public abstract void Receive(ref TcpSegment segment);

    /// <summary>An ICMP error about a segment of this flow that began at <paramref name="seq"/>.</summary>
    public abstract void OnIcmp(in IcmpError error, SeqNum seq);

    public bool Is(in IpAddress local, ushort localPort, in IpAddress remote, ushort remotePort) =>
        LocalPort == localPort && RemotePort == remotePort && RemoteAddress == remote && LocalAddress == local;
}
