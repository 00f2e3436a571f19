using System;
using Runsc.NetStack;
using Runsc.NetStack.Buffers;
using Runsc.NetStack.Core;
using Runsc.NetStack.Link;
using Runsc.NetStack.Transport.Tcp;
using Xunit;

namespace Runsc.Tests.Unit.NetStack.Tcp;

/// <summary>TCP on the whole stack over its loopback interface, IPv4 and IPv6.</summary>
public sealed class TcpLoopbackTests
{
    private readonly HandClock _clock = new();
    private readonly NetworkStack _stack;
    private readonly TcpProtocol _tcp;

    public TcpLoopbackTests()
    {
        _stack = new NetworkStack(_clock, new SeededRandom(1), new BufferPool());
        _tcp = new TcpProtocol(_stack);
        using (_stack.Enter())
        {
            _stack.Register(_tcp);
            Assert.Equal(NetError.None, _stack.AddInterface("lo", new LoopbackDevice(), out NetworkInterface? lo));
            Assert.Equal(NetError.None, _stack.AddAddress(new InterfaceAddress(lo!, IpAddress.LoopbackV4, 8)));
            Assert.Equal(NetError.None, _stack.AddAddress(new InterfaceAddress(lo!, IpAddress.LoopbackV6, 128), noDad: true));
            _stack.SetUp(lo!, up: true);
        }
    }

