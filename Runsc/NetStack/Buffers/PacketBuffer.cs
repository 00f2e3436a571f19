using System;
using Runsc.Common;

namespace Runsc.NetStack.Buffers;

/// <summary>A packet: a linear part with room in front for headers, then pieces of shared slabs (as Linux's sk_buff with its frags).</summary>
/// <remarks>
/// It has one owner. Passing it to a method that "takes" it passes the ownership, and the last owner calls <see cref="Release"/>.
/// Headers are read and written in the linear part, which <see cref="EnsureLinear"/> extends; the payload may be anywhere.
/// Bytes that were trimmed in front stay in place: <see cref="Rewind"/> brings the headers back for raw sockets and ICMP errors.
/// </remarks>
internal sealed partial class PacketBuffer
{
    /// <summary>Pieces that one packet may have: 64 KiB from a send buffer that was filled in small writes is made linear beyond that.</summary>
    public const int MaxFragments = 18;

    /// <summary>Room that a transport leaves in front for IP, Ethernet and virtio headers, with some IP options.</summary>
    public const int Headroom = 128;

    private readonly BufferPool _pool;
    private Fragment[]? _fragments;
    private int _fragmentCount;
    private int _fragmentBytes;
    private Slab? _head;
    private int _start;
    private int _end;

    internal PacketBuffer(BufferPool pool)
    {
        _pool = pool;
    }

    /// <summary>For the queue of its owner.</summary>
    public PacketBuffer? Next { get; set; }

    public BufferPool Pool => _pool;

    /// <summary>Bytes from the current front to the end.</summary>
    public int Length => _end - _start + _fragmentBytes;

    public int LinearLength => _end - _start;

    /// <summary>Bytes that <see cref="Prepend"/> can give.</summary>
    public int FrontRoom => _start;

    /// <summary>Bytes that <see cref="Append"/> can give.</summary>
    public int BackRoom => _fragmentCount == 0 ? _head!.Array.Length - _end : 0;

    /// <summary>Bytes of memory this packet keeps alive, for the limits of queues. Shared slabs count by what is used of them.</summary>
    public int Footprint => _head!.Array.Length + _fragmentBytes + 256;

    /// <summary>The linear part.</summary>
    public Span<byte> Linear => _head!.Array.AsSpan(_start, _end - _start);

    /// <summary>The linear part and the fragments, one after the other: 1 and more.</summary>
    public int ChunkCount => 1 + _fragmentCount;

    /// <summary>The current front, for <see cref="Rewind"/>.</summary>
    public int Position => _start;

    /// <summary>A piece of the packet: 0 is the linear part.</summary>
    public ReadOnlySpan<byte> Chunk(int index) => index == 0 ? Linear : _fragments![index - 1].Bytes;

    /// <summary>A piece of the packet as memory that stays in place, for host calls: 0 is the linear part.</summary>
    public ArraySegment<byte> ChunkMemory(int index)
    {
        if (index == 0)
        {
            return new ArraySegment<byte>(_head!.Array, _start, _end - _start);
        }

        ref Fragment fragment = ref _fragments![index - 1];
        return new ArraySegment<byte>(fragment.Slab.Array, fragment.Offset, fragment.Length);
    }

    /// <summary>Puts <paramref name="count"/> bytes, not cleared, in front; grows the linear part if there is no room.</summary>
    public Span<byte> Prepend(int count)
    {
        if (count > _start)
        {
            Relocate(count + Headroom, 0);
        }

        _start -= count;
        return _head!.Array.AsSpan(_start, count);
    }

    /// <summary>Puts <paramref name="count"/> bytes, not cleared, behind. Precondition: count is at most <see cref="BackRoom"/>.</summary>
    public Span<byte> Append(int count)
    {
        if (count > BackRoom)
        {
            Invariant.Fail("no room behind a packet");
        }

        _end += count;
        return _head!.Array.AsSpan(_end - count, count);
    }

