using System;
using System.Buffers.Binary;
using System.Collections.Generic;
using Runsc.NetStack.Core;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Network;

/// <summary>Stateless address configuration and duplicate detection of one interface (RFC 4862). Guarded by the stack's lock.</summary>
internal sealed class SlaacState(NetworkInterface owner) : NetTimer
{
    private const long Second = 1_000_000_000;
    private const long RetransmitTime = Second;
    private const long SolicitInterval = 4 * Second;
    private const int MaxSolicitations = 3;
    private const int MaxPrefixes = 16;
    private const byte RouterProtocol = 9;
    private const uint TwoHours = 7200;

    private readonly Dictionary<InterfaceAddress, DadTimer> _dad = [];
    private int _solicitations;

    private NetworkStack Stack => owner.Stack;

    private bool AcceptsRouters =>
        owner.Parameters[InterfaceSetting.AcceptRouterAdvertisements] is not 0 and var accepts && (accepts == 2 || !owner.Parameters.IsOn(InterfaceSetting.Ipv6Forward));

    /// <summary>The interface is up: ask for routers, unless this host is one.</summary>
    public void Start()
    {
        _solicitations = 0;
        if (AcceptsRouters)
        {
            Stack.Schedule(this, Stack.Now + (Second / 10) + (long)(Stack.Random.Next() % (ulong)Second));
        }
    }

    public void Stop()
    {
        Stack.Cancel(this);
        foreach (InterfaceAddress address in new List<InterfaceAddress>(_dad.Keys))
        {
            Forget(address);
        }

        foreach (InterfaceAddress address in new List<InterfaceAddress>(owner.Addresses))
        {
            if (!address.IsPermanent)
            {
                Stack.RemoveAddress(address);
            }
        }
    }

    /// <summary>Begins duplicate detection of an address of the interface.</summary>
    public void Detect(InterfaceAddress address)
    {
        if (!_dad.ContainsKey(address))
        {
            address.IsTentative = true;
            DadTimer timer = new(this, address) { Left = owner.Parameters[InterfaceSetting.DadTransmits] };
            _dad.Add(address, timer);
            timer.Fire();
        }
    }

    public void Forget(InterfaceAddress address)
    {
        if (_dad.Remove(address, out DadTimer? timer))
        {
            Stack.Cancel(timer);
        }
    }

    /// <summary>Another host has the address: it is never used (RFC 4862, 5.4.5).</summary>
    public void DuplicateFound(InterfaceAddress address)
    {
        Forget(address);
        address.IsTentative = false;
        address.IsDuplicate = true;
        Stack.RoutesChanged();
        Stack.Observer?.AddressChanged(address, removed: false);
    }

    /// <summary>A router advertisement: default route, MTU, hop limit, prefixes.</summary>
    public void Advertised(in NdpRouterAdvertisement message, ReadOnlySpan<byte> options, in IpAddress router)
    {
        if (!AcceptsRouters || owner.IsLoopback)
        {
            return;
        }

        Stack.Cancel(this);
        if (message.HopLimit != 0)
        {
            owner.AdvertisedHopLimit = message.HopLimit;
        }

        DefaultRoute(router, message.Lifetime);
        NdpOptions walk = new(options);
        while (walk.Next())
        {
            switch (walk.Type)
            {
                case NdpOptions.SourceLinkAddress when walk.TryLinkAddress(out MacAddress mac):
                    if (owner.Neighbors.GetOrAdd(router) is { } neighbor)
                    {
                        neighbor.IsRouter = true;
                        neighbor.Heard(mac, solicited: false, overrides: true);
                    }

                    break;
                case NdpOptions.Mtu when walk.Current.Length == 8:
                    uint mtu = BinaryPrimitives.ReadUInt32BigEndian(walk.Current[4..]);
                    if (mtu >= Ipv6Header.MinMtu && mtu <= (uint)owner.Mtu && owner.LinkMtu != (int)mtu)
                    {
                        owner.LinkMtu = (int)mtu;
                        Stack.RoutesChanged();
                    }

                    break;
                case NdpOptions.Prefix when NdpPrefix.TryParse(walk.Current, out NdpPrefix prefix):
                    PrefixSeen(prefix);
                    break;
                default:
                    break;
            }
        }
    }

    public override void Fire()
    {
        if (_solicitations++ < MaxSolicitations && owner.IsUp)
        {
            NdpProtocol.SolicitRouters(owner);
            Stack.Schedule(this, Stack.Now + SolicitInterval);
        }
    }

