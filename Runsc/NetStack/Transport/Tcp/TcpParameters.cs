namespace Runsc.NetStack.Transport.Tcp;

/// <summary>The net.ipv4.tcp_* settings of a stack, with Linux's defaults. Guarded by the stack's lock; read at the time of use.</summary>
internal sealed class TcpParameters
{
    public bool WindowScaling { get; set; } = true;

    public bool Timestamps { get; set; } = true;

    public bool Sack { get; set; } = true;

    public bool DuplicateSack { get; set; } = true;

    /// <summary>tcp_ecn: 0 off, 1 asked for and granted, 2 granted when asked for.</summary>
    public int Ecn { get; set; } = 2;

    /// <summary>tcp_congestion_control.</summary>
    public string CongestionControl { get; set; } = "cubic";

    public int SynRetries { get; set; } = 6;

    public int SynAckRetries { get; set; } = 5;

    /// <summary>Time-outs before the route and the path MTU are suspected.</summary>
    public int Retries1 { get; set; } = 3;

    public int Retries2 { get; set; } = 15;

    /// <summary>Time-outs of a connection that no application holds any more; 0 means 8.</summary>
    public int OrphanRetries { get; set; }

    public int MaxOrphans { get; set; } = 8192;

    public int MaxTimeWait { get; set; } = 16384;

    /// <summary>tcp_max_syn_backlog.</summary>
    public int MaxSynBacklog { get; set; } = 512;

    /// <summary>net.core.somaxconn.</summary>
    public int MaxBacklog { get; set; } = 4096;

    /// <summary>tcp_syncookies: 0 off, 1 when the queue is full, 2 always.</summary>
    public int SynCookies { get; set; } = 1;

    public bool AbortOnOverflow { get; set; }

    /// <summary>Seconds in FIN-WAIT-2 of a connection nobody holds.</summary>
    public int FinTimeout { get; set; } = 60;

    public int KeepAliveTime { get; set; } = 7200;

    public int KeepAliveInterval { get; set; } = 75;

    public int KeepAliveProbes { get; set; } = 9;

    /// <summary>tcp_tw_reuse: 0 off, 1 on, 2 for loopback.</summary>
    public int TimeWaitReuse { get; set; } = 2;

    public bool SlowStartAfterIdle { get; set; } = true;

    /// <summary>tcp_fastopen: 1 client, 2 server.</summary>
    public int FastOpen { get; set; } = 1;

    /// <summary>tcp_mtu_probing: 0 off, 1 after a black hole is found. Linux's default is 0, and a black hole then kills the connection; here it is 1.</summary>
    public int MtuProbing { get; set; } = 1;

    /// <summary>tcp_base_mss: what a black hole makes the segments shrink to at first.</summary>
    public int BaseMss { get; set; } = 1024;

    public int MinimumSendMss { get; set; } = 48;

    public int Reordering { get; set; } = 3;

    public int MaxReordering { get; set; } = 300;

    public bool ModerateReceiveBuffer { get; set; } = true;

    /// <summary>tcp_notsent_lowat.</summary>
    public uint NotSentLowWater { get; set; } = uint.MaxValue;

    /// <summary>tcp_rmem.</summary>
    public int MinimumReceiveBuffer { get; set; } = 4096;

    public int DefaultReceiveBuffer { get; set; } = 131072;

    public int MaximumReceiveBuffer { get; set; } = 6291456;

    /// <summary>tcp_wmem.</summary>
    public int MinimumSendBuffer { get; set; } = 4096;

    public int DefaultSendBuffer { get; set; } = 16384;

    public int MaximumSendBuffer { get; set; } = 4194304;

    /// <summary>net.core.rmem_max and wmem_max: the limits of SO_RCVBUF and SO_SNDBUF.</summary>
    public int MaximumUserReceiveBuffer { get; set; } = 212992;

    public int MaximumUserSendBuffer { get; set; } = 212992;

    /// <summary>tcp_mem's last figure, in bytes: queues of all connections together.</summary>
    public long MemoryLimit { get; set; } = 192L << 20;

    /// <summary>tcp_mem's middle figure: beyond it windows do not grow.</summary>
    public long MemoryPressure { get; set; } = 128L << 20;

    /// <summary>tcp_invalid_ratelimit: milliseconds between answers to segments that are out of window, for each connection.</summary>
    public int InvalidRateLimit { get; set; } = 500;

    /// <summary>tcp_challenge_ack_limit: challenge ACKs a second of all connections (RFC 5961, 7).</summary>
    public int ChallengeAckLimit { get; set; } = 1000;

    /// <summary>Resets and acknowledgements a second that answer segments of no connection.</summary>
    public int StatelessReplyLimit { get; set; } = 20000;
}
