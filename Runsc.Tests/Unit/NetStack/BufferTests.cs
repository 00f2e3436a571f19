using System;
using System.Linq;
using Runsc.NetStack;
using Runsc.NetStack.Buffers;
using Runsc.NetStack.Core;
using Runsc.NetStack.Wire;
using Xunit;

namespace Runsc.Tests.Unit.NetStack;

public sealed class BufferTests
{
    private readonly BufferPool _pool = new(1 << 20);

    [Fact]
    public void Packet_HeadersAndFragments_KeepOrder()
    {
        Slab slab = _pool.Rent(100);
        for (int i = 0; i < 100; i++)
        {
            slab.Array[i] = (byte)i;
        }

        PacketBuffer packet = _pool.Allocate(16, 8);
        packet.Append(2).Fill(0xaa);
        Assert.True(packet.TryAppend(slab, 10, 5));
        Assert.True(packet.TryAppend(slab, 15, 3));
        Assert.Equal(2, packet.ChunkCount);
        packet.Prepend(200).Fill(0xbb);
        Assert.Equal(210, packet.Length);
        byte[] all = new byte[300];
        Assert.Equal(210, packet.CopyTo(0, all));
        Assert.Equal(Enumerable.Repeat((byte)0xbb, 200).Concat(new byte[] { 0xaa, 0xaa, 10, 11, 12, 13, 14, 15, 16, 17 }), all.Take(210));
        int position = packet.Position;
        packet.TrimFront(201);
        Assert.True(packet.EnsureLinear(4));
        Assert.Equal(new byte[] { 0xaa, 10, 11, 12 }, packet.Linear.ToArray());
        Assert.False(packet.EnsureLinear(10));
        packet.Rewind(position);
        Assert.Equal(210, packet.Length);
        packet.TrimTo(203);
        Assert.Equal(203, packet.Length);
        packet.Release();
        slab.Release();
        Assert.Equal(0, _pool.Outstanding);
        Assert.Equal(0, _pool.OutstandingPackets);
    }

    [Fact]
    public void Clone_SharesFragmentsAndCopiesHeaders()
    {
        Slab slab = _pool.Rent(64);
        slab.Array.AsSpan(0, 64).Fill(7);
        PacketBuffer packet = _pool.Allocate(32, 32);
        packet.Append(4).Fill(1);
        packet.TryAppend(slab, 0, 64);
        slab.Release();
        packet.NetworkStart = packet.Position;
        PacketBuffer clone = packet.TryClone()!;
        packet.Linear[0] = 9;
        packet.Release();
        Assert.Equal(1, clone.Linear[0]);
        Assert.Equal(clone.Position, clone.NetworkStart);
        Assert.Equal(68, clone.Length);
        Assert.Equal(7, clone.Chunk(1)[63]);
        clone.Release();
        Assert.Equal(0, _pool.Outstanding);
    }

    [Fact]
    public void Pool_BeyondItsLimit_RefusesAndRecovers()
    {
        BufferPool pool = new(4096);
        Slab? first = pool.TryRent(4096);
        Assert.NotNull(first);
        Assert.Null(pool.TryRent(1));
        Assert.Null(pool.TryAllocate(0, 10));
        first.Release();
        pool.TryRent(1)!.Release();
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Checksum_InAnyPieces_IsTheSumOfWords(int seed)
    {
        Random random = new(seed);
        for (int round = 0; round < 300; round++)
        {
            byte[] bytes = new byte[random.Next(0, 200)];
            random.NextBytes(bytes);
            uint expected = 0;
            for (int i = 0; i < bytes.Length; i += 2)
            {
                expected += (uint)((bytes[i] << 8) | (i + 1 < bytes.Length ? bytes[i + 1] : 0));
                expected = (expected & 0xffff) + (expected >> 16);
            }

            Assert.Equal(unchecked((ushort)~expected), Checksum.Of(bytes));
            Slab slab = _pool.Rent(256);
            bytes.CopyTo(slab.Array, 0);
            PacketBuffer packet = _pool.Allocate(0, 256);
            int cut = random.Next(0, bytes.Length + 1);
            int cut2 = random.Next(cut, bytes.Length + 1);
            bytes.AsSpan(0, cut).CopyTo(packet.Append(cut));
            packet.TryAppend(slab, cut, cut2 - cut);
            Slab other = _pool.Rent(256);
            bytes.CopyTo(other.Array, 0);
            packet.TryAppend(other, cut2, bytes.Length - cut2);
            Assert.Equal(unchecked((ushort)~expected), Checksum.Finish(packet.Sum(0, bytes.Length, 0)));
            packet.Release();
            slab.Release();
            other.Release();
        }
    }

    [Fact]
    public void Checksum_Update_EqualsSumAnew()
    {
        Random random = new(5);
        for (int i = 0; i < 1000; i++)
        {
            byte[] bytes = new byte[20];
            random.NextBytes(bytes);
            ushort before = (ushort)((bytes[4] << 8) | bytes[5]);
            ushort checksum = Checksum.Of(bytes);
            ushort after = (ushort)random.Next(65536);
            bytes[4] = (byte)(after >> 8);
            bytes[5] = unchecked((byte)after);
            Assert.Equal(Checksum.Of(bytes), Checksum.Update(checksum, before, after));
        }
    }

    [Fact]
    public void Timers_FireInOrder_AndMoveBothWays()
    {
        TimerHeap heap = new();
        Random random = new(3);
        TestTimer[] timers = Enumerable.Range(0, 500).Select(_ => new TestTimer()).ToArray();
        for (int i = 0; i < 5000; i++)
        {
            TestTimer timer = timers[random.Next(timers.Length)];
            if (random.Next(4) == 0)
            {
                heap.Cancel(timer);
            }
            else
            {
                heap.Schedule(timer, random.Next(1000));
            }
        }

        long last = 0;
        int fired = 0;
        int expected = timers.Count(timer => timer.IsSet);
        for (long now = 0; now < 1000; now += 7)
        {
            while (heap.TakeDue(now) is { } timer)
            {
                fired++;
                Assert.False(timer.IsSet);
            }

            Assert.True(heap.Earliest > now);
            Assert.All(timers.Where(timer => timer.IsSet), timer => Assert.True(timer.Deadline > now));
            last = now;
        }

        while (heap.TakeDue(1000) is not null)
        {
            fired++;
        }

        Assert.Equal(expected, fired);
        Assert.Equal(0, heap.Count);
        Assert.True(last > 0);
    }

    [Theory]
    [InlineData("127.0.0.1", true, false)]
    [InlineData("224.0.0.251", false, true)]
    [InlineData("fe80::1", false, false)]
    [InlineData("ff02::1", false, true)]
    [InlineData("::1", true, false)]
    public void Address_Properties(string text, bool loopback, bool multicast)
    {
        System.Net.IPAddress parsed = System.Net.IPAddress.Parse(text);
        byte[] bytes = parsed.GetAddressBytes();
        IpAddress address = bytes.Length == 4 ? IpAddress.ReadV4(bytes) : IpAddress.ReadV6(bytes);
        Assert.Equal(text, address.ToString());
        Assert.Equal(loopback, address.IsLoopback);
        Assert.Equal(multicast, address.IsMulticast);
        byte[] back = new byte[bytes.Length];
        address.Write(back);
        Assert.Equal(bytes, back);
    }

    private sealed class TestTimer : NetTimer
    {
        public override void Fire()
        {
        }
    }
}