    private void DefaultRoute(in IpAddress router, ushort lifetime)
    {
        RouteEntry route = new()
        {
            Protocol = RouterProtocol,
            Destination = IpAddress.AnyV6,
            Gateway = router,
            Interface = owner,
            Metric = 1024,
            ValidUntil = Stack.Now + (lifetime * Second),
        };
        if (lifetime == 0)
        {
            Stack.Routes6.RemoveMatching(new RouteEntry { Kind = RouteKind.Unicast, Destination = IpAddress.AnyV6, Gateway = router, Interface = owner, Metric = 1024 });
        }
        else
        {
            Stack.Routes6.Add(route, replace: true);
        }
    }

    private void PrefixSeen(in NdpPrefix prefix)
    {
        if (prefix.IsOnLink && prefix.ValidLifetime > 0)
        {
            Stack.Routes6.Add(
                new RouteEntry
                {
                    Protocol = RouterProtocol,
                    Destination = Prefix.Mask(prefix.Prefix, prefix.PrefixLength),
                    PrefixLength = prefix.PrefixLength,
                    Interface = owner,
                    Metric = 256,
                    ValidUntil = End(prefix.ValidLifetime),
                },
                replace: true);
        }

        if (!prefix.IsAutonomous || !owner.Parameters.IsOn(InterfaceSetting.Autoconfiguration) || prefix.PrefixLength != 64 || !owner.Mac.IsUnicast)
        {
            return;
        }

        IpAddress own = new(prefix.Prefix.High, owner.Mac.ToEui64());
        if (owner.FindOwn(own) is { } known)
        {
            if (!known.IsPermanent)
            {
                // RFC 4862, 5.5.3 e: a stranger cannot shorten a lifetime below two hours at once.
                long left = Math.Max(0, known.ValidUntil - Stack.Now);
                if (prefix.ValidLifetime > TwoHours || prefix.ValidLifetime * Second > left)
                {
                    known.ValidUntil = End(prefix.ValidLifetime);
                }
                else if (left > TwoHours * Second)
                {
                    known.ValidUntil = Stack.Now + (TwoHours * Second);
                }

                known.PreferredUntil = End(prefix.PreferredLifetime);
                known.IsDeprecated = prefix.PreferredLifetime == 0;
            }

            return;
        }

        int automatic = 0;
        foreach (InterfaceAddress address in owner.Addresses)
        {
            automatic += address.IsPermanent ? 0 : 1;
        }

        if (prefix.ValidLifetime == 0 || automatic >= MaxPrefixes)
        {
            return;
        }

        InterfaceAddress added = new(owner, own, 64)
        {
            HasNoPrefixRoute = true,
            ValidUntil = prefix.ValidLifetime == NdpPrefix.Infinite ? Never - 1 : End(prefix.ValidLifetime),
            PreferredUntil = End(prefix.PreferredLifetime),
            IsDeprecated = prefix.PreferredLifetime == 0,
        };
        if (Stack.AddAddress(added) == NetError.None)
        {
            Stack.Schedule(new LifetimeTimer(this, added), Math.Min(added.PreferredUntil, added.ValidUntil));
        }
    }

    private long End(uint seconds) => seconds == NdpPrefix.Infinite ? Never - 1 : Stack.Now + (seconds * Second);

    /// <summary>Duplicate detection of one address.</summary>
    private sealed class DadTimer(SlaacState state, InterfaceAddress address) : NetTimer
    {
        public int Left { get; set; }

        public override void Fire()
        {
            if (Left-- > 0)
            {
                NdpProtocol.Probe(state.Interface, address.Address);
                state.Stack.Schedule(this, state.Stack.Now + RetransmitTime);
                return;
            }

            state._dad.Remove(address);
            address.IsTentative = false;
            state.Stack.RoutesChanged();
            state.Stack.Observer?.AddressChanged(address, removed: false);
        }
    }

    private NetworkInterface Interface => owner;

    /// <summary>The end of the preferred and of the valid time of an address.</summary>
    private sealed class LifetimeTimer(SlaacState state, InterfaceAddress address) : NetTimer
    {
        public override void Fire()
        {
            long now = state.Stack.Now;
            if (state.Interface.FindOwn(address.Address) != address)
            {
                return;
            }

            if (address.ValidUntil <= now)
            {
                state.Stack.RemoveAddress(address);
                return;
            }

            address.IsDeprecated = address.PreferredUntil <= now;
            state.Stack.Schedule(this, address.IsDeprecated ? address.ValidUntil : Math.Min(address.PreferredUntil, address.ValidUntil));
        }
    }
}
