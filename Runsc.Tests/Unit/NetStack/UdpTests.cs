using System;
using System.Linq;
using Runsc.NetStack;
using Runsc.NetStack.Network;
using Runsc.NetStack.Transport;
using Runsc.Tests.Unit.NetStack.Support;
using Xunit;

namespace Runsc.Tests.Unit.NetStack;

/// <summary>UDP over two stacks and over loopback.</summary>
public sealed class UdpTests : IDisposable
{
    private readonly StackPair _pair = new();

    public void Dispose()
    {
        _pair.Dispose();
        Assert.Equal(0, _pair.Pool.OutstandingPackets);
        Assert.Equal(0, _pair.Pool.Outstanding);
    }

    [Theory]
    [InlineData(true, 1)]
    [InlineData(true, 1472)]
    [InlineData(true, 20000)]
    [InlineData(true, 65507)]
    [InlineData(false, 1)]
    [InlineData(false, 1452)]
    [InlineData(false, 65000)]
    public void Datagram_OfAnySize_Arrives(bool v4, int size)
    {
        byte[] data = new byte[size];
        new Random(size).NextBytes(data);
        UdpEndpoint server = new(_pair.B, isV4: false);
        Assert.Equal(NetError.None, server.Bind(new IpEndpoint(IpAddress.AnyV6, 7)));
        UdpEndpoint client = new(_pair.A, isV4: v4);
        Assert.Equal(NetError.None, client.Send(_pair.Packet(data), To(v4 ? StackPair.AddressB : StackPair.AddressB6, 7)));
        Assert.Equal(data, StackPair.Take(server, out ReceivedDatagram got));
        Assert.Equal(v4 ? StackPair.AddressA : StackPair.AddressA6, got.Source.Address);
        Assert.Equal(v4 ? StackPair.AddressB : StackPair.AddressB6, got.Destination);
        Assert.Equal(64, got.HopLimit);
        Assert.InRange(got.Source.Port, 32768, 60999);
        Assert.Equal(NetError.None, server.Send(_pair.Packet("back"u8), To(got.Source.Address, got.Source.Port)));
        Assert.Equal("back"u8.ToArray(), StackPair.Take(client, out _));
        server.Close();
        client.Close();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Loopback_BothFamilies(bool v4)
    {
        UdpEndpoint server = new(_pair.A, v4);
        IpAddress own = v4 ? IpAddress.LoopbackV4 : IpAddress.LoopbackV6;
        Assert.Equal(NetError.None, server.Bind(new IpEndpoint(own, 53)));
        UdpEndpoint client = new(_pair.A, v4);
        Assert.Equal(NetError.None, client.Connect(new IpEndpoint(own, 53)));
        byte[] data = new byte[v4 ? 65507 : 65487];
        Assert.Equal(NetError.None, client.Send(_pair.Packet(data), new DatagramSend { TrafficClass = -1 }));
        Assert.Equal(data.Length, StackPair.Take(server, out ReceivedDatagram got).Length);
        Assert.Equal(own, got.Source.Address);
        server.Close();
        client.Close();
    }

    [Fact]
    public void ClosedPort_ConnectedSender_HearsRefused()
    {
        foreach (IpAddress target in new[] { StackPair.AddressB, StackPair.AddressB6, IpAddress.LoopbackV4, StackPair.AddressA })
        {
            UdpEndpoint client = new(_pair.A, target.IsV4);
            Assert.Equal(NetError.None, client.Connect(new IpEndpoint(target, 9)));
            Assert.Equal(NetError.None, client.Send(_pair.Packet("x"u8), new DatagramSend { TrafficClass = -1 }));
            Assert.Equal(NetEvents.Error, client.Readiness & NetEvents.Error);
            Assert.Equal(NetError.ConnectionRefused, client.Receive(false, out _));
            Assert.Equal(NetError.WouldBlock, client.Receive(false, out _));
            client.Close();
        }
    }

    [Fact]
    public void ErrorQueue_TellsOfferAndPayload()
    {
        UdpEndpoint client = new(_pair.A, isV4: true);
        client.Options.ReceiveErrors = true;
        client.Send(_pair.Packet("hello"u8), To(StackPair.AddressB, 9));
        Assert.True(client.TryTakeQueuedError(out QueuedError error));
        Assert.Equal(NetError.ConnectionRefused, error.Error.Error);
        Assert.Equal(3, error.Error.Type);
        Assert.Equal(3, error.Error.Code);
        Assert.Equal(StackPair.AddressB, error.Error.Offender);
        Assert.Equal(new IpEndpoint(StackPair.AddressB, 9), error.Destination);
        byte[] payload = new byte[error.Payload!.Length];
        error.Payload.CopyTo(0, payload);
        Assert.Equal("hello"u8.ToArray(), payload);
        error.Payload.Release();
        client.Close();
    }

    [Fact]
    public void Absent_Neighbor_IsReportedAfterThreeSeconds()
    {
        UdpEndpoint client = new(_pair.A, isV4: true);
        client.Connect(new IpEndpoint(IpAddress.FromV4(10, 0, 0, 77), 9));
        Assert.Equal(NetError.None, client.Send(_pair.Packet("x"u8), new DatagramSend { TrafficClass = -1 }));
        Assert.Equal(NetError.WouldBlock, client.Receive(false, out _));
        _pair.Run(3500);
        Assert.Equal(NetError.HostUnreachable, client.Receive(false, out _));
        client.Close();
    }

    [Fact]
    public void FullQueue_DropsAndCounts()
    {
        UdpEndpoint server = new(_pair.A, isV4: true);
        server.Bind(new IpEndpoint(IpAddress.AnyV4, 5000));
        server.Options.ReceiveBuffer = 4096;
        UdpEndpoint client = new(_pair.A, isV4: true);
        for (int i = 0; i < 100; i++)
        {
            client.Send(_pair.Packet(new byte[100]), To(IpAddress.LoopbackV4, 5000));
        }

        Assert.True(server.Drops > 50);
        Assert.Equal(server.Drops, _pair.A.Counters.Udpv4.ReceiveBufferErrors);
        Assert.True(server.QueuedMemory <= 4096);
        server.Close();
        client.Close();
    }

    [Fact]
    public void Broadcast_NeedsTheOption_AndReachesBothHosts()
    {
        UdpEndpoint here = new(_pair.A, isV4: true);
        UdpEndpoint there = new(_pair.B, isV4: true);
        here.Bind(new IpEndpoint(IpAddress.AnyV4, 6000));
        there.Bind(new IpEndpoint(IpAddress.AnyV4, 6000));
        IpAddress network = IpAddress.FromV4(10, 0, 0, 255);
        UdpEndpoint client = new(_pair.A, isV4: true);
        Assert.Equal(NetError.AccessDenied, client.Send(_pair.Packet("x"u8), To(network, 6000)));
        client.Options.Broadcast = true;
        Assert.Equal(NetError.None, client.Send(_pair.Packet("x"u8), To(network, 6000)));
        StackPair.Take(here, out _);
        StackPair.Take(there, out ReceivedDatagram got);
        Assert.Equal(network, got.Destination);
        here.Close();
        there.Close();
        client.Close();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Group_ReachesMembers_AndLoopsIfWanted(bool v4)
    {
        IpAddress group = v4 ? IpAddress.FromV4(239, 1, 2, 3) : new IpAddress(0xff02_0000_0000_0000, 0x1234);
        UdpEndpoint here = new(_pair.A, v4);
        UdpEndpoint there = new(_pair.B, v4);
        IpAddress any = v4 ? IpAddress.AnyV4 : IpAddress.AnyV6;
        here.Bind(new IpEndpoint(any, 6000));
        there.Bind(new IpEndpoint(any, 6000));
        UdpEndpoint client = new(_pair.A, v4);
        client.Options.MulticastInterface = client.Options.MulticastInterfaceV6 = 2;
        client.Send(_pair.Packet("1"u8), To(group, 6000));
        Assert.Equal(NetError.WouldBlock, there.Receive(false, out _));
        Assert.Equal(NetError.None, there.Groups.JoinGroup(group, 2));
        Assert.Equal(NetError.AddressInUse, there.Groups.JoinGroup(group, 2));
        Assert.Equal(NetError.None, here.Groups.JoinGroup(group, 2));
        client.Send(_pair.Packet("2"u8), To(group, 6000));
        Assert.Equal("2"u8.ToArray(), StackPair.Take(there, out ReceivedDatagram got));
        Assert.Equal(1, got.HopLimit);
        Assert.Equal("2"u8.ToArray(), StackPair.Take(here, out _));
        client.Options.MulticastLoop = client.Options.MulticastLoopV6 = false;
        client.Send(_pair.Packet("3"u8), To(group, 6000));
        Assert.Equal(NetError.WouldBlock, here.Receive(false, out _));
        StackPair.Take(there, out _);
        Assert.Equal(NetError.None, there.Groups.LeaveGroup(group, 2));
        client.Send(_pair.Packet("4"u8), To(group, 6000));
        Assert.Equal(NetError.WouldBlock, there.Receive(false, out _));
        here.Close();
        there.Close();
        client.Close();
    }

    [Fact]
    public void Bind_Conflicts_AsLinux()
    {
        UdpEndpoint Make(bool v4, IpAddress address, ushort port, NetError expected, Action<UdpEndpoint>? set = null)
        {
            UdpEndpoint endpoint = new(_pair.A, v4);
            set?.Invoke(endpoint);
            Assert.Equal(expected, endpoint.Bind(new IpEndpoint(address, port)));
            return endpoint;
        }

        UdpEndpoint any6 = Make(false, IpAddress.AnyV6, 100, NetError.None);
        Make(true, IpAddress.AnyV4, 100, NetError.AddressInUse);
        Make(true, IpAddress.LoopbackV4, 100, NetError.AddressInUse);
        any6.Close();
        UdpEndpoint only6 = Make(false, IpAddress.AnyV6, 100, NetError.None, e => e.Options.V6Only = true);
        UdpEndpoint v4 = Make(true, IpAddress.AnyV4, 100, NetError.None);
        Make(true, IpAddress.FromV4(10, 0, 0, 9), 101, NetError.AddressNotAvailable);
        UdpEndpoint a = Make(true, StackPair.AddressA, 102, NetError.None);
        UdpEndpoint b = Make(true, IpAddress.FromV4(127, 9, 9, 9), 102, NetError.None);
        Make(true, IpAddress.AnyV4, 102, NetError.AddressInUse);
        UdpEndpoint r1 = Make(true, IpAddress.AnyV4, 103, NetError.None, e => e.Options.ReuseAddress = true);
        UdpEndpoint r2 = Make(true, IpAddress.AnyV4, 103, NetError.None, e => e.Options.ReuseAddress = true);
        Make(true, IpAddress.AnyV4, 103, NetError.AddressInUse);
        UdpEndpoint p1 = Make(true, IpAddress.AnyV4, 104, NetError.None, e => e.Options.ReusePort = true);
        Make(true, IpAddress.AnyV4, 104, NetError.AddressInUse, e => (e.Options.ReusePort, e.Options.User) = (true, 5));
        foreach (UdpEndpoint endpoint in new[] { only6, v4, a, b, r1, r2, p1 })
        {
            endpoint.Close();
        }

        Assert.Equal(0, _pair.A.Udp.Count);
    }

    [Fact]
    public void ReusePort_SpreadsFlows_AndKeepsEachWithOne()
    {
        UdpEndpoint[] servers = Enumerable.Range(0, 4).Select(_ =>
        {
            UdpEndpoint server = new(_pair.A, isV4: true);
            server.Options.ReusePort = true;
            Assert.Equal(NetError.None, server.Bind(new IpEndpoint(IpAddress.AnyV4, 700)));
            return server;
        }).ToArray();
        for (int i = 0; i < 64; i++)
        {
            UdpEndpoint client = new(_pair.A, isV4: true);
            client.Send(_pair.Packet("a"u8), To(IpAddress.LoopbackV4, 700));
            UdpEndpoint hit = servers.Single(server => server.FirstLength >= 0);
            client.Send(_pair.Packet("b"u8), To(IpAddress.LoopbackV4, 700));
            StackPair.Take(hit, out _);
            StackPair.Take(hit, out _);
            hit.Options.TrafficClass = 1;
            client.Close();
        }

        Assert.All(servers, server => Assert.Equal(1, server.Options.TrafficClass));
        Array.ForEach(servers, server => server.Close());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void LargeSegment_IsCut_WhereItMust(bool readerWantsLarge)
    {
        UdpEndpoint server = new(_pair.B, isV4: true) { AcceptsGro = readerWantsLarge };
        server.Bind(new IpEndpoint(IpAddress.AnyV4, 7));
        UdpEndpoint client = new(_pair.A, isV4: true);
        byte[] data = new byte[3500];
        new Random(1).NextBytes(data);
        DatagramSend send = To(StackPair.AddressB, 7);
        send.GsoSize = 1000;
        Assert.Equal(NetError.None, client.Send(_pair.Packet(data), send));
        for (int i = 0; i < 4; i++)
        {
            Assert.Equal(data.Skip(i * 1000).Take(1000), StackPair.Take(server, out _));
        }

        server.Close();
        client.Close();
    }

    [Fact]
    public void PathMtu_Learned_LimitsDoNotFragment()
    {
        using StackPair pair = new(2);
        UdpEndpoint client = new(pair.A, isV4: true);
        client.Options.PathMtu = PathMtuMode.Do;
        Assert.Equal(NetError.MessageTooLong, client.Send(pair.Packet(new byte[1473]), To(StackPair.AddressB, 9)));
        using (pair.A.Enter())
        {
            pair.A.PathMtus.Learn(StackPair.AddressB, 1000);
        }

        Assert.Equal(NetError.MessageTooLong, client.Send(pair.Packet(new byte[1400]), To(StackPair.AddressB, 9)));
        Assert.Equal(NetError.None, client.Send(pair.Packet(new byte[972]), To(StackPair.AddressB, 9)));
        pair.Run(11 * 60 * 1000);
        Assert.Equal(NetError.None, client.Send(pair.Packet(new byte[1400]), To(StackPair.AddressB, 9)));
        client.Close();
    }

    [Fact]
    public void LossyLink_OnlyWholeDatagramsArrive()
    {
        foreach (int seed in new[] { 11, 12, 13 })
        {
            using StackPair pair = new(seed);
            pair.DeviceB.Loss = 3;
            pair.DeviceB.Duplicate = 3;
            pair.DeviceB.Reorder = 10;
            pair.DeviceB.Corrupt = 2;
            pair.DeviceB.Delay = 1_000_000;
            UdpEndpoint server = new(pair.B, isV4: true);
            server.Options.ReceiveBuffer = 8 << 20;
            server.Bind(new IpEndpoint(IpAddress.AnyV4, 7));
            UdpEndpoint client = new(pair.A, isV4: true);
            Random random = new(seed);
            for (int i = 0; i < 200; i++)
            {
                byte[] data = new byte[random.Next(1, 9000)];
                random.NextBytes(data);
                data[0] = (byte)data.Skip(1).Aggregate(0, (sum, value) => (sum + value) & 0xff);
                client.Send(pair.Packet(data), To(StackPair.AddressB, 7));
                pair.Run(5);
            }

            pair.Run(40_000);
            int arrived = 0;
            while (server.FirstLength >= 0)
            {
                byte[] data = StackPair.Take(server, out _);
                Assert.Equal((byte)data.Skip(1).Aggregate(0, (sum, value) => (sum + value) & 0xff), data[0]);
                arrived++;
            }

            Assert.InRange(arrived, 100, 215);
            Assert.Equal(0, pair.B.Ipv4.Fragments.Count);
            server.Close();
            client.Close();
            pair.Dispose();
            Assert.Equal(0, pair.Pool.OutstandingPackets);
        }
    }

    private static DatagramSend To(IpAddress address, ushort port) =>
        new() { HasDestination = true, Destination = new IpEndpoint(address, port), TrafficClass = -1 };
}
