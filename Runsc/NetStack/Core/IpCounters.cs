namespace Runsc.NetStack.Core;

/// <summary>The IP group of RFC 4293 with Linux's extensions; one for each version. Written under the stack's lock.</summary>
internal sealed class IpCounters
{
    public ulong InReceives;
    public ulong InHeaderErrors;
    public ulong InTooBigErrors;
    public ulong InAddressErrors;
    public ulong InNoRoutes;
    public ulong InUnknownProtocols;
    public ulong InTruncated;
    public ulong InDiscards;
    public ulong InDelivers;
    public ulong Forwarded;
    public ulong OutRequests;
    public ulong OutDiscards;
    public ulong OutNoRoutes;
    public ulong ReassemblyTimeouts;
    public ulong ReassemblyRequired;
    public ulong ReassemblyOk;
    public ulong ReassemblyFailures;
    public ulong FragmentOk;
    public ulong FragmentFailures;
    public ulong FragmentsCreated;
    public ulong InMulticast;
    public ulong OutMulticast;
    public ulong InBroadcast;
    public ulong OutBroadcast;
    public ulong InBytes;
    public ulong OutBytes;
}
