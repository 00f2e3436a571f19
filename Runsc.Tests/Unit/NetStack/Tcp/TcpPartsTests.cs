using System;
using System.Collections.Generic;
using Runsc.NetStack.Buffers;
using Runsc.NetStack.Transport.Tcp;
using Runsc.NetStack.Wire;
using Xunit;

namespace Runsc.Tests.Unit.NetStack.Tcp;

/// <summary>The parts alone: sequence numbers, options, queues, round-trip times.</summary>
public sealed class TcpPartsTests
{
    [Fact]
    public void SeqNum_ComparesAcrossTheWrap()
    {
        SeqNum low = new(0xffff_fff0);
        SeqNum high = low + 32;
        Assert.True(low < high && high > low && low <= high && high >= low && low != high);
        Assert.Equal(32, high - low);
        Assert.Equal(-32, low - high);
        Assert.True(new SeqNum(5).IsIn(low, high));
        Assert.False(new SeqNum(16).IsIn(low, high));
        Assert.Equal(high, SeqNum.Max(low, high));
        Assert.Equal(low, SeqNum.Min(low, high));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Options_WrittenAndRead_AreEqual(int seed)
    {
        Random random = new(seed);
        byte[] bytes = new byte[40];
        for (int i = 0; i < 500; i++)
        {
            bool syn = random.Next(2) == 0;
            TcpOptions options = new()
            {
                HasTimestamps = random.Next(2) == 0,
                Mss = (ushort)(syn ? random.Next(1, 65536) : 0),
                SackPermitted = syn && random.Next(2) == 0,
                HasWindowScale = syn && random.Next(2) == 0,
                SackCount = syn ? 0 : random.Next(4),
            };
            options.TimestampValue = options.HasTimestamps ? (uint)random.Next() : 0;
            options.TimestampEcho = options.HasTimestamps ? (uint)random.Next() : 0;
            options.WindowScale = options.HasWindowScale ? (byte)random.Next(15) : (byte)0;
            for (int n = 0; n < options.SackCount; n++)
            {
                options.Blocks[n] = new SackBlock((uint)random.Next(), (uint)random.Next());
            }

            int length = options.Write(bytes);
            Assert.True(length % 4 == 0 && length <= 40);
            TcpOptions.Parse(bytes.AsSpan(0, length), syn, out TcpOptions read);
            Assert.Equal(options.Mss, read.Mss);
            Assert.Equal(options.SackPermitted, read.SackPermitted);
            Assert.Equal((options.HasWindowScale, options.WindowScale), (read.HasWindowScale, read.WindowScale));
            Assert.Equal((options.HasTimestamps, options.TimestampValue, options.TimestampEcho), (read.HasTimestamps, read.TimestampValue, read.TimestampEcho));
            Assert.Equal(options.SackCount, read.SackCount);
            for (int n = 0; n < options.SackCount; n++)
            {
                Assert.Equal(options.Blocks[n], read.Blocks[n]);
            }
        }
    }

    [Fact]
    public void Options_WindowScaleBeyond14_IsCut()
    {
        TcpOptions.Parse([3, 3, 200, 0], true, out TcpOptions options);
        Assert.Equal(14, options.WindowScale);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void OutOfOrderQueue_AgainstASet(int seed)
    {
        Random random = new(seed);
        for (int round = 0; round < 60; round++)
        {
            BufferPool pool = new(8 << 20);
            OutOfOrderQueue ahead = new();
            ReceiveQueue queue = new();
            SeqNum start = new(unchecked((uint)random.NextInt64()));
            HashSet<int> have = [];
            for (int i = 0; i < 60; i++)
            {
                int at = random.Next(1, 2000);
                int length = random.Next(1, 200);
                ahead.Insert(Packet(pool, at, length), start + at, out SackBlock duplicate);
                bool overlaps = false;
                for (int n = at; n < at + length; n++)
                {
                    overlaps |= !have.Add(n);
                }

                // Not every overlap is reported, but nothing else is.
                Assert.True(overlaps || duplicate.Start == duplicate.End);
            }

            // The byte before everything arrives: what follows it is in order up to the first gap.
            int edge = 1;
            while (have.Contains(edge))
            {
                edge++;
            }

            queue.Append(Packet(pool, 0, 1));
            SeqNum next = ahead.TakeInOrder(start + 1, queue);
            Assert.Equal(edge, next - start);
            Assert.Equal(edge, queue.Length);
            byte[] bytes = new byte[edge];
            new TcpReadView(queue.Head, 0, edge).CopyTo(bytes);
            Assert.Equal(TcpScript.Data(0, edge), bytes);
            queue.Clear();
            ahead.Clear();
            Assert.Equal(0, ahead.Footprint);
            Assert.Equal(0, pool.Outstanding);
        }
    }

    private static PacketBuffer Packet(BufferPool pool, int at, int length)
    {
        PacketBuffer packet = pool.Allocate(0, length);
        TcpScript.Data(at, length).CopyTo(packet.Append(length));
        return packet;
    }

    [Fact]
    public void RttEstimator_SteadySamples_ConvergeOnThem()
    {
        RttEstimator rtt = default;
        rtt.Reset(1_000_000, 200_000, 120_000_000);
        Assert.Equal(1_000_000, rtt.Rto);
        SeqNum at = new(0);
        for (int i = 0; i < 100; i++)
        {
            rtt.Sample(50_000, at, at + 10);
            at += 11;
        }

        Assert.InRange(rtt.Smoothed, 49_000, 51_000);
        Assert.Equal(rtt.Smoothed + 200_000, rtt.Rto);

        // One long sample raises the time-out well beyond it.
        rtt.Sample(2_000_000, at, at + 10);
        Assert.True(rtt.Rto > 700_000, $"{rtt.Rto}");
    }
}
