using System;
using System.Collections.Generic;
using System.Linq;
using Runsc.NetStack;
using Runsc.NetStack.Core;
using Runsc.NetStack.Filter;
using Runsc.NetStack.Filter.Expressions;
using Runsc.NetStack.Filter.Matches;
using Runsc.NetStack.Filter.Tracking;
using Runsc.NetStack.Transport;
using Runsc.NetStack.Transport.Tcp;
using Runsc.NetStack.Wire;
using Runsc.Tests.Unit.NetStack.Support;
using Xunit;

namespace Runsc.Tests.Unit.NetStack;

/// <summary>The packet filter between two stacks: verdicts, connections, translated addresses and ports. Checksums are computed, so a wrong one loses the packet.</summary>
public sealed class FilterTests : IDisposable
{
    private readonly StackPair _pair = new();

    public void Dispose()
    {
        _pair.Dispose();
        Assert.Equal(0, _pair.Pool.OutstandingPackets);
        Assert.Equal(0, _pair.Pool.Outstanding);
    }

    private static BaseChain Chain(FilterHook hook, bool isNat, params Expression[][] rules)
    {
        RuleChain chain = new() { Rules = Array.ConvertAll(rules, rule => new FilterRule(rule)) };
        return new BaseChain
        {
            Hook = hook,
            Priority = isNat ? -100 : 0,
            ForV4 = true,
            ForV6 = true,
            IsNat = isNat,
            Chain = chain,
            Policy = new FilterRule([new VerdictExpression(Verdict.Accept)]),
        };
    }

    private static PacketFilter Put(NetworkStack stack, params BaseChain[] chains)
    {
        PacketFilter filter = new(stack);
        using (stack.Enter())
        {
            filter.SetChains(filter, chains, tracks: true);
        }

        return filter;
    }

    private static PortMatch Udp(ushort port) => new() { Protocol = IpProtocol.Udp, MinDestination = port, MaxDestination = port };

    private static NatRange To(IpAddress? address, ushort port) => new()
    {
        HasAddresses = address is not null,
        MinAddress = address ?? default,
        MaxAddress = address ?? default,
        HasPorts = port != 0,
        MinPort = port,
        MaxPort = port,
    };

    private static DatagramSend SendTo(IpAddress address, ushort port) => new() { Destination = new IpEndpoint(address, port), HasDestination = true, TrafficClass = -1 };

    private static IpAddress A(bool v4) => v4 ? StackPair.AddressA : StackPair.AddressA6;

    private static IpAddress B(bool v4) => v4 ? StackPair.AddressB : StackPair.AddressB6;

    private static IpAddress Elsewhere(bool v4) => v4 ? IpAddress.FromV4(10, 0, 0, 99) : new IpAddress(0xfd00_0000_0000_0000, 0x99);

