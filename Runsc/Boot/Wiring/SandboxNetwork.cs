using System.Collections.Generic;
using System.Globalization;
using System.Net;
using Runsc.Common;
using Runsc.Control;
using Runsc.NetStack;
using Runsc.NetStack.Core;
using Runsc.NetStack.Link;
using Runsc.NetStack.Network;
using Runsc.NetStack.Wire;

namespace Runsc.Boot.Wiring;

/// <summary>Moves the host's interfaces into the sandbox's network stack.</summary>
internal static class SandboxNetwork
{
    private const byte KernelProtocol = 2;

    /// <summary>Moves interfaces into the stack; takes the packet sockets, in the order of the links that are not loopback.</summary>
    /// <param name="stack">The first namespace's stack.</param>
    /// <param name="setup">What was read on the host.</param>
    /// <param name="sockets">Theirs by now.</param>
    /// <param name="isPicture">Nothing goes through the interfaces: the host's sockets are used.</param>
    /// <param name="recorder">Sees the interfaces from their first frame on.</param>
    /// <exception cref="RunscException">One line for the user.</exception>
    public static void Populate(NetworkStack stack, NetworkSetup setup, List<int> sockets, bool isPicture = false, PacketRecorder? recorder = null)
    {
        List<HostLinkDevice> devices = [];
        using (stack.Enter())
        {
            // The host's kernel has looked for duplicates, and for routers.
            stack.Parameters.DadTransmits = 0;
            int next = 0;
            foreach (LinkSetup link in setup.Links)
            {
                if (link.IsLoopback)
                {
                    stack.Loopback!.Ipv6Disabled |= link.Ipv6Disabled;
                    AddAddresses(stack, stack.Loopback!, link);
                    continue;
                }

                LinkDevice device;
                if (isPicture)
                {
                    device = new PictureDevice(ParseMac(link.Mac), link.Mtu);
                }
                else if (next == sockets.Count)
                {
                    throw new RunscException($"interface {link.Name} came without its socket");
                }
                else
                {
                    HostLinkDevice driver = new(sockets[next++], ParseMac(link.Mac), link.Mtu, link.GsoMaxSize, stack.Pool);
                    devices.Add(driver);
                    device = driver;
                }

                Check(stack.AddInterface(link.Name, device, out NetworkInterface? added, link.Index), link.Name);
                added!.QueueLength = link.QueueLength;
                added.Ipv6Disabled |= link.Ipv6Disabled;
                stack.SetUp(added, up: true);
                AddAddresses(stack, added, link);
            }

            foreach (LinkSetup link in setup.Links)
            {
                AddRoutes(stack, link);
            }
        }

        recorder?.Watch();
        devices.ForEach(device => device.Start());
        if (setup.HasResolver && sockets.Count > devices.Count)
        {
            ResolverRelay.Start(stack, sockets[devices.Count]);
        }
    }

    /// <summary>The counters of all interfaces but lo.</summary>
    public static List<InterfaceEntry> Counters(NetworkStack stack)
    {
        List<InterfaceEntry> entries = [];
        using (stack.Enter())
        {
            foreach (NetworkInterface one in stack.Interfaces)
            {
                InterfaceCounters counters = one.Counters;
                if (!one.IsLoopback)
                {
                    entries.Add(new InterfaceEntry
                    {
                        Name = one.Name,
                        RxBytes = counters.ReceivedBytes,
                        RxPackets = counters.ReceivedPackets,
                        RxErrors = counters.ReceiveErrors,
                        RxDropped = counters.ReceiveDropped,
                        TxBytes = counters.SentBytes,
                        TxPackets = counters.SentPackets,
                        TxErrors = counters.SendErrors,
                        TxDropped = counters.SendDropped,
                    });
                }
            }
        }

        return entries;
    }

    private static void AddAddresses(NetworkStack stack, NetworkInterface target, LinkSetup link)
    {
        foreach (AddressSetup address in link.Addresses)
        {
            IpAddress own = Parse(address.Address);
            if (own.IsV6 && target.Ipv6Disabled)
            {
                continue;
            }

            NetError error = stack.AddAddress(
                new InterfaceAddress(target, own, address.PrefixLength)
                {
                    Peer = address.Peer is null ? own : Parse(address.Peer),
                    Broadcast = address.Broadcast is null ? default : Parse(address.Broadcast),
                    Label = address.Label,
                    Scope = (byte)address.Scope,
                },
                noDad: true);
            if (error != NetError.None && error != NetError.Exists)
            {
                throw new RunscException($"interface {link.Name}: address {address.Address}/{address.PrefixLength}: {error}");
            }
        }

        foreach (NeighborSetup neighbor in link.Neighbors)
        {
            target.Neighbors.GetOrAdd(Parse(neighbor.Address))?.Set(ParseMac(neighbor.Mac), NeighborState.Permanent);
        }
    }

    private static void AddRoutes(NetworkStack stack, LinkSetup link)
    {
        NetworkInterface? output = link.IsLoopback ? stack.Loopback : stack.FindInterface(link.Index);
        foreach (RouteSetup route in link.Routes)
        {
            IpAddress destination = Parse(route.Destination);

            // Routes of the kernel came with the addresses.
            if (route.Protocol == KernelProtocol || (destination.IsV6 && output is { Ipv6Disabled: true }))
            {
                continue;
            }

            NetError error = stack.Routes(destination.IsV4).Add(
                new RouteEntry
                {
                    Kind = (RouteKind)route.Kind,
                    Protocol = (byte)route.Protocol,
                    Scope = (byte)route.Scope,
                    Destination = Prefix.Mask(destination, route.PrefixLength),
                    PrefixLength = route.PrefixLength,
                    Gateway = route.Gateway is null ? destination.AnyOfFamily : Parse(route.Gateway),
                    PreferredSource = route.Source is null ? destination.AnyOfFamily : Parse(route.Source),
                    Metric = route.Metric,
                    Mtu = route.Mtu,
                    IsOnLink = route.IsOnLink,
                    Interface = output,
                },
                append: true);
            if (error != NetError.None && error != NetError.Exists)
            {
                throw new RunscException($"interface {link.Name}: route {route.Destination}/{route.PrefixLength}: {error}");
            }
        }
    }

    private static IpAddress Parse(string text)
    {
        if (!IPAddress.TryParse(text, out IPAddress? address))
        {
            throw new RunscException($"\"{text}\" is no address");
        }

        byte[] bytes = address.GetAddressBytes();
        return bytes.Length == 4 ? IpAddress.ReadV4(bytes) : IpAddress.ReadV6(bytes);
    }

    private static MacAddress ParseMac(string text) =>
        ulong.TryParse(text.Replace(":", "", System.StringComparison.Ordinal), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out ulong value) ? new MacAddress(value) : default;

    private static void Check(NetError error, string name)
    {
        if (error != NetError.None)
        {
            throw new RunscException($"interface {name}: {error}");
        }
    }
}
