using System;
using System.Collections.Generic;
using System.Buffers.Binary;
using Runsc.NetStack;
using Runsc.NetStack.Buffers;
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

/// <summary>
/// Frames that a stranger made: mutations of real traffic, thrown at a stack with endpoints of all kinds. Nothing throws, nothing leaks, memory
/// stays within its bounds. NETSTACK_FUZZ sets the number of frames, NETSTACK_SEED the seed.
/// </summary>
public sealed class FuzzTests
{
    private static readonly int s_frames = Number("NETSTACK_FUZZ", 100_000);
    private static readonly int s_seed = Number("NETSTACK_SEED", 20261125);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Frames_Mutated_NeitherCrashNorLeak(bool isFiltered)
    {
        using StackPair pair = new(s_seed);
        TcpProtocol tcp = new(pair.B);
        using (pair.B.Enter())
        {
            pair.B.Register(tcp);
        }

        List<byte[]> corpus = Corpus(pair, tcp);
        Assert.True(corpus.Count > 80, $"seed {s_seed}: {corpus.Count} frames");
        if (isFiltered)
        {
            FilterEverything(pair.B);
        }

        UdpEndpoint udp = new(pair.B, isV4: false);
        udp.Bind(new IpEndpoint(IpAddress.AnyV6, 7));
        RawEndpoint raw = new(pair.B, isV4: true, IpProtocol.Icmp);
        RawEndpoint raw6 = new(pair.B, isV4: false, IpProtocol.Icmpv6);
        PacketEndpoint packets = new(pair.B, isRaw: true);
        packets.Bind(PacketEndpoint.AllProtocols, 2);
        TcpEndpoint listener = Listen(tcp, 80);
        NetworkInterface input;
        using (pair.B.Enter())
        {
            input = pair.B.FindInterface(2)!;
        }

        Random random = new(s_seed);
        long highest = 0;
        for (int i = 0; i < s_frames; i++)
        {
            byte[] frame = Mutate(corpus, random);
            try
            {
                using (pair.B.Enter())
                {
                    input.Receive(Frame(pair.Pool, frame, random));
                }

                if (i % 64 == 0)
                {
                    pair.Clock.Monotonic += random.Next(2_000_000_000);
                    pair.B.RunTimers();
                    pair.A.RunTimers();
                    Drain(udp);
                    Drain(raw);
                    Drain(raw6);
                    while (listener.Accept(out TcpEndpoint? accepted) == NetError.None)
                    {
                        accepted!.Abort();
                    }

                    while (packets.Receive(false, out ReceivedFrame seen) == NetError.None)
                    {
                        seen.Packet.Release();
                    }
                }
            }
            catch (Exception error)
            {
                Assert.Fail($"seed {s_seed}, frame {i}: {Convert.ToHexString(frame)}\n{error}");
            }

            highest = Math.Max(highest, pair.Pool.Outstanding);
        }

        Assert.True(highest < 32 << 20, $"seed {s_seed}: {highest} bytes at most");
        Assert.True(input.Neighbors.All.Count <= 1024);
        udp.Close();
        raw.Close();
        raw6.Close();
        packets.Close();
        listener.Close();
        pair.Run(120_000);
        Assert.Equal(0, tcp.Flows.Count);
        Assert.Equal(0, tcp.MemoryUsed);
        Assert.Equal(0, pair.B.Ipv4.Fragments.Count);
        Assert.Equal(0, pair.B.Ipv6.Fragments.Count);
        pair.Dispose();
        Assert.Equal(0, pair.Pool.OutstandingPackets);
        Assert.Equal(0, pair.Pool.Outstanding);
    }

