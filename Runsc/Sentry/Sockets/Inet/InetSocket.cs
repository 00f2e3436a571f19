using System;
using Runsc.Linux;
using Runsc.NetStack;
using Runsc.NetStack.Core;
using Runsc.NetStack.Transport;
using Runsc.Sentry.Vfs;
using Runsc.Sentry.Waiting;

namespace Runsc.Sentry.Sockets.Inet;

/// <summary>What sockets of AF_INET and AF_INET6 share: names, readiness, options of SOL_IP and SOL_IPV6.</summary>
/// <remarks>
/// A socket owns one endpoint of the stack, and hears of its events. The stack's lock is taken inside the endpoint's methods; no lock of
/// the socket's own is held then.
/// </remarks>
internal abstract partial class InetSocket : SocketDescription, IEndpointEvents
{
    protected InetSocket(NetNamespace network, ICaller creator, int family, int type, int protocol, int flags)
        : base(network, creator, family, type, protocol, flags)
    {
        User = creator.Credentials.EffectiveUid;
        Owner = new SocketOwner(User, creator.Credentials.EffectiveGid);
        network.Add(this);
    }

    public override WaitQueue Events { get; } = new();

    /// <summary>Who made it, for SO_REUSEPORT and /proc/net.</summary>
    public uint User { get; }

    /// <summary>The same with the group, for the packet filter.</summary>
    protected SocketOwner Owner { get; }

    protected bool IsV6 => Family == Socket.AF_INET6;

    protected NetworkStack Stack => Network.Inet.Stack;

    /// <summary>What shutdown(2) has closed: 1 reading, 2 writing (for sock_diag).</summary>
    public abstract byte ShutdownMask { get; }

    public byte TypeOfService => IpOptions.Tos;

    public byte TrafficClass => IpOptions.TrafficClass;

    public bool IsV6Only => IpOptions.V6Only;

    protected abstract NetEvents EndpointReadiness { get; }

    protected abstract void CloseEndpoint();

    protected override void OnSocketRelease()
    {
        Network.Remove(this);
        CloseEndpoint();
        _streamGroups?.LeaveAll();
    }

    public void OnEvents(NetEvents events) => Events.Notify(ToMask(events));

    public override EventMask Readiness(EventMask mask) => ToMask(EndpointReadiness) & (mask | EventMask.Unmaskable);

    // Streams do not tell of POLLWRBAND.
    private EventMask WriteMask => IsStream ? EventMask.Writable : EventMask.Writable | EventMask.WriteBand;

    private EventMask ToMask(NetEvents events)
    {
        EventMask mask = EventMask.None;
        mask |= (events & NetEvents.Readable) != 0 ? EventMask.Readable : EventMask.None;
        mask |= (events & NetEvents.Writable) != 0 ? WriteMask : EventMask.None;
        mask |= (events & NetEvents.Error) != 0 ? EventMask.Err : EventMask.None;
        mask |= (events & NetEvents.Hangup) != 0 ? EventMask.Hup : EventMask.None;
        mask |= (events & NetEvents.ReadHangup) != 0 ? EventMask.ReadHup : EventMask.None;
        mask |= (events & NetEvents.Urgent) != 0 ? EventMask.Pri : EventMask.None;
        return mask;
    }

    /// <summary>A sockaddr for bind: EACCES for a port that needs CAP_NET_BIND_SERVICE.</summary>
    protected Errno ParseLocal(ICaller caller, ReadOnlySpan<byte> address, out IpEndpoint local)
    {
        Errno error = InetAddress.TryParse(Family, address, mixed: false, out local);
        if (error == Errno.None && local.Port != 0 && local.Port < Stack.Parameters.UnprivilegedPortStart && Type != Socket.SOCK_RAW
            && !caller.Credentials.HasCapability(Capability.CAP_NET_BIND_SERVICE, Network.Owner))
        {
            error = Errno.EACCES;
        }

        return error == Errno.None && local.Address is { IsLinkLocal: true, IsV6: true } ? CheckScope(ref local) : error;
    }

    // A link-local address says nothing without its interface (Linux: __inet6_bind).
    private Errno CheckScope(ref IpEndpoint local)
    {
        int scope = local.Scope != 0 ? local.Scope : BoundInterface;
        if (scope == 0 || (BoundInterface != 0 && scope != BoundInterface))
        {
            return Errno.EINVAL;
        }

        local = new IpEndpoint(local.Address, local.Port, scope);
        using (Stack.Enter())
        {
            return Stack.FindInterface(scope) is null ? Errno.ENODEV : Errno.None;
        }
    }
}
