using System;
using System.Collections.Generic;
using System.Linq;
using Runsc.NetStack;
using Runsc.NetStack.Core;
using Runsc.NetStack.Network;
using Runsc.NetStack.Transport;
using Runsc.NetStack.Wire;
using Runsc.Tests.Unit.NetStack.Support;
using Xunit;

namespace Runsc.Tests.Unit.NetStack;

/// <summary>IP, ICMP, neighbours, routes, configuration.</summary>
public sealed class IpTests : IDisposable
{
    private readonly StackPair _pair = new(3);

    public void Dispose()
    {
        _pair.Dispose();
        Assert.Equal(0, _pair.Pool.OutstandingPackets);
    }

    [Theory]
    [InlineData(true, 8)]
    [InlineData(true, 4000)]
    [InlineData(false, 8)]
    [InlineData(false, 4000)]
    public void Ping_IsAnswered(bool v4, int size)
    {
        foreach (IpAddress target in v4 ? new[] { StackPair.AddressB, StackPair.AddressA, IpAddress.LoopbackV4 } : new[] { StackPair.AddressB6, StackPair.AddressA6, IpAddress.LoopbackV6 })
        {
            PingEndpoint ping = new(_pair.A, v4);
            byte[] echo = new byte[size];
            new Random(size).NextBytes(echo);
            echo[0] = v4 ? IcmpType.EchoRequest : Icmpv6Type.EchoRequest;
            echo[1] = 0;
            Assert.Equal(NetError.None, ping.Send(_pair.Packet(echo), To(target)));
            byte[] reply = StackPair.Take(ping, out ReceivedDatagram got);
            Assert.Equal(v4 ? IcmpType.EchoReply : Icmpv6Type.EchoReply, reply[0]);
            Assert.Equal(echo.Skip(6), reply.Skip(6));
            Assert.Equal(target, got.Source.Address);
            ping.Close();
        }
    }

    [Fact]
    public void Ping_OfAnotherForm_IsRefused()
    {
        PingEndpoint ping = new(_pair.A, isV4: true);
        Assert.Equal(NetError.InvalidArgument, ping.Send(_pair.Packet(new byte[8]), To(StackPair.AddressB)));
        Assert.Equal(NetError.InvalidArgument, ping.Send(_pair.Packet([8, 0]), To(StackPair.AddressB)));
        ping.Close();
    }

    [Fact]
    public void Raw_SeesTheHeader_AndFiltersTypes()
    {
        RawEndpoint raw = new(_pair.B, isV4: true, IpProtocol.Icmp);
        PingEndpoint ping = new(_pair.A, isV4: true);
        byte[] echo = [8, 0, 0, 0, 0, 0, 0, 1, 42];
        ping.Send(_pair.Packet(echo), To(StackPair.AddressB));
        byte[] seen = StackPair.Take(raw, out _);
        Assert.Equal(0x45, seen[0]);
        Assert.Equal(29, seen.Length);
        Assert.Equal(42, seen[28]);
        raw.IcmpFilter = 1u << 8;
        ping.Send(_pair.Packet(echo), To(StackPair.AddressB));
        Assert.Equal(NetError.WouldBlock, raw.Receive(false, out _));
        raw.Close();
        ping.Close();
    }

    [Fact]
    public void UnknownProtocol_IsReported_AndHeaderIncluded_IsSent()
    {
        RawEndpoint sender = new(_pair.A, isV4: true, 200);
        sender.Options.ReceiveErrors = true;
        Assert.Equal(NetError.None, sender.Send(_pair.Packet(new byte[10]), To(StackPair.AddressB)));
        Assert.True(sender.TryTakeQueuedError(out QueuedError error));
        Assert.Equal(IcmpErrorKind.ProtocolUnreachable, error.Error.Kind);
        error.Payload?.Release();
        sender.Close();
        RawEndpoint receiver = new(_pair.B, isV4: true, 201);
        RawEndpoint own = new(_pair.A, isV4: true, IpProtocol.Raw);
        byte[] packet = new byte[24];
        Ipv4Header.Write(packet.AsSpan(0, 20), new Ipv4Header.Fields { TotalLength = 24, Ttl = 9, Protocol = 201, Source = IpAddress.AnyV4, Destination = StackPair.AddressB });
        Assert.Equal(NetError.None, own.Send(_pair.Packet(packet), To(StackPair.AddressB)));
        StackPair.Take(receiver, out ReceivedDatagram got);
        Assert.Equal(9, got.HopLimit);
        Assert.Equal(StackPair.AddressA, got.Source.Address);
        receiver.Close();
        own.Close();
    }