    /// <summary>Puts a piece of a slab behind, retaining it. False when there are <see cref="MaxFragments"/> already.</summary>
    public bool TryAppend(Slab slab, int offset, int length)
    {
        if (length == 0)
        {
            return true;
        }

        if (_fragmentCount > 0)
        {
            ref Fragment last = ref _fragments![_fragmentCount - 1];
            if (last.Slab == slab && last.Offset + last.Length == offset)
            {
                last.Length += length;
                _fragmentBytes += length;
                return true;
            }
        }

        if (_fragmentCount == MaxFragments)
        {
            return false;
        }

        slab.Retain();
        _fragments ??= new Fragment[MaxFragments];
        _fragments[_fragmentCount++] = new Fragment { Slab = slab, Offset = offset, Length = length };
        _fragmentBytes += length;
        return true;
    }

    /// <summary>Puts a part of another packet behind: what is in its fragments is shared, what is in its linear part is copied.</summary>
    /// <remarks>False, with nothing or a part done, when there is no room for the copy or for a fragment; the caller then copies the whole.</remarks>
    public bool TryAppend(PacketBuffer source, int offset, int length)
    {
        for (int i = 0; i < source.ChunkCount && length > 0; i++)
        {
            int size = source.Chunk(i).Length;
            if (offset >= size)
            {
                offset -= size;
                continue;
            }

            int part = Math.Min(size - offset, length);
            if (i == 0)
            {
                if (part > BackRoom)
                {
                    return false;
                }

                source.Linear.Slice(offset, part).CopyTo(Append(part));
            }
            else
            {
                ref Fragment fragment = ref source._fragments![i - 1];
                if (!TryAppend(fragment.Slab, fragment.Offset + offset, part))
                {
                    return false;
                }
            }

            offset = 0;
            length -= part;
        }

        return length == 0;
    }

    /// <summary>Makes the first <paramref name="count"/> bytes linear; false if the packet is shorter. Spans taken before are no longer of this packet.</summary>
    public bool EnsureLinear(int count)
    {
        if (count <= LinearLength)
        {
            return true;
        }

        if (count > Length)
        {
            return false;
        }

        int missing = count - LinearLength;
        if (_head!.Array.Length - _end < missing || _head.IsShared)
        {
            Relocate(_start, missing);
        }

        int at = _end;
        _end += missing;
        while (missing > 0)
        {
            ref Fragment first = ref _fragments![0];
            int part = Math.Min(missing, first.Length);
            first.Bytes[..part].CopyTo(_head!.Array.AsSpan(at));
            at += part;
            missing -= part;
            TrimFirstFragment(part);
        }

        return true;
    }

    /// <summary>Moves the front over <paramref name="count"/> bytes. Precondition: the packet is that long.</summary>
    public void TrimFront(int count)
    {
        int linear = Math.Min(count, LinearLength);
        _start += linear;
        count -= linear;
        while (count > 0)
        {
            if (_fragmentCount == 0)
            {
                Invariant.Fail("a packet was trimmed beyond its end");
            }

            int part = Math.Min(count, _fragments![0].Length);
            TrimFirstFragment(part);
            count -= part;
        }
    }

    /// <summary>Moves the front back to where <see cref="Position"/> was; only over bytes that were linear.</summary>
    public void Rewind(int position)
    {
        if ((uint)position > (uint)_end)
        {
            Invariant.Fail("a packet was rewound beyond its linear part");
        }

        _start = position;
    }

    /// <summary>Cuts the packet to <paramref name="length"/> bytes; no effect if it is not longer.</summary>
    public void TrimTo(int length)
    {
        int excess = Length - length;
        while (excess > 0 && _fragmentCount > 0)
        {
            ref Fragment last = ref _fragments![_fragmentCount - 1];
            int part = Math.Min(excess, last.Length);
            last.Length -= part;
            _fragmentBytes -= part;
            excess -= part;
            if (last.Length == 0)
            {
                last.Slab.Release();
                last = default;
                _fragmentCount--;
            }
        }

        if (excess > 0)
        {
            _end -= excess;
        }
    }

