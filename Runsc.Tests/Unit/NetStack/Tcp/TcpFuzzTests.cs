using System;
using System.Collections.Generic;
using Runsc.NetStack;
using Runsc.NetStack.Transport.Tcp;
using Runsc.NetStack.Wire;
using Xunit;

namespace Runsc.Tests.Unit.NetStack.Tcp;

/// <summary>Segments of a hostile peer, most of them near the truth: nothing breaks, memory stays bounded, everything is given back.</summary>
public sealed class TcpFuzzTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void Segments_NearTheTruth_BreakNothing(int seed)
    {
        Random random = new(seed);
        HandClock clock = new();
        Queue<WireSegment> sent = new();
        IpAddress peer = IpAddress.FromV4(10, 0, 0, 2);
        TestHost host = new(clock, seed, IpAddress.FromV4(10, 0, 0, 1), sent.Enqueue);
        host.Tcp.Parameters.FastOpen = 3;
        host.Tcp.Parameters.Ecn = 1;
        TcpEndpoint listener = host.Tcp.CreateEndpoint(true);
        listener.Settings.FastOpenQueue = 10;
        Assert.Equal(NetError.None, listener.Bind(new IpEndpoint(IpAddress.AnyV6, 80)));
        Assert.Equal(NetError.None, listener.Listen(20));
        List<TcpEndpoint> endpoints = [];
        Dictionary<long, WireSegment> last = [];
        byte[] buffer = new byte[4000];
        long most = 0;
        for (int i = 0; i < 40_000; i++)
        {
            while (sent.TryDequeue(out WireSegment? segment))
            {
                TcpHeader header = segment.Header;
                last[(header.Source * 65536L) + header.Destination] = segment;
            }

            Deliver(host, random, peer, last);
            most = Math.Max(most, host.Pool.Outstanding);
            if (random.Next(4) == 0)
            {
                clock.Monotonic += random.Next(20) == 0 ? 1_000_000_000 : random.Next(5_000_000);
                host.Stack.RunTimers();
            }

            if (listener.Accept(out TcpEndpoint? accepted) == NetError.None)
            {
                endpoints.Add(accepted!);
            }

            if (random.Next(50) == 0 && endpoints.Count < 30)
            {
                TcpEndpoint endpoint = host.Tcp.CreateEndpoint(false);
                if (endpoint.Connect(new IpEndpoint(peer, (ushort)random.Next(1, 4))) == NetError.InProgress)
                {
                    endpoints.Add(endpoint);
                }
            }

            if (endpoints.Count > 0)
            {
                int index = random.Next(endpoints.Count);
                TcpEndpoint endpoint = endpoints[index];
                switch (random.Next(30))
                {
                    case 0:
                        endpoint.Close();
                        endpoints.RemoveAt(index);
                        break;
                    case 1:
                        endpoint.Shutdown(random.Next(2) == 0, random.Next(2) == 0);
                        break;
                    case < 12:
                        endpoint.Receive(buffer.AsSpan(0, random.Next(1, 4000)), random.Next(4) == 0, out _);
                        break;
                    case < 22:
                        endpoint.Send(buffer.AsSpan(0, random.Next(1, 4000)), (TcpSendFlags)random.Next(4), out _);
                        break;
                    case 22:
                        endpoint.Disconnect();
                        break;
                    case 23:
                        endpoint.ReceiveUrgent(false, out _, out _);
                        break;
                    default:
                        _ = endpoint.Readiness;
                        endpoint.GetInfo();
                        break;
                }
            }
        }

        Assert.True(most < 16 << 20, $"{most} bytes");
        foreach (TcpEndpoint endpoint in endpoints)
        {
            endpoint.Abort();
        }

        listener.Close();
        for (int i = 0; i < 200; i++)
        {
            clock.Monotonic += 10_000_000_000;
            host.Stack.RunTimers();
        }

        Assert.Equal(0, host.Tcp.Flows.Count);
        Assert.Equal(0, host.Tcp.MemoryUsed);
        Assert.Equal(0, host.Tcp.Orphans);
        Assert.Equal(0, host.Pool.Outstanding);
    }

    private static void Deliver(TestHost host, Random random, IpAddress peer, Dictionary<long, WireSegment> last)
    {
        TcpHeader header = new()
        {
            Source = (ushort)random.Next(1, 20),
            Destination = 80,
            Sequence = unchecked((uint)random.NextInt64()),
            Flags = (TcpFlags)random.Next(256),
            Window = (ushort)random.Next(65536),
            Urgent = (ushort)(random.Next(2) == 0 ? random.Next(20) : random.Next(65536)),
        };
        if (last.Count > 0 && random.Next(12) != 0)
        {
            // An answer to something that was sent, off by a little.
            int pick = random.Next(last.Count);
            foreach (WireSegment segment in last.Values)
            {
                if (pick-- == 0)
                {
                    TcpHeader ours = segment.Header;
                    header.Source = ours.Destination;
                    header.Destination = ours.Source;
                    header.Sequence = unchecked(ours.Acknowledgment + (uint)Off(random));
                    header.Acknowledgment = unchecked(ours.Sequence + (uint)segment.PayloadLength + ((ours.Flags & (TcpFlags.Syn | TcpFlags.Fin)) != 0 ? 1u : 0) + (uint)Off(random));
                    header.Flags = random.Next(6) switch
                    {
                        0 => TcpFlags.Ack | TcpFlags.Fin,
                        1 => (TcpFlags)random.Next(256),
                        2 => TcpFlags.Ack | TcpFlags.Urg,
                        _ => (ours.Flags & (TcpFlags.Syn | TcpFlags.Ack)) == TcpFlags.Syn ? TcpFlags.Syn | TcpFlags.Ack : TcpFlags.Ack,
                    };
                    break;
                }
            }
        }
        else if (random.Next(2) == 0)
        {
            header.Flags = TcpFlags.Syn;
        }

        byte[] options = new byte[random.Next(2) == 0 ? 0 : random.Next(11) * 4];
        random.NextBytes(options);
        if (options.Length >= 12 && random.Next(4) != 0)
        {
            TcpOptions chosen = new()
            {
                SackCount = options.Length >= 20 ? 1 : 0,
                Mss = (ushort)(options.Length < 20 ? random.Next(65536) : 0),
                SackPermitted = options.Length < 20,
            };
            uint start = unchecked(header.Acknowledgment + (uint)Off(random));
            chosen.Blocks[0] = new SackBlock(start, unchecked(start + (uint)Off(random)));
            byte[] valid = new byte[40];
            int length = chosen.Write(valid);
            options = valid[..length];
        }

        int payload = random.Next(3) == 0 ? random.Next(1460) : random.Next(3) == 0 ? 1 : 0;
        header.Length = TcpHeader.Size + options.Length;
        byte[] bytes = new byte[header.Length + payload];
        header.Write(bytes);
        options.CopyTo(bytes, TcpHeader.Size);
        if (random.Next(100) == 0)
        {
            bytes[12] = (byte)random.Next(256);
            bytes = bytes[..random.Next(bytes.Length + 1)];
        }

        if (bytes.Length >= TcpHeader.Size && random.Next(100) != 0)
        {
            bytes[16] = bytes[17] = 0;
            ushort sum = Checksum.Finish(Checksum.Add(Checksum.PseudoHeader(peer, host.Address, TcpHeader.Protocol, bytes.Length), bytes));
            System.Buffers.Binary.BinaryPrimitives.WriteUInt16BigEndian(bytes.AsSpan(16), sum);
        }

        host.Deliver(new WireSegment(peer, host.Address, (byte)random.Next(4), bytes));
    }

    private static int Off(Random random) => random.Next(4) switch
    {
        0 => random.Next(-3000, 3000),
        1 => random.Next(-2, 3),
        _ => 0,
    };
}
