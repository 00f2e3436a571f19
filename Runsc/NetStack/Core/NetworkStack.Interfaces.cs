using System.Collections.Generic;
using Runsc.NetStack.Link;
using Runsc.NetStack.Network;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Core;

/// <summary>Interfaces and their addresses. All members need the stack's lock.</summary>
internal sealed partial class NetworkStack
{
    public const byte ScopeUniverse = 0;
    public const byte ScopeLink = 253;
    public const byte ScopeHost = 254;

    private const int MaxInterfaces = 4096;
    private const int MaxAddresses = 1024;
    private const byte KernelProtocol = 2;

    private readonly List<NetworkInterface> _interfaces = [];
    private int _nextIndex = 2;

    // Of all interfaces.
    private readonly List<IPacketTap> _taps = [];

    public IReadOnlyList<NetworkInterface> Interfaces => _interfaces;

    public NetworkInterface? Loopback { get; private set; }

    public IStackObserver? Observer { get; set; }

    /// <summary>Adds an interface, which is down. Its index is the next free one unless it is given.</summary>
    public NetError AddInterface(string name, LinkDevice device, out NetworkInterface? added, int index = 0)
    {
        added = null;
        if (FindInterface(name) is not null || (index != 0 && FindInterface(index) is not null))
        {
            return NetError.Exists;
        }

        if (_interfaces.Count >= MaxInterfaces)
        {
            return NetError.NoBufferSpace;
        }

        if (index == 0)
        {
            index = device.Kind == LinkKind.Loopback ? 1 : NextIndex();
        }

        added = new NetworkInterface(this, index, name, device);
        device.Interface = added;
        _interfaces.Add(added);
        if (device.Kind == LinkKind.Loopback)
        {
            Loopback = added;
        }

        foreach (IPacketTap tap in _taps)
        {
            added.AddTap(tap);
        }

        Observer?.InterfaceChanged(added, removed: false);
        return NetError.None;
    }

    /// <summary>Packet sockets that share frames.</summary>
    public List<Transport.PacketFanout> Fanouts { get; } = [];

    /// <summary>Watches one interface, or with 0 all, also those that come.</summary>
    public void AddTap(IPacketTap tap, int index)
    {
        foreach (NetworkInterface one in _interfaces)
        {
            if (index == 0 || one.Index == index)
            {
                one.AddTap(tap);
            }
        }

        if (index == 0)
        {
            _taps.Add(tap);
        }
    }

    public void RemoveTap(IPacketTap tap)
    {
        _taps.Remove(tap);
        foreach (NetworkInterface one in _interfaces)
        {
            one.RemoveTap(tap);
        }
    }

    private int NextIndex()
    {
        while (true)
        {
            int index = _nextIndex;
            _nextIndex = index == int.MaxValue ? 2 : index + 1;
            if (FindInterface(index) is null)
            {
                return index;
            }
        }
    }

    /// <summary>Takes an interface away, with its device unless that is to be given to another stack.</summary>
    public void RemoveInterface(NetworkInterface networkInterface, bool keepsDevice = false)
    {
        networkInterface.Master?.RemovePort(networkInterface);
        SetUp(networkInterface, up: false);
        while (networkInterface.Addresses.Count > 0)
        {
            RemoveAddress(networkInterface.Addresses[0]);
        }

        Routes4.RemoveOf(networkInterface);
        Routes6.RemoveOf(networkInterface);
        networkInterface.Neighbors.Clear(permanentToo: true);
        networkInterface.Groups.Clear();
        _interfaces.Remove(networkInterface);
        Parameters.Remove(networkInterface.Parameters);
        if (!keepsDevice)
        {
            networkInterface.Device.Close();
        }

        Observer?.InterfaceChanged(networkInterface, removed: true);
    }

    public NetworkInterface? FindInterface(int index)
    {
        foreach (NetworkInterface one in _interfaces)
        {
            if (one.Index == index)
            {
                return one;
            }
        }

        return null;
    }

    public NetworkInterface? FindInterface(string name)
    {
        foreach (NetworkInterface one in _interfaces)
        {
            if (one.Name == name)
            {
                return one;
            }
        }

        return null;
    }