    [Fact]
    public void Routes_AreListedAsLinuxWalksThem()
    {
        Assert.Equal(["10.0.0.0/24"], List(v4: true));
        Assert.Equal(["fd00:0:0:0:0:0:0:0/64", "fe80:0:0:0:0:0:0:0/64"], List(v4: false));
        NetworkInterface eth = _pair.A.Interfaces[1];
        foreach ((IpAddress to, int length) in new[]
        {
            (IpAddress.AnyV4, 0), (IpAddress.FromV4(10, 0, 0, 0), 8), (IpAddress.FromV4(192, 168, 0, 0), 16), (IpAddress.FromV4(10, 0, 0, 9), 32),
            (IpAddress.AnyV6, 0), (new IpAddress(0xfd00_0000_0000_0000, 0), 8), (new IpAddress(0x2001_0000_0000_0000, 0), 16),
        })
        {
            Assert.Equal(NetError.None, _pair.A.Routes(to.IsV4).Add(new RouteEntry { Destination = to, PrefixLength = length, Interface = eth }));
        }

        // IPv4 by address; IPv6 as a tree, children first.
        Assert.Equal(["0.0.0.0/0", "10.0.0.0/24", "10.0.0.0/8", "10.0.0.9/32", "192.168.0.0/16"], List(v4: true));
        Assert.Equal(
            ["2001:0:0:0:0:0:0:0/16", "fd00:0:0:0:0:0:0:0/64", "fd00:0:0:0:0:0:0:0/8", "fe80:0:0:0:0:0:0:0/64", "0:0:0:0:0:0:0:0/0"],
            List(v4: false));

        string[] List(bool v4)
        {
            List<RouteEntry> routes = [];
            _pair.A.Routes(v4).CopyTo(routes, RoutingTables.Main);
            return [.. routes.Select(route => $"{Text(route.Destination)}/{route.PrefixLength}")];
        }

        static string Text(IpAddress address) => address.IsV4 ? address.ToString()
            : string.Join(':', Enumerable.Range(0, 8).Select(i => (((i < 4 ? address.High : address.Low) >> (48 - (16 * (i & 3)))) & 0xffff).ToString("x", null)));
    }

    [Fact]
    public void Addresses_OfIpv6_AreInOrderOfScope_TheNewestFirst()
    {
        NetworkInterface eth = _pair.A.Interfaces[1];
        IpAddress second = new(0xfd00_0000_0000_0000, 9), link = new(0xfe80_0000_0000_0000, 9);
        Assert.Equal(NetError.None, _pair.A.AddAddress(new InterfaceAddress(eth, link, 64) { Scope = NetworkStack.ScopeLink }, noDad: true));
        Assert.Equal(NetError.None, _pair.A.AddAddress(new InterfaceAddress(eth, second, 64), noDad: true));
        IpAddress[] listed = [.. eth.Addresses.Select(address => address.Address).Where(address => address.IsV6)];
        Assert.Equal([second, StackPair.AddressA6, link], listed[..3]);
        Assert.All(listed[2..], address => Assert.True(address.IsLinkLocal));
    }

    [Fact]
    public void OwnLinkLocal_IsReachedOnItsLink()
    {
        NetworkInterface eth = _pair.A.Interfaces[1];
        IpAddress own = eth.LinkLocal;
        UdpEndpoint server = new(_pair.A, isV4: false), client = new(_pair.A, isV4: false);
        Assert.Equal(NetError.None, server.Bind(new IpEndpoint(own, 700, eth.Index)));
        client.Send(_pair.Packet("x"u8), new DatagramSend { HasDestination = true, Destination = new IpEndpoint(own, 700, eth.Index), TrafficClass = -1 });
        StackPair.Take(server, out ReceivedDatagram got);
        Assert.Equal(eth.Index, got.Interface);
        Assert.Equal(eth.Index, got.Source.Scope);
        server.Close();
        client.Close();
    }