    [Fact]
    public void Options_OfAnyBytes_AreDecidedWithoutATrap()
    {
        Random random = new(s_seed);
        byte[] bytes = new byte[64];
        for (int i = 0; i < 200_000; i++)
        {
            random.NextBytes(bytes);
            if (random.Next(2) == 0)
            {
                bytes[0] = new byte[] { 7, 68, 131, 137, 148, 1, 0 }[random.Next(7)];
                bytes[1] = (byte)random.Next(41);
            }

            int length = random.Next(11) * 4;
            bool good = Ipv4Options.Process(bytes.AsSpan(0, length), IpAddress.LoopbackV4, 1, out int bad);
            Assert.True(good || bad < Math.Max(length, 1), $"seed {s_seed}");
            Ipv4Options.KeepCopied(bytes.AsSpan(0, length));
            _ = Ipv4Options.HasSourceRoute(bytes.AsSpan(0, length));
            Ipv6Options.Check(bytes.AsSpan(0, 8 * random.Next(1, 8)), out _);
            NdpOptions options = new(bytes.AsSpan(0, random.Next(64)));
            int count = 0;
            while (options.Next())
            {
                Assert.True(++count <= 8);
                _ = NdpPrefix.TryParse(options.Current, out _);
                options.TryLinkAddress(out _);
            }

            _ = ArpMessage.TryParse(bytes.AsSpan(0, random.Next(64)), out _);
            _ = IgmpMessage.TryParse(bytes.AsSpan(0, random.Next(64)), out _);
            _ = MldMessage.TryParse(bytes.AsSpan(0, random.Next(64)), out _);
            _ = NdpNeighborMessage.TryParse(bytes.AsSpan(0, random.Next(64)), out _);
            _ = NdpRouterAdvertisement.TryParse(bytes.AsSpan(0, random.Next(64)), out _);
        }
    }

    // Rules that look at all of a packet, translate what they can and refuse some.
    private static void FilterEverything(NetworkStack stack)
    {
        PacketFilter filter = new(stack);
        filter.Tracker.Settings[(int)Runsc.NetStack.Filter.Tracking.TrackingSetting.Max] = 500;
        List<BaseChain> chains = [];
        foreach (FilterHook hook in Enum.GetValues<FilterHook>())
        {
            FilterRule[] rules =
            [
                new([new PayloadExpression(PayloadBase.Transport, 12, 8, 0), new PayloadExpression(PayloadBase.Link, 0, 14, 8), new CompareExpression(0, CompareOperation.Less, [1])]),
                new([new PortMatch { Protocol = IpProtocol.Tcp, Option = 8, FlagMask = 2 }, new ConnectionExpression(ConnectionKey.DestinationPort, true, 0)]),
                new([new IcmpMatch(true, 255, 0, 255, false), new ConntrackMatch { LooksAt = ConntrackMatch.State, States = (int)FlowState.Related }]),
                new([new PayloadExpression(PayloadBase.Network, 8, 1, 0), new BitwiseExpression(0, 0, [3], [0]), new CompareExpression(0, CompareOperation.Equal, [3]), new RejectExpression(3, 4, false)]),
                new([new AddressTypeMatch(4, false, 4, true), new RejectExpression(0, 0, true)]),
                new([new ImmediateExpression(0, [1, 2]), new PayloadWriteExpression(PayloadBase.Transport, 1, 2, 0, 16, false)]),
            ];
            chains.Add(Chain(hook, -150, false, rules));
            if (hook != FilterHook.Forward)
            {
                bool isSource = hook is FilterHook.Input or FilterHook.PostRouting;
                NatRange range = new() { HasPorts = true, MinPort = 1, MaxPort = 60, IsRandom = true };
                chains.Add(Chain(hook, isSource ? 100 : -100, true, [new([isSource ? new NatExpression(true, range) : new RedirectExpression(range)])]));
            }
        }

        using (stack.Enter())
        {
            filter.SetChains(filter, chains, tracks: true);
        }

        static BaseChain Chain(FilterHook hook, int priority, bool isNat, FilterRule[] rules) => new()
        {
            Hook = hook,
            Priority = priority,
            ForV4 = true,
            ForV6 = true,
            IsNat = isNat,
            Chain = new RuleChain { Rules = rules },
            Policy = new FilterRule([new VerdictExpression(Verdict.Accept)]),
        };
    }

    private static TcpEndpoint Listen(TcpProtocol tcp, ushort port)
    {
        TcpEndpoint listener = tcp.CreateEndpoint(true);
        Assert.Equal(NetError.None, listener.Bind(new IpEndpoint(IpAddress.AnyV6, port)));
        Assert.Equal(NetError.None, listener.Listen(20));
        return listener;
    }

    private static int Number(string name, int otherwise) => int.TryParse(Environment.GetEnvironmentVariable(name), out int value) ? value : otherwise;

    private static void Drain(DatagramEndpoint endpoint)
    {
        while (endpoint.Receive(false, out ReceivedDatagram got) != NetError.WouldBlock)
        {
            got.Packet?.Release();
        }
    }