    /// <summary>IFF_UP. Going up makes the routes of the addresses and the IPv6 link-local address; going down ends routes and neighbours.</summary>
    public void SetUp(NetworkInterface networkInterface, bool up)
    {
        if (networkInterface.IsUp == up)
        {
            return;
        }

        networkInterface.Flags = up ? networkInterface.Flags | InterfaceFlags.Up : networkInterface.Flags & ~InterfaceFlags.Up;
        if (up)
        {
            foreach (InterfaceAddress address in networkInterface.Addresses)
            {
                AddRoutes(address);
            }

            networkInterface.HasBeenUp = true;
            networkInterface.StartIpv6();
            networkInterface.Groups.Start();
        }
        else
        {
            networkInterface.StopIpv6();
            networkInterface.Neighbors.Clear(permanentToo: false);
            Routes4.RemoveOf(networkInterface, keepLocal: true);
            Routes6.RemoveOf(networkInterface, keepLocal: false);
        }

        networkInterface.Device.OnSetUp();
        networkInterface.Master?.PortChanged(networkInterface);
        RoutesChanged();
        Observer?.InterfaceChanged(networkInterface, removed: false);
    }

    public NetError SetMtu(NetworkInterface networkInterface, int mtu)
    {
        if (mtu < 68 || mtu > networkInterface.Device.MaxMtu)
        {
            return NetError.InvalidArgument;
        }

        networkInterface.Mtu = mtu;
        networkInterface.Master?.PortChanged(networkInterface);
        RoutesChanged();
        Observer?.InterfaceChanged(networkInterface, removed: false);
        return NetError.None;
    }

    public NetError Rename(NetworkInterface networkInterface, string name)
    {
        if (FindInterface(name) is not null)
        {
            return NetError.Exists;
        }

        networkInterface.Name = name;
        Observer?.InterfaceChanged(networkInterface, removed: false);
        return NetError.None;
    }

    public NetError SetMac(NetworkInterface networkInterface, MacAddress mac)
    {
        if (networkInterface.Device.Kind != LinkKind.Ethernet)
        {
            return NetError.NotSupported;
        }

        if (!mac.IsUnicast)
        {
            return NetError.AddressNotAvailable;
        }

        networkInterface.Mac = mac;
        networkInterface.Master?.PortChanged(networkInterface);
        Observer?.InterfaceChanged(networkInterface, removed: false);
        return NetError.None;
    }

    /// <summary>Adds an address with the routes to itself and its prefix. IPv6 addresses go through duplicate detection unless told otherwise.</summary>
    public NetError AddAddress(InterfaceAddress address, bool noDad = false)
    {
        NetworkInterface owner = address.Interface;
        if (address.Address.IsMulticast || address.Address.IsLimitedBroadcast || (uint)address.PrefixLength > (uint)address.Address.Bits)
        {
            return NetError.InvalidArgument;
        }

        if (address.Address.IsV6 && !owner.HasIpv6)
        {
            return NetError.AccessDenied;
        }

        if (owner.Addresses.Count >= MaxAddresses)
        {
            return NetError.NoBufferSpace;
        }

        foreach (InterfaceAddress other in owner.Addresses)
        {
            if (other.Address == address.Address && (address.Address.IsV6 || other.PrefixLength == address.PrefixLength))
            {
                return NetError.Exists;
            }

            if (address.Address.IsV4 && other.Address.IsV4 && !other.IsSecondary && other.PrefixLength == address.PrefixLength && other.Contains(address.Address))
            {
                address.IsSecondary = true;
            }
        }

        owner.Insert(address);
        if (owner.IsUp)
        {
            AddRoutes(address);
        }
        else if (address.Address.IsV4)
        {
            AddLocalRoute(address);
        }

        RoutesChanged();
        if (address.Address.IsV6)
        {
            owner.StartAddress(address, noDad);
        }

        Observer?.AddressChanged(address, removed: false);
        return NetError.None;
    }

    public void RemoveAddress(InterfaceAddress address)
    {
        NetworkInterface owner = address.Interface;
        if (!owner.MutableAddresses.Remove(address))
        {
            return;
        }

        RoutingTables routes = Routes(address.Address.IsV4);
        List<RouteEntry> all = [];
        routes.CopyTo(all, 0);
        IpAddress prefix = Prefix.Mask(address.Peer, address.PrefixLength);
        bool prefixShared = false;
        foreach (InterfaceAddress other in owner.Addresses)
        {
            prefixShared |= other.Address.IsV4 == address.Address.IsV4 && other.PrefixLength == address.PrefixLength && Prefix.Mask(other.Peer, other.PrefixLength) == prefix;
        }

        foreach (RouteEntry route in all)
        {
            bool ours = route.Interface == owner && route.Protocol == KernelProtocol;
            if ((ours && route.Kind == RouteKind.Local && route.Destination == address.Address && route.PrefixLength == address.Address.Bits)
                || (ours && route.Kind == RouteKind.Broadcast && !prefixShared && Prefix.Matches(prefix, route.Destination, address.PrefixLength))
                || (ours && route.Kind == RouteKind.Unicast && !prefixShared && route.Destination == prefix && route.PrefixLength == address.PrefixLength)
                || (!route.PreferredSource.IsUnspecified && route.PreferredSource == address.Address && route.Kind == RouteKind.Unicast && !(ours && prefixShared)))
            {
                routes.Remove(route);
            }
        }

        foreach (InterfaceAddress other in owner.Addresses)
        {
            if (prefixShared && other.IsSecondary && !address.IsSecondary && Prefix.Mask(other.Peer, other.PrefixLength) == prefix)
            {
                // The next one of the network takes over, as with promote_secondaries.
                other.IsSecondary = false;
                if (owner.IsUp)
                {
                    AddRoutes(other);
                }

                break;
            }
        }

        if (address.Address.IsV6)
        {
            owner.StopAddress(address);
        }

        RoutesChanged();
        Observer?.AddressChanged(address, removed: true);
    }

