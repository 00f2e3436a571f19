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
        List<byte[]> corpus = Corpus(pair);
        Assert.True(corpus.Count > 25, $"seed {s_seed}: {corpus.Count} frames");
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
        pair.Run(120_000);
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
        filter.Tracker.Table.Limit = 500;
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

    private static int Number(string name, int otherwise) => int.TryParse(Environment.GetEnvironmentVariable(name), out int value) ? value : otherwise;

    private static void Drain(DatagramEndpoint endpoint)
    {
        while (endpoint.Receive(false, out ReceivedDatagram got) != NetError.WouldBlock)
        {
            got.Packet?.Release();
        }
    }

    /// <summary>Real frames between two stacks, of all kinds.</summary>
    private static List<byte[]> Corpus(StackPair pair)
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

            client.JoinGroup(v4 ? IpAddress.FromV4(239, 1, 1, 1) : new IpAddress(0xff02_0000_0000_0000, 0x99), 2);
            PingEndpoint ping = new(pair.A, v4);
            byte[] echo = new byte[40];
            echo[0] = v4 ? IcmpType.EchoRequest : Icmpv6Type.EchoRequest;
            ping.Send(pair.Packet(echo), new DatagramSend { HasDestination = true, Destination = new IpEndpoint(target, 0), TrafficClass = -1 });
            ping.Close();
            client.Close();
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

        // Further extension headers, and a router's advertisement.
        frames.Add(Extended());
        return frames;
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
