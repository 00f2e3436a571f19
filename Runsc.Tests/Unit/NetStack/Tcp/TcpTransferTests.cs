using System;
using System.Collections.Generic;
using Runsc.NetStack;
using Runsc.NetStack.Transport.Tcp;
using Runsc.NetStack.Transport.Tcp.Congestion;
using Xunit;

namespace Runsc.Tests.Unit.NetStack.Tcp;

/// <summary>Two of our stacks over a bad link: every byte arrives, in order, once; then everything is given back.</summary>
public sealed class TcpTransferTests
{
    private sealed class Side(TcpEndpoint? endpoint, int toSend, int base0)
    {
        private readonly byte[] _buffer = new byte[20000];

        public TcpEndpoint? Endpoint = endpoint;
        public int Sent;
        public int Received;
        public bool Ended;
        public bool Closed;

        /// <summary>Writes and reads what is possible; random sizes.</summary>
        public void Act(Random random)
        {
            if (Endpoint is null)
            {
                return;
            }

            while (Sent < toSend)
            {
                int size = Math.Min(toSend - Sent, random.Next(4) == 0 ? random.Next(1, 100) : random.Next(1, _buffer.Length));
                byte[] data = TcpScript.Data(base0 + Sent, size);
                NetError error = Endpoint.Send(data, random.Next(20) == 0 ? TcpSendFlags.More : TcpSendFlags.None, out int sent);
                Sent += sent;
                if (error == NetError.WouldBlock)
                {
                    break;
                }

                Assert.True(error == NetError.None, $"{error}, seed {Seed}");
            }

            if (Sent == toSend && !Closed && Endpoint.IsConnected)
            {
                Closed = true;
                Assert.Equal(NetError.None, Endpoint.Shutdown(false, true));
            }

            while (!Ended)
            {
                int size = random.Next(1, _buffer.Length);
                NetError error = Endpoint.Receive(_buffer.AsSpan(0, size), false, out int count);
                if (error == NetError.WouldBlock)
                {
                    break;
                }

                Assert.True(error == NetError.None, $"{error}, seed {Seed}");
                if (count == 0)
                {
                    Ended = true;
                    break;
                }

                Assert.Equal(TcpScript.Data(PeerBase + Received, count), _buffer[..count]);
                Received += count;
            }
        }

        public int PeerBase;
        public int Seed;
    }

