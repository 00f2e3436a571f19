using Runsc.NetStack.Network;

namespace Runsc.NetStack.Transport.Tcp;

/// <summary>What an application has set on a socket and what an accepted connection inherits. Guarded by the stack's lock.</summary>
/// <remarks>Those whose change has an effect at once have a method on <see cref="TcpEndpoint"/>; the rest may be set here, under the lock.</remarks>
internal sealed class TcpSettings
{
    public SocketOwner? Owner { get; set; }

    public bool NoDelay { get; set; }

    public bool Cork { get; set; }

    public bool KeepAlive { get; set; }

    /// <summary>TCP_KEEPIDLE and TCP_KEEPINTVL in seconds, TCP_KEEPCNT; 0 is the stack's.</summary>
    public int KeepAliveTime { get; set; }

    public int KeepAliveInterval { get; set; }

    public int KeepAliveProbes { get; set; }

    /// <summary>TCP_USER_TIMEOUT in milliseconds, or 0.</summary>
    public uint UserTimeout { get; set; }

    /// <summary>TCP_MAXSEG, or 0.</summary>
    public int MaximumSegment { get; set; }

    /// <summary>TCP_SYNCNT, or 0.</summary>
    public int SynRetries { get; set; }

    /// <summary>TCP_DEFER_ACCEPT in seconds, or 0.</summary>
    public int DeferAccept { get; set; }

    /// <summary>TCP_WINDOW_CLAMP, or 0.</summary>
    public int WindowClamp { get; set; }

    /// <summary>TCP_LINGER2 in seconds; 0 is the stack's, negative is none.</summary>
    public int Linger2 { get; set; }

    /// <summary>SO_LINGER is on.</summary>
    public bool Linger { get; set; }

    public int LingerSeconds { get; set; }

    public bool OobInline { get; set; }

    /// <summary>SO_RCVLOWAT, at least 1.</summary>
    public int ReceiveLowWater { get; set; } = 1;

    /// <summary>SO_RCVBUF, SO_SNDBUF as getsockopt gives them (doubled).</summary>
    public int ReceiveBuffer { get; set; }

    public int SendBuffer { get; set; }

    /// <summary>The application has chosen the size: no tuning.</summary>
    public bool ReceiveBufferLocked { get; set; }

    public bool SendBufferLocked { get; set; }

    /// <summary>TCP_NOTSENT_LOWAT, or 0.</summary>
    public uint NotSentLowWater { get; set; }

    /// <summary>TCP_FASTOPEN of a listener: requests that may be open, or 0.</summary>
    public int FastOpenQueue { get; set; }

    /// <summary>TCP_FASTOPEN_CONNECT: connect(2) waits for the first write.</summary>
    public bool FastOpenConnect { get; set; }

    /// <summary>IP_TTL or IPV6_UNICAST_HOPS, or 0 for the default.</summary>
    public byte HopLimit { get; set; }

    /// <summary>IP_TOS or IPV6_TCLASS; the ECN bits are the stack's.</summary>
    public byte TrafficClass { get; set; }

    public PathMtuMode PathMtu { get; set; } = PathMtuMode.Want;

    /// <summary>SO_MARK.</summary>
    public uint Mark { get; set; }

    /// <summary>SO_PRIORITY.</summary>
    public uint Priority { get; set; }

    public uint FlowLabel { get; set; }

    /// <summary>IP_RECVERR or IPV6_RECVERR: soft errors are reported at once.</summary>
    public bool ReceiveErrors { get; set; }

    /// <summary>SO_DONTROUTE.</summary>
    public bool OnLinkOnly { get; set; }

    /// <summary>IP_TRANSPARENT or IP_FREEBIND.</summary>
    public bool AnySource { get; set; }

    public TcpSettings Clone() => (TcpSettings)MemberwiseClone();
}
