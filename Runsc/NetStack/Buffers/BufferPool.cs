using System;
using System.Numerics;
using System.Threading;

namespace Runsc.NetStack.Buffers;

/// <summary>Slabs of a few sizes and the packets over them. One pool serves all stacks of a sandbox; thread-safe, its lock is a leaf.</summary>
/// <remarks>
/// What is out is counted against a limit: data of applications and packets from outside are asked for with
/// <see cref="TryRent"/>, which refuses beyond it, so no peer and no application can grow the heap; small packets of the
/// protocols themselves may go a little further.
/// </remarks>
internal sealed class BufferPool(long limit = BufferPool.DefaultLimit)
{
    public const long DefaultLimit = 256L << 20;

    private const int SmallestShift = 8;
    private const int Levels = 10;

    // Free slabs kept of one size, in bytes; more than that goes to the collector.
    private const int KeptBytes = 4 << 20;
    private const int KeptPackets = 4096;

    private readonly Lock _mu = new();

    // Guarded by _mu.
    private readonly Slab?[] _free = new Slab?[Levels];
    private readonly int[] _freeCount = new int[Levels];
    private PacketBuffer? _freePackets;
    private int _freePacketCount;

    private long _outstanding;
    private int _packets;

    /// <summary>The largest slab: a packet of 64 KiB with its headers.</summary>
    public static int MaxSlab => 1 << (SmallestShift + Levels - 1);

    /// <summary>Bytes of slabs that are rented.</summary>
    public long Outstanding => Interlocked.Read(ref _outstanding);

    /// <summary>Packets that are rented: tests see leaks by it.</summary>
    public int OutstandingPackets => Volatile.Read(ref _packets);

    /// <summary>A slab of at least <paramref name="size"/> bytes, with one reference; null when the limit is reached.</summary>
    public Slab? TryRent(int size) => Interlocked.Read(ref _outstanding) + size > limit ? null : Rent(size);

    /// <summary>A slab of at least <paramref name="size"/> bytes, whatever is out.</summary>
    public Slab Rent(int size)
    {
        int level = size <= 1 << SmallestShift ? 0 : BitOperations.Log2((uint)size - 1) + 1 - SmallestShift;
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(level, Levels);
        int capacity = 1 << (level + SmallestShift);
        Interlocked.Add(ref _outstanding, capacity);
        Slab? slab;
        lock (_mu)
        {
            slab = _free[level];
            if (slab is not null)
            {
                _free[level] = slab.NextFree;
                slab.NextFree = null;
                _freeCount[level]--;
            }
        }

        slab ??= new Slab(this, GC.AllocateUninitializedArray<byte>(capacity, pinned: true), level);
        slab.Rented();
        return slab;
    }

    /// <summary>An empty packet with room for <paramref name="headroom"/> bytes before and <paramref name="room"/> bytes after; null when the limit is reached.</summary>
    public PacketBuffer? TryAllocate(int headroom, int room)
    {
        Slab? slab = TryRent(headroom + room);
        return slab is null ? null : Wrap(slab, headroom, 0);
    }

    /// <summary>As <see cref="TryAllocate"/>, for a small packet of a protocol itself (acknowledgements, ARP, ICMP errors): never null.</summary>
    public PacketBuffer Allocate(int headroom, int room) => Wrap(Rent(headroom + room), headroom, 0);

    /// <summary>A packet whose linear part is in <paramref name="slab"/>; the packet takes over the caller's reference.</summary>
    public PacketBuffer Wrap(Slab slab, int offset, int length)
    {
        PacketBuffer? packet;
        lock (_mu)
        {
            packet = _freePackets;
            if (packet is not null)
            {
                _freePackets = packet.Next;
                packet.Next = null;
                _freePacketCount--;
            }
        }

        packet ??= new PacketBuffer(this);
        Interlocked.Increment(ref _packets);
        packet.Start(slab, offset, length);
        return packet;
    }

    /// <summary>Lets go of what is kept for the next time.</summary>
    public void Trim()
    {
        lock (_mu)
        {
            Array.Clear(_free);
            Array.Clear(_freeCount);
            _freePackets = null;
            _freePacketCount = 0;
        }
    }

    internal void Return(Slab slab)
    {
        Interlocked.Add(ref _outstanding, -slab.Array.Length);
        lock (_mu)
        {
            if (_freeCount[slab.Level] * (long)slab.Array.Length < KeptBytes)
            {
                slab.NextFree = _free[slab.Level];
                _free[slab.Level] = slab;
                _freeCount[slab.Level]++;
            }
        }
    }

    /// <summary>Takes back a packet that has given up its slabs.</summary>
    internal void Return(PacketBuffer packet)
    {
        Interlocked.Decrement(ref _packets);
        lock (_mu)
        {
            if (_freePacketCount < KeptPackets)
            {
                packet.Next = _freePackets;
                _freePackets = packet;
                _freePacketCount++;
            }
        }
    }
}