    private static (double Seconds, TcpLink Link) Transfer(TcpLink link, int seed, int up, int down, string congestion = "cubic", Action<TcpEndpoint>? eachStep = null)
    {
        Random random = new(seed);
        (TcpEndpoint client, TcpEndpoint listener) = link.Connect(
            c => Assert.Equal(NetError.None, c.SetCongestion(congestion)),
            s => Assert.Equal(NetError.None, s.SetCongestion(congestion)));
        Side a = new(client, up, 0) { PeerBase = 5000, Seed = seed };
        Side b = new(null, down, 5000) { PeerBase = 0, Seed = seed };
        long start = link.Clock.Monotonic;
        for (int steps = 0; !(a.Ended && b.Ended && a.Closed && b.Closed); steps++)
        {
            Assert.True(steps < 3_000_000, $"no end in sight: {a.Sent} {b.Received}, {b.Sent} {a.Received}, seed {seed}");
            Assert.True(link.Clock.Monotonic - start < 4000L * 1_000_000_000, $"an hour has passed: {a.Sent} {b.Received}, {b.Sent} {a.Received}, seed {seed}");
            if (b.Endpoint is null && listener.Accept(out TcpEndpoint? accepted) == NetError.None)
            {
                b.Endpoint = accepted;
            }

            a.Act(random);
            b.Act(random);
            eachStep?.Invoke(client);
            Assert.True(link.Step() || (a.Ended && b.Ended), $"nothing more happens: {a.Sent} {b.Received}, {b.Sent} {a.Received}, seed {seed}");
        }

        double seconds = (link.Clock.Monotonic - start) / 1e9;
        Assert.Equal(up, b.Received);
        Assert.Equal(down, a.Received);
        a.Endpoint!.Close();
        b.Endpoint!.Close();
        listener.Close();
        link.Run(300);
        foreach (TestHost host in new[] { link.A, link.B })
        {
            Assert.Equal(0, host.Tcp.Flows.Count);
            Assert.Equal(0, host.Tcp.MemoryUsed);
            Assert.Equal(0, host.Tcp.Orphans);
            Assert.Equal(0, host.Pool.Outstanding);
            Assert.Equal(0, host.Pool.OutstandingPackets);
        }

        return (seconds, link);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Transfer_CleanLink_IsFast(int seed)
    {
        (double seconds, _) = Transfer(new TcpLink(seed), seed, 3_000_000, 1_000_000);
        Assert.True(seconds < 1, $"{seconds} s");
    }

    [Fact]
    public void Transfer_ManySeeds_LosslessInOrder()
    {
        for (int seed = 100; seed < 160; seed++)
        {
            Random random = new(seed);
            TcpLink link = new(seed)
            {
                Loss = random.NextDouble() * 0.15,
                Duplication = random.NextDouble() * 0.1,
                Reordering = random.NextDouble() * 0.3,
                Damage = random.NextDouble() * 0.03,
                Delay = random.Next(10_000, 50_000_000),
            };
            foreach (TestHost host in new[] { link.A, link.B })
            {
                host.Mtu = random.Next(3) switch { 0 => 576, 1 => 1500, _ => 9000 };
                host.GsoPacket = random.Next(2) == 0 ? 0 : 65535;
                host.Tcp.Parameters.Sack = random.Next(4) != 0;
                host.Tcp.Parameters.Timestamps = random.Next(3) != 0;
                host.Tcp.Parameters.WindowScaling = random.Next(3) != 0;
                host.Tcp.Parameters.Ecn = random.Next(3);
                host.Tcp.Parameters.DefaultReceiveBuffer = random.Next(2) == 0 ? 131072 : 8192;
            }

            Transfer(link, seed, random.Next(0, 200_000), random.Next(0, 200_000), random.Next(3) switch { 0 => "cubic", 1 => "reno", _ => "bbr" });
        }
    }

    [Theory]
    [InlineData(0.01, "cubic")]
    [InlineData(0.05, "cubic")]
    [InlineData(0.05, "reno")]
    public void Transfer_LossyLink_RecoversWithoutTimeouts(double loss, string congestion)
    {
        TcpLink link = new(7) { Loss = loss, Delay = 5_000_000 };
        (double seconds, _) = Transfer(link, 7, 2_000_000, 0, congestion);
        long timeouts = link.A.Tcp.Statistics.Timeouts;
        Assert.True(timeouts <= 12, $"{timeouts} time-outs, {seconds} s");
        Assert.True(link.A.Tcp.Statistics.SackRecovery > 0);
    }

    [Fact]
    public void Transfer_Bottleneck_FillsTheRate()
    {
        // 10 Mbit/s, 20 ms: a bandwidth-delay product of 25 kB and a queue of 62 kB.
        TcpLink link = new(8) { Rate = 1_250_000, Delay = 10_000_000, Queue = 50_000_000 };
        (double seconds, _) = Transfer(link, 8, 5_000_000, 0);
        Assert.True(seconds < 5.0, $"{seconds} s for what takes 4.2 s at the rate of the link");
    }

    [Fact]
    public void Transfer_EcnBottleneck_MarksInsteadOfLosses()
    {
        TcpLink link = new(9) { Rate = 1_250_000, Delay = 10_000_000, Queue = 100_000_000, Marks = true };
        link.A.Tcp.Parameters.Ecn = 1;
        (double seconds, _) = Transfer(link, 9, 5_000_000, 0);
        Assert.True(link.MarkedPackets > 0);
        Assert.True(seconds < 5.0, $"{seconds} s");
        Assert.True(link.A.Tcp.Statistics.RetransSegs < 50, $"{link.A.Tcp.Statistics.RetransSegs} retransmissions");
    }

    /// <summary>Random loss is no congestion: BBR keeps near the rate of the link where CUBIC's window falls to a fraction of it.</summary>
    [Theory]
    [InlineData(0.01)]
    [InlineData(0.03)]
    public void Transfer_BbrOnLossyBottleneck_IsAheadOfCubic(double loss)
    {
        double[] seconds = new double[2];
        for (int i = 0; i < 2; i++)
        {
            TcpLink link = new(12) { Rate = 2_500_000, Delay = 20_000_000, Queue = 50_000_000, Loss = loss };
            (seconds[i], _) = Transfer(link, 12, 8_000_000, 0, i == 0 ? "bbr" : "cubic");
        }

        Assert.True(seconds[0] < 0.6 * seconds[1], $"bbr {seconds[0]} s, cubic {seconds[1]} s, 3.3 s at the rate of the link");
        Assert.True(seconds[0] < 5.5, $"{seconds[0]} s for what takes 3.3 s at the rate of the link");
    }

    /// <summary>The rate is found, a deep queue is not filled but at the start, and the window is closed for a moment in every ten seconds to see the round trip.</summary>
    [Fact]
    public void Transfer_BbrOnDeepQueue_FindsRateAndRoundTrip()
    {
        TcpLink link = new(13) { Rate = 1_250_000, Delay = 10_000_000, Queue = 400_000_000 };
        double found = 0;
        long rtt = 0, late = 0, samples = 0;
        bool probed = false;
        long start = link.Clock.Monotonic;
        (double seconds, _) = Transfer(link, 13, 25_000_000, 0, "bbr", client =>
        {
            if (link.Clock.Monotonic - start > 5_000_000_000 && client.TryGetBbr(out long bandwidth, out rtt, out double pacing, out double window))
            {
                found = Math.Max(found, bandwidth);
                probed |= pacing == 1 && window == 1;
                samples++;
                late += client.GetInfo().Rtt > 45_000 ? 1 : 0;
            }
        });
        Assert.InRange(found, 1_000_000, 1_300_000);
        Assert.InRange(rtt, 19_000, 24_000);
        Assert.True(probed, "the smallest round trip was never looked for");
        Assert.True(late < samples / 10, $"{late} of {samples} times the queue was longer than the pipe");
        Assert.True(seconds < 23.5, $"{seconds} s for what takes 21 s at the rate of the link");
        Assert.Equal(0, link.A.Tcp.Statistics.RetransSegs);
    }

    [Theory]
    [InlineData("cubic")]
    [InlineData("bbr")]
    public void Transfer_WithMaximumPacing_TakesItsTime(string congestion)
    {
        TcpLink link = new(14) { Delay = 2_000_000 };
        (double seconds, _) = Transfer(link, 14, 2_000_000, 0, congestion, client =>
        {
            if (!client.IsConnected)
            {
                client.SetMaximumPacing(1_000_000);
            }
        });
        Assert.InRange(seconds, 1.9, 2.5);
    }

    [Fact]
    public void WindowedMaximum_KeepsTheLargestOfTheWindow()
    {
        WindowedMaximum maximum = default;
        Random random = new(3);
        List<double> all = [];
        for (int round = 0; round < 1000; round++)
        {
            all.Add(random.NextDouble());
            maximum.Add(10, round, all[^1]);
            double last = 0;
            for (int i = Math.Max(0, round - 10); i <= round; i++)
            {
                last = Math.Max(last, all[i]);
            }

            // It keeps three samples, so it may have forgotten the largest of the window's older part, and never says more than the window has.
            Assert.True(maximum.Value <= last && maximum.Value >= all[^1]);
        }

        maximum.Add(10, 2000, 0.25);
        Assert.Equal(0.25, maximum.Value);
    }

    [Fact]
    public void Transfer_ReorderingOnly_RetransmitsLittle()
    {
        TcpLink link = new(10) { Reordering = 0.05, Delay = 5_000_000 };
        Transfer(link, 10, 3_000_000, 0);
        Assert.True(link.A.Tcp.Statistics.RetransSegs < 200, $"{link.A.Tcp.Statistics.RetransSegs} retransmissions of 2070 segments");
        Assert.Equal(0, link.A.Tcp.Statistics.Timeouts);
    }

    [Fact]
    public void Transfer_BlackHole_ShrinksSegments()
    {
        TcpLink link = new(11) { BlackHole = 1300 };
        (double seconds, _) = Transfer(link, 11, 300_000, 0);
        Assert.True(link.A.Tcp.Statistics.MtuProbeBlackHole > 0);
        Assert.True(seconds < 30, $"{seconds} s");
    }

    [Fact]
    public void Transfer_SmallBuffers_NeverStalls()
    {
        for (int seed = 20; seed < 30; seed++)
        {
            TcpLink link = new(seed) { Loss = 0.02 };
            foreach (TestHost host in new[] { link.A, link.B })
            {
                host.Tcp.Parameters.DefaultReceiveBuffer = 4608;
                host.Tcp.Parameters.DefaultSendBuffer = 4608;
                host.Tcp.Parameters.ModerateReceiveBuffer = false;
            }

            Transfer(link, seed, 60_000, 60_000);
        }
    }
}