    /// <summary>Real frames between two stacks, of all kinds.</summary>
    private static List<byte[]> Corpus(StackPair pair, TcpProtocol tcpOfB)
    {
        List<byte[]> frames = [];
        pair.DeviceA.Record = frames;
        pair.DeviceB.Record = frames;
        foreach (bool v4 in new[] { true, false })
        {
            IpAddress target = v4 ? StackPair.AddressB : StackPair.AddressB6;
            UdpEndpoint client = new(pair.A, v4);
            foreach (int size in new[] { 1, 500, 3000 })
            {
                client.Send(pair.Packet(new byte[size]), new DatagramSend { HasDestination = true, Destination = new IpEndpoint(target, 7), TrafficClass = -1 });
            }

            client.Groups.JoinGroup(v4 ? IpAddress.FromV4(239, 1, 1, 1) : new IpAddress(0xff02_0000_0000_0000, 0x99), 2);
            PingEndpoint ping = new(pair.A, v4);
            byte[] echo = new byte[40];
            echo[0] = v4 ? IcmpType.EchoRequest : Icmpv6Type.EchoRequest;
            ping.Send(pair.Packet(echo), new DatagramSend { HasDestination = true, Destination = new IpEndpoint(target, 0), TrafficClass = -1 });
            ping.Close();
            client.Close();
        }

        TcpProtocol tcpOfA = new(pair.A);
        using (pair.A.Enter())
        {
            pair.A.Register(tcpOfA);
        }

        foreach (bool v4 in new[] { true, false })
        {
            Converse(pair, tcpOfA, tcpOfB, v4 ? StackPair.AddressB : StackPair.AddressB6);
            Converse(pair, tcpOfB, tcpOfA, v4 ? StackPair.AddressA : StackPair.AddressA6);
        }

        RawEndpoint options = new(pair.A, isV4: true, IpProtocol.Udp);
        options.Options.Ipv4Options = [7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        options.Send(pair.Packet(new byte[30]), new DatagramSend { HasDestination = true, Destination = new IpEndpoint(StackPair.AddressB, 0), TrafficClass = -1 });
        options.Close();
        using (pair.A.Enter())
        {
            NdpNeighborMessage solicitation = new() { Type = Icmpv6Type.NeighborSolicitation, Target = StackPair.AddressB6 };
            _ = solicitation.Length;
            Runsc.NetStack.Network.NdpProtocol.SolicitRouters(pair.A.FindInterface(2)!);
        }

        pair.Run(30_000);
        pair.DeviceA.Record = pair.DeviceB.Record = null;

        // Further extension headers, what routers send, and tags of VLANs.
        frames.Add(Extended());
        frames.AddRange(OfRouters());
        foreach (byte[] frame in frames.ToArray())
        {
            if (frames.Count % 8 == 0)
            {
                frames.Add([.. frame[..12], 0x81, 0, 0, 5, .. frame[12..]]);
            }

            frames.Add(frame);
        }

        return frames;
    }

    /// <summary>A connection from its SYN to its end, with data both ways, and one that is refused.</summary>
    private static void Converse(StackPair pair, TcpProtocol from, TcpProtocol to, IpAddress target)
    {
        TcpEndpoint listener = Listen(to, 90), client = from.CreateEndpoint(target.IsV4 ? false : true), refused = from.CreateEndpoint(target.IsV4 ? false : true);
        Assert.Equal(NetError.InProgress, client.Connect(new IpEndpoint(target, 90)));
        _ = refused.Connect(new IpEndpoint(target, 91));
        pair.Run(100);
        Assert.Equal(NetError.None, listener.Accept(out TcpEndpoint? server));
        client.Send(new byte[2000], default, out _);
        server!.Send(new byte[300], default, out _);
        pair.Run(100);
        byte[] buffer = new byte[4000];
        client.Receive(buffer, false, out _);
        server.Receive(buffer, false, out _);
        client.Close();
        pair.Run(100);
        server.Close();
        refused.Close();
        listener.Close();
        pair.Run(100);
    }

    /// <summary>Queries for groups (IGMP 2 and 3, MLD 1 and 2), an advertisement with a prefix, redirects, and errors that quote a packet.</summary>
    private static List<byte[]> OfRouters()
    {
        List<byte[]> frames = [];
        byte[] quoted = new byte[28];
        Ipv4Header.Write(quoted, new Ipv4Header.Fields { TotalLength = 28, Ttl = 64, Protocol = IpProtocol.Udp, Source = StackPair.AddressB, Destination = StackPair.AddressA });
        new UdpHeader { Source = 7, Destination = 9, Length = 8 }.Write(quoted.AsSpan(20));
        IpAddress all = IpAddress.FromV4(224, 0, 0, 1), allNodes = new(0xff02_0000_0000_0000, 1), router = new(0xfe80_0000_0000_0000, 1);
        frames.Add(V4(all, 2, [0x11, 100, 0, 0, 0, 0, 0, 0]));
        frames.Add(V4(all, 2, [0x11, 200, 0, 0, 239, 1, 1, 1, 2, 125, 0, 1, 10, 0, 0, 1]));
        frames.Add(V4(StackPair.AddressB, IpProtocol.Icmp, [3, 4, 0, 0, 0, 0, 2, 0, .. quoted]));
        frames.Add(V4(StackPair.AddressB, IpProtocol.Icmp, [3, 3, 0, 0, 0, 0, 0, 0, .. quoted]));
        frames.Add(V4(StackPair.AddressB, IpProtocol.Icmp, [5, 1, 0, 0, 10, 0, 0, 9, .. quoted]));
        frames.Add(V4(StackPair.AddressB, IpProtocol.Icmp, [11, 0, 0, 0, 0, 0, 0, 0, .. quoted]));
        frames.Add(V4(StackPair.AddressB, IpProtocol.Icmp, [13, 0, 0, 0, 0, 1, 0, 1, .. new byte[12]]));
        byte[] group = new byte[16], quoted6 = new byte[48];
        new IpAddress(0xff02_0000_0000_0000, 0x99).Write(group);
        Ipv6Header.Write(quoted6, new Ipv6Header.Fields { PayloadLength = 8, NextHeader = IpProtocol.Udp, HopLimit = 64, Source = StackPair.AddressB6, Destination = StackPair.AddressA6 });
        new UdpHeader { Source = 7, Destination = 9, Length = 8 }.Write(quoted6.AsSpan(40));
        byte[] prefix = new byte[32];
        new byte[] { 3, 4, 64, 0xc0, 0, 0, 10, 0, 0, 0, 5, 0 }.CopyTo(prefix, 0);
        prefix[16] = 0xfd;
        prefix[17] = 7;
        frames.Add(V6(router, allNodes, [130, 0, 0, 0, 3, 0, 0, 0, .. new byte[16]]));
        frames.Add(V6(router, allNodes, [130, 0, 0, 0, 3, 0, 0, 0, .. group, 2, 125, 0, 0]));
        frames.Add(V6(router, allNodes, [134, 0, 0, 0, 64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0, .. prefix, 5, 1, 0, 0, 0, 0, 5, 0xdc, 1, 1, 2, 0, 0, 0, 0, 1]));
        frames.Add(V6(StackPair.AddressA6, StackPair.AddressB6, [1, 4, 0, 0, 0, 0, 0, 0, .. quoted6]));
        frames.Add(V6(StackPair.AddressA6, StackPair.AddressB6, [2, 0, 0, 0, 0, 0, 5, 0, .. quoted6]));
        frames.Add(V6(StackPair.AddressA6, StackPair.AddressB6, [4, 1, 0, 0, 0, 0, 0, 6, .. quoted6]));
        frames.Add(V6(router, StackPair.AddressB6, [137, 0, 0, 0, 0, 0, 0, 0, .. group, .. group, 4, 1, 0, 0, 0, 0, 0, 0]));
        return frames;
    }

    private static byte[] V4(IpAddress destination, byte protocol, byte[] message)
    {
        byte[] frame = new byte[34 + message.Length];
        MacAddress target = destination.IsMulticast ? MacAddress.OfGroup(destination) : new MacAddress(0x020000000002);
        EthernetHeader.Write(frame, target, new MacAddress(0x020000000001), EtherType.Ipv4);
        byte ttl = (byte)(protocol == IpProtocol.Icmp ? 64 : 1);
        Ipv4Header.Write(frame.AsSpan(14), new Ipv4Header.Fields { TotalLength = 20 + message.Length, Ttl = ttl, Protocol = protocol, Source = StackPair.AddressA, Destination = destination });
        message.CopyTo(frame, 34);
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(36), Checksum.Of(frame.AsSpan(34)));
        return frame;
    }

