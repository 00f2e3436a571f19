namespace Runsc.NetStack.Filter.Tracking;

/// <summary>What is counted of connection tracking (struct ip_conntrack_stat).</summary>
internal enum TrackingCounter
{
    Found,
    Invalid,
    Insert,
    InsertFailed,
    Drop,
    EarlyDrop,
    Count,
}
