namespace Runsc.NetStack.Transport.Tcp;

/// <summary>Counters of a stack's TCP, with the names of /proc/net/snmp and /proc/net/netstat. Guarded by the stack's lock.</summary>
internal sealed class TcpStatistics
{
    public long ActiveOpens;
    public long PassiveOpens;
    public long AttemptFails;
    public long EstabResets;
    public long InSegs;
    public long OutSegs;
    public long RetransSegs;
    public long InErrs;
    public long OutRsts;
    public long InCsumErrors;

    public long SyncookiesSent;
    public long SyncookiesRecv;
    public long SyncookiesFailed;
    public long ListenOverflows;
    public long ListenDrops;
    public long TimeWaited;
    public long TimeWaitRecycled;
    public long TimeWaitOverflow;
    public long PawsEstab;
    public long DelayedAcks;
    public long LossProbes;
    public long LossProbeRecovery;
    public long Timeouts;
    public long FastRetrans;
    public long SlowStartRetrans;
    public long SackRecovery;
    public long RenoRecovery;
    public long SackReneging;
    public long DsackOldSent;
    public long DsackOfoSent;
    public long DsackRecv;
    public long DsackUndo;
    public long FullUndo;
    public long LossUndo;
    public long PartialUndo;
    public long ChallengeAck;
    public long OfoQueue;
    public long OfoPruned;
    public long OfoDrop;
    public long RcvPruned;
    public long AbortOnData;
    public long AbortOnClose;
    public long AbortOnMemory;
    public long AbortOnTimeout;
    public long AbortOnLinger;
    public long FromZeroWindowAdv;
    public long ToZeroWindowAdv;
    public long WantZeroWindowAdv;
    public long KeepAlive;
    public long WinProbe;
    public long FastOpenActive;
    public long FastOpenActiveFail;
    public long FastOpenPassive;
    public long FastOpenPassiveFail;
    public long FastOpenCookieReqd;
    public long FastOpenListenOverflow;
    public long MtuProbeBlackHole;
}