    /// <summary>The address of this host, or null; tentative ones do not count.</summary>
    public InterfaceAddress? FindAddress(in IpAddress address, int index = 0)
    {
        foreach (NetworkInterface one in _interfaces)
        {
            if (index != 0 && one.Index != index)
            {
                continue;
            }

            foreach (InterfaceAddress candidate in one.Addresses)
            {
                if (candidate.Address == address && candidate.IsUsable)
                {
                    return candidate;
                }
            }
        }

        return null;
    }

    /// <summary>Whether bind(2) may take the address: one of ours, all of 127/8, a group, a broadcast address or none.</summary>
    public bool IsBindable(in IpAddress address, int index)
    {
        if (address.IsUnspecified || address.IsMulticast || address.IsLimitedBroadcast || Parameters.NonLocalBind)
        {
            return true;
        }

        return address.IsV4
            ? Routes4.FindLocal(address) is { Kind: RouteKind.Local or RouteKind.Broadcast }
            : FindAddress(address, address.NeedsScope ? index : 0) is not null;
    }

    private void AddLocalRoute(InterfaceAddress address)
    {
        bool wholeLoopback = address.Address.IsV4 && address.Address.IsLoopback;
        Routes(address.Address.IsV4).Add(
        new RouteEntry
        {
            Kind = RouteKind.Local,
            Table = RoutingTables.Local,
            Protocol = KernelProtocol,
            Scope = ScopeHost,
            Destination = address.Address,
            PrefixLength = address.Address.Bits,
            PreferredSource = address.Address.IsV4 ? address.Address : default,
            Interface = address.Interface,
        },
        append: true);
        if (wholeLoopback)
        {
            Routes4.Add(
            new RouteEntry
            {
                Kind = RouteKind.Local,
                Table = RoutingTables.Local,
                Protocol = KernelProtocol,
                Scope = ScopeHost,
                Destination = Prefix.Mask(address.Address, address.PrefixLength),
                PrefixLength = address.PrefixLength,
                PreferredSource = address.Address,
                Interface = address.Interface,
            },
            append: true);
        }
    }

    private void AddRoutes(InterfaceAddress address)
    {
        AddLocalRoute(address);
        bool v4 = address.Address.IsV4;
        if (v4 && !address.Broadcast.IsUnspecified && address.Broadcast.IsV4 && !address.IsSecondary)
        {
            AddBroadcast(address, address.Broadcast);
        }

        // That of the network, whatever the address itself says.
        if (v4 && address.PrefixLength < 31 && !address.IsSecondary)
        {
            AddBroadcast(address, Prefix.BroadcastOf(address.Address, address.PrefixLength));
        }

        if (address.HasNoPrefixRoute || address.IsSecondary || address.Address.IsLoopback || (address.PrefixLength == address.Address.Bits && address.Peer == address.Address && v4))
        {
            return;
        }

        Routes(v4).Add(
        new RouteEntry
        {
            Protocol = KernelProtocol,
            Scope = v4 ? ScopeLink : ScopeUniverse,
            Destination = Prefix.Mask(address.Peer, address.PrefixLength),
            PrefixLength = address.PrefixLength,
            PreferredSource = v4 ? address.Address : default,
            Interface = address.Interface,
            Metric = v4 ? 0u : 256u,
            Gateway = v4 ? IpAddress.AnyV4 : IpAddress.AnyV6,
        },
        append: true);
    }

    private void AddBroadcast(InterfaceAddress address, in IpAddress broadcast)
    {
        Routes4.Add(
        new RouteEntry
        {
            Kind = RouteKind.Broadcast,
            Table = RoutingTables.Local,
            Protocol = KernelProtocol,
            Scope = ScopeLink,
            Destination = broadcast,
            PrefixLength = 32,
            PreferredSource = address.Address,
            Interface = address.Interface,
        },
        append: true);
    }
}