    private (TcpEndpoint Client, TcpEndpoint Server) Connect(IpAddress address)
    {
        TcpEndpoint listener = _tcp.CreateEndpoint(isV6: true);
        Assert.Equal(NetError.None, listener.Bind(new IpEndpoint(IpAddress.AnyV6, 80)));
        Assert.Equal(NetError.None, listener.Listen(5));
        TcpEndpoint client = _tcp.CreateEndpoint(isV6: !address.IsV4);
        Assert.Equal(NetError.InProgress, client.Connect(new IpEndpoint(address, 80)));
        Assert.Equal(NetError.None, client.ConnectResult());
        Assert.Equal(NetError.None, listener.Accept(out TcpEndpoint? server));
        listener.Close();
        Assert.Equal(client.Local, server!.Remote);
        return (client, server);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public void Stream_LargeSegments_Arrive(int family)
    {
        (TcpEndpoint client, TcpEndpoint server) = Connect(family == 4 ? IpAddress.LoopbackV4 : IpAddress.LoopbackV6);
        const int Total = 8 << 20;
        byte[] buffer = new byte[100_000];
        int sent = 0;
        int received = 0;
        while (received < Total)
        {
            while (sent < Total && client.CheckSend(out int room) == NetError.None)
            {
                int size = Math.Min(Math.Min(room, 65536), Total - sent);
                Slab slab = _stack.Pool.Rent(size);
                TcpScript.Data(sent, size).CopyTo(slab.Array, 0);
                Assert.Equal(NetError.None, client.Send(slab, 0, size, TcpSendFlags.None, out int taken));
                slab.Release();
                sent += taken;
            }

            NetError error = server.Receive(buffer, false, out int count);
            if (error == NetError.WouldBlock)
            {
                // Only a timer can go on.
                _clock.Monotonic = Math.Max(_clock.Monotonic, _stack.RunTimers());
                continue;
            }

            Assert.Equal(NetError.None, error);
            Assert.True(TcpScript.Data(received, count).AsSpan().SequenceEqual(buffer.AsSpan(0, count)), $"from {received} on");
            received += count;
            _clock.Monotonic += 10_000;
        }

        Assert.True(client.GetInfo().SendMss > 60_000, $"{client.GetInfo().SendMss}");
        Assert.True(client.GetInfo().DataSegmentsOut < Total / 16_000, $"{client.GetInfo().DataSegmentsOut} segments");
        Assert.Equal(0u, client.GetInfo().TotalRetransmits);
        client.Close();
        server.Close();
        for (int i = 0; i < 20; i++)
        {
            _clock.Monotonic += 10_000_000_000;
            _stack.RunTimers();
        }

        Assert.Equal(0, _tcp.Flows.Count);
        Assert.Equal(0, _tcp.MemoryUsed);
        Assert.Equal(0, _stack.Pool.Outstanding);
    }

    [Fact]
    public void RoundTrips_AllocateNothing()
    {
        (TcpEndpoint client, TcpEndpoint server) = Connect(IpAddress.LoopbackV4);
        byte[] buffer = new byte[64];
        long before = 0;
        for (int i = 0; i < 3000; i++)
        {
            if (i == 1000)
            {
                before = GC.GetAllocatedBytesForCurrentThread();
            }

            client.Send(buffer, TcpSendFlags.None, out int sent);
            server.Receive(buffer, false, out int received);
            if (sent != 64 || received != 64)
            {
                Assert.Fail("a message did not come through");
            }

            server.Send(buffer, TcpSendFlags.None, out sent);
            client.Receive(buffer, false, out received);
            if (sent != 64 || received != 64)
            {
                Assert.Fail("an answer did not come through");
            }

            _clock.Monotonic += 1000;
            _stack.RunTimers();
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    [Fact]
    public void SelfConnect_Connects()
    {
        TcpEndpoint endpoint = _tcp.CreateEndpoint(isV6: false);
        Assert.Equal(NetError.None, endpoint.Bind(new IpEndpoint(IpAddress.LoopbackV4, 777)));
        Assert.Equal(NetError.InProgress, endpoint.Connect(new IpEndpoint(IpAddress.LoopbackV4, 777)));
        Assert.Equal(NetError.None, endpoint.ConnectResult());
        Assert.Equal(NetError.None, endpoint.Send(new byte[10], TcpSendFlags.None, out _));
        Assert.Equal(10, endpoint.ReadableBytes);
    }

    [Fact]
    public void NobodyListens_IsRefusedAtOnce()
    {
        TcpEndpoint endpoint = _tcp.CreateEndpoint(isV6: false);
        Assert.Equal(NetError.InProgress, endpoint.Connect(new IpEndpoint(IpAddress.LoopbackV4, 1)));
        Assert.Equal(NetError.ConnectionRefused, endpoint.ConnectResult());
    }

    [Fact]
    public void TenThousandConnections_ComeAndGo()
    {
        TcpEndpoint listener = _tcp.CreateEndpoint(isV6: false);
        Assert.Equal(NetError.None, listener.Bind(new IpEndpoint(IpAddress.LoopbackV4, 80)));
        Assert.Equal(NetError.None, listener.Listen(5));
        TcpEndpoint[] clients = new TcpEndpoint[10_000];
        TcpEndpoint[] servers = new TcpEndpoint[clients.Length];
        byte[] buffer = new byte[4];
        for (int i = 0; i < clients.Length; i++)
        {
            clients[i] = _tcp.CreateEndpoint(isV6: false);
            Assert.Equal(NetError.InProgress, clients[i].Connect(new IpEndpoint(IpAddress.LoopbackV4, 80)));
            Assert.Equal(NetError.None, listener.Accept(out TcpEndpoint? server));
            servers[i] = server!;
        }

        for (int i = 0; i < clients.Length; i++)
        {
            BitConverter.TryWriteBytes(buffer, i);
            Assert.Equal(NetError.None, clients[i].Send(buffer, TcpSendFlags.None, out _));
        }

        for (int i = 0; i < clients.Length; i++)
        {
            Assert.Equal(NetError.None, servers[i].Receive(buffer, false, out int count));
            Assert.Equal(4, count);
            Assert.Equal(i, BitConverter.ToInt32(buffer));
            servers[i].Close();
            clients[i].Close();
        }

        listener.Close();
        Assert.Equal(clients.Length, _tcp.TimeWaits.Count);
        _clock.Monotonic += 100_000_000_000;
        _stack.RunTimers();
        Assert.Equal(0, _tcp.Flows.Count);
        Assert.Equal(0, _stack.Pool.Outstanding);
    }
}