    [Theory]
    [InlineData(true, 3)]
    [InlineData(false, 3)]
    [InlineData(true, 1000)]
    [InlineData(true, 4000)]
    public void DestinationNat_OfLocalDatagrams_AnswersComeFromWhereTheyWereSent(bool v4, int size)
    {
        byte[] data = new byte[size];
        new Random(size).NextBytes(data);
        Put(_pair.A, Chain(FilterHook.Output, true, [Udp(53), new NatExpression(false, To(B(v4), 5353))]));
        UdpEndpoint server = new(_pair.B, v4), client = new(_pair.A, v4);
        Assert.Equal(NetError.None, server.Bind(new IpEndpoint(B(v4), 5353)));
        Assert.Equal(NetError.None, client.Send(_pair.Packet(data), SendTo(Elsewhere(v4), 53)));
        Assert.Equal(data, StackPair.Take(server, out ReceivedDatagram got));
        Assert.Equal(A(v4), got.Source.Address);
        Assert.Equal(NetError.None, server.Send(_pair.Packet(data), SendTo(got.Source.Address, got.Source.Port)));
        Assert.Equal(data, StackPair.Take(client, out ReceivedDatagram back));
        Assert.Equal(new IpEndpoint(Elsewhere(v4), 53), back.Source);
        server.Close();
        client.Close();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void SourceNat_ToOnePort_TheSecondSocketFindsNoneLeft(bool v4)
    {
        Put(_pair.A, Chain(FilterHook.PostRouting, true, [Udp(7), new MasqueradeExpression(To(null, 4000) with { MaxPort = 4001 })]));
        UdpEndpoint server = new(_pair.B, v4);
        Assert.Equal(NetError.None, server.Bind(new IpEndpoint(B(v4), 7)));
        List<UdpEndpoint> clients = [];
        HashSet<int> ports = [];
        for (int i = 0; i < 3; i++)
        {
            UdpEndpoint client = new(_pair.A, v4);
            clients.Add(client);
            Assert.Equal(i < 2 ? NetError.None : NetError.NotPermitted, client.Send(_pair.Packet("x"u8), SendTo(B(v4), 7)));
            if (i == 2)
            {
                break;
            }

            StackPair.Take(server, out ReceivedDatagram got);
            ports.Add(got.Source.Port);
            Assert.Equal(NetError.None, server.Send(_pair.Packet("back"u8), SendTo(got.Source.Address, got.Source.Port)));
            Assert.Equal("back"u8.ToArray(), StackPair.Take(client, out _));
        }

        Assert.Equal([4000, 4001], [.. ports.Order()]);
        clients.ForEach(client => client.Close());
        server.Close();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Errors_AboutTranslatedPackets_ReachTheirSender(bool v4)
    {
        Put(_pair.A, Chain(FilterHook.Output, true, [Udp(53), new NatExpression(false, To(B(v4), 9))]));
        UdpEndpoint client = new(_pair.A, v4);
        Assert.Equal(NetError.None, client.Connect(new IpEndpoint(Elsewhere(v4), 53)));
        Assert.Equal(NetError.None, client.Send(_pair.Packet("x"u8), new DatagramSend { TrafficClass = -1 }));
        Assert.Equal(NetError.ConnectionRefused, client.Receive(peek: false, out _));
        client.Close();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Redirect_BeforeRouting_StrangersMeetAnotherPort(bool v4)
    {
        Put(_pair.B, Chain(FilterHook.PreRouting, true, [Udp(80), new RedirectExpression(To(null, 8080))]));
        UdpEndpoint server = new(_pair.B, v4), client = new(_pair.A, v4);
        Assert.Equal(NetError.None, server.Bind(new IpEndpoint(v4 ? IpAddress.AnyV4 : IpAddress.AnyV6, 8080)));
        Assert.Equal(NetError.None, client.Send(_pair.Packet("in"u8), SendTo(B(v4), 80)));
        Assert.Equal("in"u8.ToArray(), StackPair.Take(server, out ReceivedDatagram got));
        Assert.Equal(NetError.None, server.Send(_pair.Packet("out"u8), SendTo(got.Source.Address, got.Source.Port)));
        Assert.Equal("out"u8.ToArray(), StackPair.Take(client, out ReceivedDatagram back));
        Assert.Equal(80, back.Source.Port);
        server.Close();
        client.Close();
    }

    [Fact]
    public void States_NewThenEstablished_OthersAreInvalid()
    {
        CounterExpression fresh = new(), established = new(), invalid = new();
        PacketFilter filter = Put(
            _pair.B,
            Chain(
                FilterHook.Input,
                false,
                [new ConntrackMatch { LooksAt = ConntrackMatch.State, States = (int)FlowState.New }, fresh],
                [new ConntrackMatch { LooksAt = ConntrackMatch.State, States = (int)FlowState.Established }, established],
                [new ConntrackMatch { LooksAt = ConntrackMatch.State, States = (int)FlowState.Invalid }, invalid, new VerdictExpression(Verdict.Drop)]));
        UdpEndpoint server = new(_pair.B, true), client = new(_pair.A, true);
        Assert.Equal(NetError.None, server.Bind(new IpEndpoint(B(true), 7)));
        Assert.Equal(NetError.None, client.Bind(new IpEndpoint(A(true), 9)));
        Assert.Equal(NetError.None, client.Send(_pair.Packet("1"u8), SendTo(B(true), 7)));
        StackPair.Take(server, out _);
        Assert.Equal((1ul, 0ul), (fresh.Packets, established.Packets));
        Assert.Equal(NetError.None, server.Send(_pair.Packet("2"u8), SendTo(A(true), 9)));
        StackPair.Take(client, out _);
        Assert.Equal(NetError.None, client.Send(_pair.Packet("3"u8), SendTo(B(true), 7)));
        StackPair.Take(server, out _);
        Assert.Equal((1ul, 1ul, 29ul), (fresh.Packets, established.Packets, established.Bytes));

        // An echo reply that nobody asked for.
        RawEndpoint raw = new(_pair.A, isV4: true, IpProtocol.Icmp);
        Assert.Equal(NetError.None, raw.Send(_pair.Packet([0, 0, 0xff, 0xfe, 0, 1, 0, 0]), SendTo(B(true), 0)));
        Assert.Equal(1ul, invalid.Packets);
        Assert.Equal(1, filter.Tracker.Count);
        _pair.Run(200_000);
        Assert.Equal(0, filter.Tracker.Count);
        raw.Close();
        server.Close();
        client.Close();
    }

    [Fact]
    public void Table_IsBounded_UnansweredConnectionsMakeRoom()
    {
        PacketFilter filter = Put(_pair.B, Chain(FilterHook.Input, false, [new CounterExpression()]));
        filter.Tracker.Settings[(int)TrackingSetting.Max] = 8;
        UdpEndpoint server = new(_pair.B, true);
        Assert.Equal(NetError.None, server.Bind(new IpEndpoint(B(true), 7)));
        UdpEndpoint client = new(_pair.A, true);
        for (ushort port = 1000; port < 1400; port++)
        {
            client.Close();
            client = new UdpEndpoint(_pair.A, true);
            Assert.Equal(NetError.None, client.Bind(new IpEndpoint(A(true), port)));
            client.Send(_pair.Packet("x"u8), SendTo(B(true), 7));
            Assert.InRange(filter.Tracker.Count, 1, 8);
        }

        client.Close();
        server.Close();
    }

    [Theory]
    [InlineData(true, true)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(false, false)]
    public void Reject_TellsTheSender(bool v4, bool resets)
    {
        Put(_pair.B, Chain(FilterHook.Input, false, [new PortMatch { Protocol = IpProtocol.Tcp, MinDestination = 80, MaxDestination = 80 }, new RejectExpression(3, 4, resets)]));
        _pair.A.AddTcp();
        _pair.B.AddTcp();
        TcpEndpoint listener = _pair.B.Tcp!.CreateEndpoint(isV6: !v4), client = _pair.A.Tcp!.CreateEndpoint(isV6: !v4);
        Assert.Equal(NetError.None, listener.Bind(new IpEndpoint(B(v4), 80)));
        Assert.Equal(NetError.None, listener.Listen(5));
        client.Connect(new IpEndpoint(B(v4), 80));
        _pair.Run(100);
        Assert.Equal(NetError.ConnectionRefused, client.TakeError());
        client.Close();
        listener.Close();
    }

    [Fact]
    public void Jumps_ReturnBehindThemselves_GotosDoNot()
    {
        CounterExpression behindJump = new(), behindGoto = new(), inside = new();
        RuleChain sub = new() { Rules = [new FilterRule([inside])] };
        BaseChain chain = Chain(
            FilterHook.Input,
            false,
            [new VerdictExpression(Verdict.Jump, sub)],
            [behindJump],
            [new VerdictExpression(Verdict.Goto, sub)],
            [behindGoto]);
        chain.Policy = new FilterRule([new VerdictExpression(Verdict.Drop)]);
        Put(_pair.B, chain);
        UdpEndpoint server = new(_pair.B, true), client = new(_pair.A, true);
        Assert.Equal(NetError.None, server.Bind(new IpEndpoint(B(true), 7)));
        Assert.Equal(NetError.None, client.Send(_pair.Packet("x"u8), SendTo(B(true), 7)));
        Assert.Equal(NetError.WouldBlock, server.Receive(peek: false, out _));
        Assert.Equal((2ul, 1ul, 0ul), (inside.Packets, behindJump.Packets, behindGoto.Packets));
        server.Close();
        client.Close();
    }

    [Fact]
    public void Limit_LetsABurstThroughAndThenTheRate()
    {
        CounterExpression within = new();
        Put(_pair.B, Chain(FilterHook.Input, false, [new LimitExpression(1, 1_000_000_000, 3, countsBytes: false, isInverted: false), within]));
        UdpEndpoint client = new(_pair.A, true);
        UdpEndpoint server = new(_pair.B, true);
        Assert.Equal(NetError.None, server.Bind(new IpEndpoint(B(true), 7)));
        for (int i = 0; i < 5; i++)
        {
            client.Send(_pair.Packet("x"u8), SendTo(B(true), 7));
        }

        Assert.Equal(3ul, within.Packets);
        _pair.Run(2000);
        for (int i = 0; i < 5; i++)
        {
            client.Send(_pair.Packet("x"u8), SendTo(B(true), 7));
        }

        Assert.Equal(5ul, within.Packets);
        client.Close();
        server.Close();
    }

    [Fact]
    public void Sets_IntervalsAndFields()
    {
        FilterSet intervals = new(hasIntervals: true, []);
        SetElement[] borders = [new([10]), new([20]) { IsEnd = true }, new([20]), new([30]) { IsEnd = true }];
        Array.Sort(borders, FilterSet.Compare);
        intervals.Replace(borders);
        Assert.Null(intervals.Find([9]));
        Assert.NotNull(intervals.Find([10]));
        Assert.NotNull(intervals.Find([19]));
        Assert.NotNull(intervals.Find([20]));
        Assert.Null(intervals.Find([30]));
        FilterSet fields = new(hasIntervals: true, [1, 2]);
        fields.Replace([new SetElement([5, 0, 0, 0, 0, 80, 0, 0]) { KeyEnd = [6, 0, 0, 0, 0, 90, 0, 0] }]);
        Assert.NotNull(fields.Find([6, 0, 0, 0, 0, 85, 0, 0]));
        Assert.Null(fields.Find([7, 0, 0, 0, 0, 85, 0, 0]));
        Assert.Null(fields.Find([6, 0, 0, 0, 0, 91, 0, 0]));
    }

    [Fact]
    public void NoChains_TheStackKnowsOfNoFilter()
    {
        PacketFilter filter = Put(_pair.A, Chain(FilterHook.Output, false, [new CounterExpression()]));
        Assert.Same(filter, _pair.A.Filter);
        using (_pair.A.Enter())
        {
            filter.SetChains(filter, [], tracks: false);
        }

        Assert.Null(_pair.A.Filter);
    }
}