    [Fact]
    public void Errors_KeepToTheirRate()
    {
        UdpEndpoint client = new(_pair.A, isV4: true);
        for (int i = 0; i < 500; i++)
        {
            client.Send(_pair.Packet("x"u8), new DatagramSend { HasDestination = true, Destination = new IpEndpoint(StackPair.AddressB, 9), TrafficClass = -1 });
        }

        Assert.Equal(50ul, _pair.B.Counters.Icmpv4.OutTypes[IcmpType.DestinationUnreachable]);
        Assert.Equal(450ul, _pair.B.Counters.Icmpv4.OutRateLimited);
        client.Close();
    }

    [Fact]
    public void Neighbor_GoesThroughItsStates()
    {
        PingEndpoint ping = new(_pair.A, isV4: true);
        byte[] echo = [8, 0, 0, 0, 0, 0, 0, 1];
        ping.Send(_pair.Packet(echo), To(StackPair.AddressB));
        Assert.Equal(NeighborState.Reachable, State());
        _pair.Run(31_000);
        Assert.Equal(NeighborState.Stale, State());
        ping.Send(_pair.Packet(echo), To(StackPair.AddressB));
        Assert.Equal(NeighborState.Delay, State());
        _pair.Run(5_100);
        Assert.Equal(NeighborState.Reachable, State());
        _pair.Run(31_000);
        _pair.DeviceA.Loss = 100;
        ping.Send(_pair.Packet(echo), To(StackPair.AddressB));
        _pair.Run(5_100);
        Assert.Equal(NeighborState.Probe, State());
        _pair.Run(3_100);
        Assert.Equal(NeighborState.Failed, State());
        ping.Close();
        _pair.Dispose();

        NeighborState State()
        {
            using (_pair.A.Enter())
            {
                return _pair.A.FindInterface(2)!.Neighbors.Find(StackPair.AddressB)!.State;
            }
        }
    }

    [Fact]
    public void Routes_LongestPrefixAndMetric()
    {
        using (_pair.A.Enter())
        {
            NetworkStack stack = _pair.A;
            NetworkInterface eth = stack.FindInterface(2)!;
            NetError Add(string prefix, int length, string gateway, uint metric, RouteKind kind = RouteKind.Unicast) => stack.Routes4.Add(
                new RouteEntry { Destination = Ip(prefix), PrefixLength = length, Gateway = Ip(gateway), Metric = metric, Kind = kind, Interface = kind == RouteKind.Unicast ? eth : null });
            Assert.Equal(NetError.None, Add("0.0.0.0", 0, "10.0.0.2", 0));
            Assert.Equal(NetError.None, Add("192.168.0.0", 16, "10.0.0.3", 10));
            Assert.Equal(NetError.None, Add("192.168.0.0", 16, "10.0.0.4", 5));
            Assert.Equal(NetError.Exists, Add("192.168.0.0", 16, "10.0.0.5", 5));
            Assert.Equal(NetError.None, Add("192.168.1.0", 24, "0.0.0.0", 0, RouteKind.Unreachable));
            Assert.Equal(NetError.None, Add("192.168.2.0", 24, "0.0.0.0", 0, RouteKind.Blackhole));
            Assert.Equal(NetError.None, Add("192.168.3.0", 24, "0.0.0.0", 0, RouteKind.Prohibit));
            Assert.Equal((NetError.None, "10.0.0.2"), Find("8.8.8.8"));
            Assert.Equal((NetError.None, "10.0.0.4"), Find("192.168.9.9"));
            Assert.Equal((NetError.None, "10.0.0.9"), Find("10.0.0.9"));
            Assert.Equal(NetError.HostUnreachable, Find("192.168.1.1").Error);
            Assert.Equal(NetError.InvalidArgument, Find("192.168.2.1").Error);
            Assert.Equal(NetError.AccessDenied, Find("192.168.3.1").Error);
            Assert.Equal(NetError.None, stack.Routes4.RemoveMatching(new RouteEntry { Destination = Ip("0.0.0.0"), Gateway = Ip("0.0.0.0"), PreferredSource = Ip("0.0.0.0") }));
            Assert.Equal(NetError.NetworkUnreachable, Find("8.8.8.8").Error);

            (NetError Error, string Hop) Find(string to)
            {
                Route route = new();
                NetError error = stack.Ip.FindRoute(new RouteQuery { Destination = Ip(to), Source = IpAddress.AnyV4 }, route);
                return (error, error == NetError.None ? route.NextHop.ToString() : "");
            }
        }
    }