    private static byte[] V6(IpAddress source, IpAddress destination, byte[] message)
    {
        byte[] frame = new byte[54 + message.Length];
        MacAddress target = destination.IsMulticast ? MacAddress.OfGroup(destination) : new MacAddress(0x020000000002);
        EthernetHeader.Write(frame, target, new MacAddress(0x020000000001), EtherType.Ipv6);
        byte hops = (byte)(message[0] is 130 ? 1 : 255);
        Ipv6Header.Write(frame.AsSpan(14), new Ipv6Header.Fields { PayloadLength = message.Length, NextHeader = IpProtocol.Icmpv6, HopLimit = hops, Source = source, Destination = destination });
        message.CopyTo(frame, 54);
        ulong sum = Checksum.PseudoHeader(source, destination, IpProtocol.Icmpv6, message.Length);
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(56), Checksum.Finish(Checksum.Add(sum, frame.AsSpan(54))));
        return frame;
    }

    private static byte[] Extended()
    {
        byte[] frame = new byte[14 + 40 + 8 + 8 + 8 + 8 + 4];
        EthernetHeader.Write(frame, new MacAddress(0x020000000002), new MacAddress(0x020000000001), EtherType.Ipv6);
        Ipv6Header.Write(frame.AsSpan(14), new Ipv6Header.Fields { PayloadLength = 36, NextHeader = IpProtocol.HopByHop, HopLimit = 64, Source = StackPair.AddressA6, Destination = StackPair.AddressB6 });
        new byte[] { IpProtocol.DestinationOptions, 0, 5, 2, 0, 0, 1, 0, IpProtocol.Routing, 0, 1, 4, 0, 0, 0, 0, IpProtocol.Udp, 0, 0, 0, 0, 0, 0, 0 }.CopyTo(frame, 54);
        new UdpHeader { Source = 9, Destination = 7, Length = 12 }.Write(frame.AsSpan(78));
        ulong sum = Checksum.PseudoHeader(StackPair.AddressA6, StackPair.AddressB6, IpProtocol.Udp, 12);
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(84), Checksum.Finish(Checksum.Add(sum, frame.AsSpan(78))));
        return frame;
    }

    private static byte[] Mutate(List<byte[]> corpus, Random random)
    {
        byte[] frame = (byte[])corpus[random.Next(corpus.Count)].Clone();
        for (int i = random.Next(4); i > 0; i--)
        {
            // Mostly in the headers, where the decisions are.
            int at = random.Next(Math.Min(frame.Length, random.Next(4) == 0 ? frame.Length : 100));
            switch (random.Next(4))
            {
                case 0:
                    frame[at] ^= (byte)(1 << random.Next(8));
                    break;
                case 1:
                    frame[at] = (byte)random.Next(256);
                    break;
                case 2:
                    frame[at] = new byte[] { 0, 1, 0x7f, 0x80, 0xff }[random.Next(5)];
                    break;
                default:
                    Array.Resize(ref frame, Math.Max(1, random.Next(frame.Length + 20)));
                    break;
            }
        }

        if (random.Next(3) != 0 && frame.Length >= 34 && frame[12] == 8 && frame[13] == 0 && (frame[14] & 0xf) * 4 is >= 20 and int length && frame.Length >= 14 + length)
        {
            // With a right header checksum it gets further.
            Ipv4Header.UpdateChecksum(frame.AsSpan(14, length));
        }

        return frame;
    }

    /// <summary>The frame in one piece or several, verified by its sender or not.</summary>
    private static PacketBuffer Frame(BufferPool pool, byte[] bytes, Random random)
    {
        int cut = random.Next(2) == 0 ? bytes.Length : random.Next(bytes.Length + 1);
        PacketBuffer packet = pool.Allocate(PacketBuffer.Headroom, Math.Max(cut, 1));
        bytes.AsSpan(0, cut).CopyTo(packet.Append(cut));
        if (cut < bytes.Length)
        {
            Slab slab = pool.Rent(bytes.Length - cut);
            bytes.AsSpan(cut).CopyTo(slab.Array);
            packet.TryAppend(slab, 0, bytes.Length - cut);
            slab.Release();
        }

        packet.Checksum = random.Next(2) == 0 ? ChecksumState.Valid : ChecksumState.None;
        return packet;
    }
}
