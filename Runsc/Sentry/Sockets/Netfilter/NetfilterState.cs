using Runsc.Linux;
using Runsc.NetStack;
using Runsc.NetStack.Core;
using Runsc.NetStack.Filter;
using Runsc.Sentry.Auth;

namespace Runsc.Sentry.Sockets.Netfilter;

/// <summary>The packet filter of a network namespace and who puts rules into it.</summary>
internal sealed class NetfilterState
{
    public NetfilterState(NetworkStack stack, UserNamespace owner)
    {
        Filter = new PacketFilter(stack);
        Tables4 = new LegacyTables(Filter, owner, v4: true);
        Tables6 = new LegacyTables(Filter, owner, v4: false);
        Nft = new NftTables(Filter);
    }

    public PacketFilter Filter { get; }

    public LegacyTables Tables4 { get; }

    public LegacyTables Tables6 { get; }

    public NftTables Nft { get; }

    /// <summary>SO_ORIGINAL_DST: a sockaddr of whom the peer of an accepted connection believes to talk to. ENOENT where no connection is known.</summary>
    public Errno TryGetOriginal(in IpEndpoint local, in IpEndpoint remote, byte protocol, out IpEndpoint original)
    {
        using (Filter.Stack.Enter())
        {
            return Filter.Tracker.TryFindOriginal(local, remote, protocol, out original) ? Errno.None : Errno.ENOENT;
        }
    }
}
