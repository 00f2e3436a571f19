using System.Collections.Generic;
using Runsc.NetStack.Link;

namespace Runsc.NetStack.Core;

/// <summary>Addresses of an interface, and which of them a packet gets as its source.</summary>
internal sealed partial class NetworkInterface
{
    internal List<InterfaceAddress> MutableAddresses { get; } = [];

    public IReadOnlyList<InterfaceAddress> Addresses => MutableAddresses;

    /// <summary>The IPv4 source for a destination that is reached over this interface: of the same network if there is one (inet_select_addr).</summary>
    public IpAddress SelectV4(in IpAddress nextHop, byte maxScope)
    {
        IpAddress best = IpAddress.AnyV4;
        foreach (InterfaceAddress candidate in MutableAddresses)
        {
            if (!candidate.Address.IsV4 || candidate.Scope > maxScope || candidate.IsSecondary)
            {
                continue;
            }

            if (candidate.Contains(nextHop))
            {
                return candidate.Address;
            }

            if (best.IsUnspecified)
            {
                best = candidate.Address;
            }
        }

        return best;
    }

    /// <summary>The IPv6 source by the rules of RFC 6724, 5, as far as they make sense here: same address, scope, not deprecated, longest prefix.</summary>
    public IpAddress SelectV6(in IpAddress destination)
    {
        InterfaceAddress? best = null;
        int bestScore = -1;
        int wanted = ScopeOf(destination);
        foreach (InterfaceAddress candidate in MutableAddresses)
        {
            if (candidate.Address.IsV4 || !candidate.IsUsable)
            {
                continue;
            }

            int scope = ScopeOf(candidate.Address);
            int score = candidate.Address == destination ? 1 << 20 : 0;

            // Prefer the smallest scope that is large enough, and of the others the largest.
            score += scope >= wanted ? (1 << 16) - (scope << 8) : scope << 8;
            score += candidate.IsDeprecated ? 0 : 1 << 17;
            score += Prefix.CommonLength(candidate.Address, destination);
            if (score > bestScore)
            {
                best = candidate;
                bestScore = score;
            }
        }

        return best?.Address ?? IpAddress.AnyV6;
    }

    /// <summary>The link-local address for neighbour discovery, or ::.</summary>
    public IpAddress LinkLocal
    {
        get
        {
            foreach (InterfaceAddress candidate in MutableAddresses)
            {
                if (candidate.Address.IsV6 && candidate.Address.IsLinkLocal && candidate.IsUsable)
                {
                    return candidate.Address;
                }
            }

            return IpAddress.AnyV6;
        }
    }

    /// <summary>IPv4's are in order of time, IPv6's by scope, the newest first, as Linux lists them.</summary>
    internal void Insert(InterfaceAddress address)
    {
        int at = MutableAddresses.Count;
        if (address.Address.IsV6 && MutableAddresses.FindIndex(one => one.Address.IsV6 && ScopeOf(one.Address) <= ScopeOf(address.Address)) is >= 0 and var found)
        {
            at = found;
        }

        MutableAddresses.Insert(at, address);
    }

    internal InterfaceAddress? FindOwn(in IpAddress address)
    {
        foreach (InterfaceAddress candidate in MutableAddresses)
        {
            if (candidate.Address == address)
            {
                return candidate;
            }
        }

        return null;
    }

    private static int ScopeOf(in IpAddress address)
    {
        if (address.IsMulticast)
        {
            return address.MulticastScope;
        }

        return address.IsLoopback ? 1 : address.IsLinkLocal ? 2 : 14;
    }

    /// <summary>The interface went up: it gets its link-local address and asks for routers.</summary>
    internal void StartIpv6()
    {
        if (!HasIpv6)
        {
            return;
        }

        Groups.JoinOwn(new IpAddress(0xff01_0000_0000_0000, 1));
        Groups.JoinOwn(new IpAddress(0xff02_0000_0000_0000, 1));
        foreach (InterfaceAddress address in MutableAddresses.ToArray())
        {
            if (address.Address.IsV6)
            {
                StartAddress(address, noDad: false);
            }
        }

        if (Device.Kind == LinkKind.Ethernet && Mac.IsUnicast && FindLinkLocal() is null)
        {
            IpAddress own = new(0xfe80_0000_0000_0000, Mac.ToEui64());
            Stack.AddAddress(new InterfaceAddress(this, own, 64) { Scope = NetworkStack.ScopeLink });
        }

        if (Device.Kind == LinkKind.Ethernet)
        {
            Slaac.Start();
        }
    }

    internal void StopIpv6() => Slaac.Stop();

    /// <summary>disable_ipv6 has changed: addresses and routes go; the link-local address comes back.</summary>
    internal void Ipv6Switched()
    {
        if (!Ipv6Disabled)
        {
            if (IsUp && IsLoopback)
            {
                Stack.AddAddress(new InterfaceAddress(this, IpAddress.LoopbackV6, 128) { Scope = NetworkStack.ScopeHost }, noDad: true);
            }
            else if (IsUp)
            {
                StartIpv6();
            }

            return;
        }

        StopIpv6();
        foreach (InterfaceAddress address in MutableAddresses.ToArray())
        {
            if (address.Address.IsV6)
            {
                Stack.RemoveAddress(address);
            }
        }

        Stack.Routes6.RemoveOf(this, keepLocal: false);
        Stack.RoutesChanged();
    }

    /// <summary>A new IPv6 address, or an old one of an interface that went up: its group, and the search for duplicates.</summary>
    internal void StartAddress(InterfaceAddress address, bool noDad)
    {
        if (!IsUp)
        {
            return;
        }

        if (!IsLoopback)
        {
            Groups.JoinOwn(Network.NdpProtocol.SolicitedNode(address.Address));
        }

        if (!noDad && Device.Kind == LinkKind.Ethernet && Parameters.IsOn(InterfaceSetting.DadTransmits))
        {
            Slaac.Detect(address);
        }
    }

    internal void StopAddress(InterfaceAddress address)
    {
        Groups.LeaveOwn(Network.NdpProtocol.SolicitedNode(address.Address));
        Slaac.Forget(address);
    }

    private InterfaceAddress? FindLinkLocal()
    {
        foreach (InterfaceAddress address in MutableAddresses)
        {
            if (address.Address.IsV6 && address.Address.IsLinkLocal)
            {
                return address;
            }
        }

        return null;
    }
}
