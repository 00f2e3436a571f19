using System;
using System.Collections.Generic;
using Runsc.NetStack;
using Runsc.NetStack.Buffers;
using Runsc.NetStack.Core;
using Runsc.NetStack.Network;
using Runsc.NetStack.Transport.Tcp;
using Runsc.NetStack.Wire;
using Xunit;

namespace Runsc.Tests.Unit.NetStack.Tcp;

/// <summary>A clock that is turned by hand.</summary>
internal sealed class HandClock : INetClock
{
    public long Monotonic { get; set; } = 1_000_000_000_000;

    public long RealTime => Monotonic + 1_700_000_000_000_000_000;
}

internal sealed class SeededRandom(int seed) : INetRandom
{
    private readonly Random _random = new(seed);

    public ulong Next() => unchecked((ulong)_random.NextInt64(long.MinValue, long.MaxValue));

    public void Fill(Span<byte> bytes) => _random.NextBytes(bytes);
}

/// <summary>One segment as it would be on the wire, with the IP header as data beside it.</summary>
internal sealed record WireSegment(IpAddress Source, IpAddress Destination, byte TrafficClass, byte[] Bytes)
{
    public TcpHeader Header
    {
        get
        {
            Assert.True(TcpHeader.TryParse(Bytes, out TcpHeader header));
            return header;
        }
    }

    public TcpOptions Options
    {
        get
        {
            TcpOptions.Parse(Bytes.AsSpan(TcpHeader.Size, Header.Length - TcpHeader.Size), (Header.Flags & TcpFlags.Syn) != 0, out TcpOptions options);
            return options;
        }
    }

    public int PayloadLength => Bytes.Length - Header.Length;
}

/// <summary>A stack with TCP and no IP: what TCP sends is cut as a device would, checked and handed to the test.</summary>
internal sealed class TestHost : IIpOutput
{
    private readonly Action<WireSegment> _sink;

    public TestHost(HandClock clock, int seed, IpAddress address, Action<WireSegment> sink)
    {
        Pool = new BufferPool(64 << 20);
        Stack = new NetworkStack(clock, new SeededRandom(seed), Pool) { Ip = this };
        Tcp = new TcpProtocol(Stack);
        Stack.Register(Tcp);
        Address = address;
        _sink = sink;
    }

    public BufferPool Pool { get; }

    public NetworkStack Stack { get; }

    public TcpProtocol Tcp { get; }

    public IpAddress Address { get; }

    public int Mtu { get; set; } = 1500;

    public int GsoPacket { get; set; } = 65535;

    /// <summary>The result of route look-ups from now on.</summary>
    public NetError RouteError { get; set; }

    public NetError FindRoute(in RouteQuery query, Route route)
    {
        Assert.True(Stack.IsLocked);
        if (RouteError != NetError.None)
        {
            return RouteError;
        }

        route.Kind = query.Destination == Address ? RouteKind.Local : RouteKind.Unicast;
        route.Source = query.Source.IsUnspecified ? Address : query.Source;
        route.Destination = query.Destination;
        route.Mtu = Mtu;
        route.MaxGsoPacket = Math.Max(GsoPacket, Mtu);
        route.Validate(Stack);
        return NetError.None;
    }

    public NetError Send(Route route, PacketBuffer packet, in IpSendOptions options)
    {
        Assert.True(Stack.IsLocked);
        Assert.Equal(ChecksumState.Partial, packet.Checksum);
        byte[] bytes = new byte[packet.Length];
        packet.CopyTo(0, bytes);
        int gso = packet.Gso == GsoType.None ? 0 : packet.GsoSize;
        Assert.Equal(packet.Position, packet.ChecksumStart);
        packet.Release();
        Assert.True(TcpHeader.TryParse(bytes, out TcpHeader header));
        int payload = bytes.Length - header.Length;
        Assert.True(gso > 0 || bytes.Length + TcpHeader.IpHeaderSize(Address) <= Mtu, "a packet beyond the MTU that nobody is to cut");
        for (int at = 0; at < payload || at == 0; at += gso)
        {
            int length = gso > 0 ? Math.Min(gso, payload - at) : payload;
            byte[] piece = new byte[header.Length + length];
            bytes.AsSpan(0, header.Length).CopyTo(piece);
            bytes.AsSpan(header.Length + at, length).CopyTo(piece.AsSpan(header.Length));
            TcpHeader own = header;
            own.Sequence = unchecked(header.Sequence + (uint)at);
            if (at + length < payload)
            {
                own.Flags &= ~(TcpFlags.Fin | TcpFlags.Psh);
            }

            if (at > 0)
            {
                own.Flags &= ~TcpFlags.Cwr;
            }

            own.Checksum = 0;
            own.Write(piece);
            ulong sum = Checksum.PseudoHeader(route.Source, route.Destination, TcpHeader.Protocol, piece.Length);
            own.Checksum = Checksum.Finish(Checksum.Add(sum, piece));
            own.Write(piece);
            _sink(new WireSegment(route.Source, route.Destination, options.TrafficClass, piece));
            if (gso == 0)
            {
                break;
            }
        }

        return NetError.None;
    }

    /// <summary>A segment from the wire.</summary>
    public void Deliver(WireSegment segment)
    {
        using (Stack.Enter())
        {
            PacketBuffer packet = Pool.Allocate(0, Math.Max(segment.Bytes.Length, 1));
            segment.Bytes.CopyTo(packet.Append(segment.Bytes.Length));
            IpPacketInfo info = new()
            {
                Source = segment.Source,
                Destination = segment.Destination,
                Protocol = TcpHeader.Protocol,
                TrafficClass = segment.TrafficClass,
                HopLimit = 64,
                Interface = 2,
            };
            Tcp.Deliver(packet, info);
        }
    }
}

/// <summary>Remembers the events of an endpoint.</summary>
internal sealed class EventLog : Runsc.NetStack.Transport.IEndpointEvents
{
    public Runsc.NetStack.Transport.NetEvents Seen { get; set; }

    public void OnEvents(Runsc.NetStack.Transport.NetEvents events) => Seen |= events;
}