    [Fact]
    public void Interface_Down_TakesItsRoutes_AndUpBringsThoseOfAddresses()
    {
        using (_pair.A.Enter())
        {
            NetworkInterface eth = _pair.A.FindInterface(2)!;
            int before = Count();
            _pair.A.SetUp(eth, up: false);
            Route route = new();
            Assert.Equal(NetError.NetworkUnreachable, _pair.A.Ip.FindRoute(new RouteQuery { Destination = StackPair.AddressB, Source = IpAddress.AnyV4 }, route));
            _pair.A.SetUp(eth, up: true);
            Assert.Equal(NetError.None, _pair.A.Ip.FindRoute(new RouteQuery { Destination = StackPair.AddressB, Source = IpAddress.AnyV4 }, route));
            Assert.Equal(before, Count());

            int Count()
            {
                List<RouteEntry> all = [];
                _pair.A.Routes4.CopyTo(all, 0);
                return all.Count;
            }
        }
    }

    [Fact]
    public void DuplicateAddress_IsFound_AndNotUsed()
    {
        using (_pair.A.Enter())
        {
            _pair.A.Parameters.DadTransmits = 1;
            Assert.Equal(NetError.None, _pair.A.AddAddress(new InterfaceAddress(_pair.A.FindInterface(2)!, StackPair.AddressB6, 64)));
            Assert.Equal(NetError.None, _pair.A.AddAddress(new InterfaceAddress(_pair.A.FindInterface(2)!, new IpAddress(0xfd00_0000_0000_0000, 77), 64)));
        }

        _pair.Run(1_500);
        using (_pair.A.Enter())
        {
            Assert.True(_pair.A.FindInterface(2)!.FindOwn(StackPair.AddressB6)!.IsDuplicate);
            Assert.Null(_pair.A.FindAddress(StackPair.AddressB6));
            Assert.NotNull(_pair.A.FindAddress(new IpAddress(0xfd00_0000_0000_0000, 77)));
        }
    }

    [Fact]
    public void RouterAdvertisement_MakesAddressAndDefaultRoute_UntilTheyEnd()
    {
        using (_pair.A.Enter())
        {
            _pair.A.Parameters.AcceptRouterAdvertisements = true;
            NetworkInterface eth = _pair.A.FindInterface(2)!;
            byte[] prefix = new byte[32];
            prefix[0] = NdpOptions.Prefix;
            prefix[1] = 4;
            prefix[2] = 64;
            prefix[3] = 0xc0;
            prefix[6] = 0x1c;
            prefix[7] = 0x20;
            prefix[10] = 0x0e;
            prefix[11] = 0x10;
            new IpAddress(0x2001_0db8_0000_0000, 0).WriteV6(prefix.AsSpan(16));
            eth.Slaac.Advertised(new NdpRouterAdvertisement { Lifetime = 1800, HopLimit = 50 }, prefix, new IpAddress(0xfe80_0000_0000_0000, 99));
        }

        _pair.Run(2_000);
        IpAddress own = new(0x2001_0db8_0000_0000, new MacAddress(0x020000000001).ToEui64());
        Assert.True(Has(own) && HasRoute());
        _pair.Run(1_900_000);
        Assert.True(Has(own) && !HasRoute());
        _pair.Run(6_000_000);
        Assert.False(Has(own));

        bool Has(IpAddress address)
        {
            using (_pair.A.Enter())
            {
                return _pair.A.FindAddress(address) is not null;
            }
        }

        bool HasRoute()
        {
            using (_pair.A.Enter())
            {
                return _pair.A.Ip.FindRoute(new RouteQuery { Destination = new IpAddress(0x2a00_0000_0000_0000, 1) }, new Route()) == NetError.None;
            }
        }
    }