    /// <summary>Copies out of the packet from <paramref name="offset"/> on; returns the bytes copied.</summary>
    public int CopyTo(int offset, Span<byte> target)
    {
        int done = 0;
        for (int i = 0; i < ChunkCount && done < target.Length; i++)
        {
            ReadOnlySpan<byte> chunk = Chunk(i);
            if (offset >= chunk.Length)
            {
                offset -= chunk.Length;
                continue;
            }

            ReadOnlySpan<byte> part = chunk[offset..];
            part = part[..Math.Min(part.Length, target.Length - done)];
            part.CopyTo(target[done..]);
            done += part.Length;
            offset = 0;
        }

        return done;
    }

    /// <summary>Adds a range of the packet to a checksum.</summary>
    public ulong Sum(int offset, int length, ulong sum)
    {
        bool odd = false;
        for (int i = 0; i < ChunkCount && length > 0; i++)
        {
            ReadOnlySpan<byte> chunk = Chunk(i);
            if (offset >= chunk.Length)
            {
                offset -= chunk.Length;
                continue;
            }

            chunk = chunk[offset..];
            chunk = chunk[..Math.Min(chunk.Length, length)];
            sum = odd ? Wire.Checksum.AddOdd(sum, chunk) : Wire.Checksum.Add(sum, chunk);
            odd ^= (chunk.Length & 1) != 0;
            length -= chunk.Length;
            offset = 0;
        }

        return sum;
    }

    /// <summary>A second packet of the same content and metadata: the linear part is copied, the fragments are shared. Null at the pool's limit.</summary>
    public PacketBuffer? TryClone()
    {
        Slab? slab = _pool.TryRent(Math.Max(_end, 1));
        if (slab is null)
        {
            return null;
        }

        _head!.Array.AsSpan(0, _end).CopyTo(slab.Array);
        PacketBuffer clone = _pool.Wrap(slab, _start, _end - _start);
        for (int i = 0; i < _fragmentCount; i++)
        {
            ref Fragment fragment = ref _fragments![i];
            clone.TryAppend(fragment.Slab, fragment.Offset, fragment.Length);
        }

        clone.CopyMetadata(this);
        return clone;
    }

    /// <summary>Gives the packet back. Only the owner, once.</summary>
    public void Release()
    {
        if (_head is null)
        {
            Invariant.Fail("a packet was released twice");
        }

        _head.Release();
        _head = null;
        for (int i = 0; i < _fragmentCount; i++)
        {
            _fragments![i].Slab.Release();
            _fragments[i] = default;
        }

        _fragmentCount = 0;
        _fragmentBytes = 0;
        ResetMetadata();
        _pool.Return(this);
    }

    internal void Start(Slab slab, int offset, int length)
    {
        _head = slab;
        _start = offset;
        _end = offset + length;
    }

    private void TrimFirstFragment(int count)
    {
        ref Fragment first = ref _fragments![0];
        first.Offset += count;
        first.Length -= count;
        _fragmentBytes -= count;
        if (first.Length == 0)
        {
            first.Slab.Release();
            _fragmentCount--;
            Array.Copy(_fragments, 1, _fragments, 0, _fragmentCount);
            _fragments[_fragmentCount] = default;
        }
    }

    /// <summary>Moves the linear part, with what was trimmed before it, to a slab of its own with the wanted room.</summary>
    private void Relocate(int front, int back)
    {
        int shift = front - _start;
        Slab slab = _pool.Rent(shift + _end + back);
        _head!.Array.AsSpan(0, _end).CopyTo(slab.Array.AsSpan(shift));
        _head.Release();
        _head = slab;
        _start += shift;
        _end += shift;
        Moved(shift);
    }

    private struct Fragment
    {
        public Slab Slab;
        public int Offset;
        public int Length;

        public readonly ReadOnlySpan<byte> Bytes => Slab.Array.AsSpan(Offset, Length);
    }
}