    [Fact]
    public void PacketSocket_SeesBothDirections_AndSends()
    {
        PacketEndpoint seen = new(_pair.B, isRaw: true);
        Assert.Equal(NetError.None, seen.Bind(PacketEndpoint.AllProtocols, 2));
        PingEndpoint ping = new(_pair.A, isV4: true);
        ping.Send(_pair.Packet([8, 0, 0, 0, 0, 0, 0, 1]), To(StackPair.AddressB));
        List<(int Type, int Protocol)> frames = [];
        while (seen.Receive(false, out ReceivedFrame frame) == NetError.None)
        {
            frames.Add(((int)frame.Type, frame.Protocol));
            frame.Packet.Release();
        }

        Assert.Equal([(1, 0x806), (4, 0x806), (0, 0x800), (4, 0x800)], frames);
        PacketEndpoint sender = new(_pair.A, isRaw: false);
        Assert.Equal(NetError.None, sender.Send(_pair.Packet("hello"u8), 2, 0x88b5, new MacAddress(0x020000000002)));
        Assert.Equal(NetError.None, seen.Receive(false, out ReceivedFrame got));
        Assert.Equal(0x88b5, got.Protocol);
        Assert.Equal(new MacAddress(0x020000000001), got.Source);
        got.Packet.Release();
        sender.Close();
        seen.Close();
        ping.Close();
    }

    [Fact]
    public void Fragments_ThatOverlap_AreGivenUp()
    {
        NetworkStack stack = _pair.B;
        Reassembler fragments = new(stack, v4: true);
        using (stack.Enter())
        {
            FragmentKey key = new(StackPair.AddressA, StackPair.AddressB, 1, 17, 0);
            Assert.Null(fragments.Add(Fragment(24), key, 0, more: true, 20, out _));
            Assert.Equal(1, fragments.Count);
            Assert.Null(fragments.Add(Fragment(24), key, 16, more: true, 20, out _));
            Assert.Equal(0, fragments.Count);
            Assert.Null(fragments.Add(Fragment(8), key, 8, more: false, 20, out _));
            Assert.NotNull(fragments.Add(Fragment(8), key, 0, more: true, 20, out int largest) is { } whole ? Released(whole, 36) : null);
            Assert.Equal(28, largest);
            for (uint i = 0; i < 5000; i++)
            {
                Assert.Null(fragments.Add(Fragment(1024), new FragmentKey(StackPair.AddressA, StackPair.AddressB, i, 17, 0), 0, more: true, 20, out _));
            }

            Assert.InRange(fragments.Count, 500, 4096);
            Assert.True(_pair.Pool.Outstanding < 6 << 20);
        }

        _pair.Run(31_000);
        Assert.Equal(0, fragments.Count);

        Runsc.NetStack.Buffers.PacketBuffer Fragment(int size)
        {
            Runsc.NetStack.Buffers.PacketBuffer packet = _pair.Packet(new byte[20 + size]);
            Ipv4Header.Write(packet.Linear[..20], new Ipv4Header.Fields { TotalLength = 20 + size, Protocol = 17, Ttl = 1, Source = StackPair.AddressA, Destination = StackPair.AddressB });
            packet.NetworkStart = packet.Position;
            return packet;
        }

        static object Released(Runsc.NetStack.Buffers.PacketBuffer packet, int length)
        {
            Assert.Equal(length, packet.Length);
            packet.Release();
            return packet;
        }
    }

    private static IpAddress Ip(string text) => IpAddress.ReadV4(System.Net.IPAddress.Parse(text).GetAddressBytes());

    private static DatagramSend To(IpAddress address) => new() { HasDestination = true, Destination = new IpEndpoint(address, 0), TrafficClass = -1 };
}
