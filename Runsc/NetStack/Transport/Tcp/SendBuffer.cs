using System;
using Runsc.NetStack.Buffers;

namespace Runsc.NetStack.Transport.Tcp;

/// <summary>The bytes from the oldest unacknowledged one to the end of what was written, as pieces of slabs that segments share. Guarded by the stack's lock.</summary>
/// <remarks>
/// The bytes stand at sequence numbers from <see cref="Start"/> to <see cref="End"/>. Small writes are copied behind one another into
/// one slab, so the memory held stays near what was written; a large write hands over its slab.
/// </remarks>
internal sealed class SendBuffer
{
    /// <summary>What a piece costs beside its bytes.</summary>
    private const int Overhead = 64;

    private const int SmallSlab = 2048;
    private const int LargeSlab = 32768;

    private Piece[] _pieces = new Piece[8];
    private int _first;
    private int _count;

    // Bytes of the last piece's slab that only this buffer writes, or 0.
    private int _tailRoom;

    public SeqNum Start { get; private set; }

    public SeqNum End { get; private set; }

    public int Length => End - Start;

    /// <summary>Memory that the pieces keep, for the limit of the socket and of the stack.</summary>
    public int Charged { get; private set; }

    /// <summary>Begins at a sequence number. Precondition: empty.</summary>
    public void Reset(SeqNum start)
    {
        Start = start;
        End = start;
    }

    /// <summary>Copies bytes behind; returns how many: fewer when the pool is at its limit.</summary>
    public int Append(ReadOnlySpan<byte> data, BufferPool pool)
    {
        int done = 0;
        while (done < data.Length)
        {
            if (_tailRoom == 0)
            {
                int left = data.Length - done;
                Slab? slab = pool.TryRent(left > SmallSlab ? Math.Min(left, LargeSlab) : SmallSlab);
                if (slab is null)
                {
                    break;
                }

                Push(new Piece { Slab = slab, Seq = End, Charge = slab.Array.Length + Overhead });
                _tailRoom = slab.Array.Length;
            }

            ref Piece last = ref At(_count - 1);
            int part = Math.Min(_tailRoom, data.Length - done);
            data.Slice(done, part).CopyTo(last.Slab.Array.AsSpan(last.Offset + last.Length));
            last.Length += part;
            _tailRoom -= part;
            End += part;
            done += part;
        }

        return done;
    }

    /// <summary>Puts a piece of the caller's slab behind, retaining it: its bytes do not change any more.</summary>
    public void Append(Slab slab, int offset, int length)
    {
        if (length == 0)
        {
            return;
        }

        if (_count > 0)
        {
            ref Piece last = ref At(_count - 1);
            if (last.Slab == slab && last.Offset + last.Length == offset)
            {
                last.Length += length;
                last.Charge += length;
                Charged += length;
                End += length;
                return;
            }
        }

        slab.Retain();
        Push(new Piece { Slab = slab, Offset = offset, Length = length, Seq = End, Charge = length + Overhead });
        _tailRoom = 0;
        End += length;
    }

    /// <summary>Shares bytes with a packet; returns how many: fewer when the packet has no room for more pieces.</summary>
    public int AddTo(PacketBuffer packet, SeqNum seq, int length)
    {
        int done = 0;
        for (int i = Find(seq); done < length && i < _count; i++)
        {
            ref Piece piece = ref At(i);
            int skip = seq + done - piece.Seq;
            int part = Math.Min(piece.Length - skip, length - done);
            if (!packet.TryAppend(piece.Slab, piece.Offset + skip, part))
            {
                break;
            }

            done += part;
        }

        return done;
    }

    /// <summary>Copies bytes from a sequence number on. Precondition: they are all here.</summary>
    public void CopyTo(SeqNum seq, Span<byte> target)
    {
        for (int i = Find(seq); !target.IsEmpty; i++)
        {
            ref Piece piece = ref At(i);
            int skip = seq - piece.Seq;
            int part = Math.Min(piece.Length - skip, target.Length);
            piece.Slab.Array.AsSpan(piece.Offset + skip, part).CopyTo(target);
            target = target[part..];
            seq += part;
        }
    }

    /// <summary>Lets go of the bytes before <paramref name="una"/>.</summary>
    public void ReleaseTo(SeqNum una)
    {
        if (una <= Start)
        {
            return;
        }

        una = SeqNum.Min(una, End);
        while (_count > 0)
        {
            ref Piece first = ref At(0);
            if (first.Seq + first.Length > una)
            {
                break;
            }

            Charged -= first.Charge;
            first.Slab.Release();
            first = default;
            _first = (_first + 1) & (_pieces.Length - 1);
            _count--;
        }

        if (_count == 0)
        {
            _tailRoom = 0;
            _first = 0;
        }

        Start = una;
    }

    public void Clear() => ReleaseTo(End);

    private ref Piece At(int index) => ref _pieces[(_first + index) & (_pieces.Length - 1)];

    private void Push(in Piece piece)
    {
        if (_count == _pieces.Length)
        {
            Piece[] larger = new Piece[_pieces.Length * 2];
            for (int i = 0; i < _count; i++)
            {
                larger[i] = At(i);
            }

            _pieces = larger;
            _first = 0;
        }

        _count++;
        At(_count - 1) = piece;
        Charged += piece.Charge;
    }

    /// <summary>The piece that has the byte at <paramref name="seq"/>.</summary>
    private int Find(SeqNum seq)
    {
        int low = 0;
        int high = _count - 1;
        while (low < high)
        {
            int middle = (low + high + 1) >>> 1;
            if (At(middle).Seq <= seq)
            {
                low = middle;
            }
            else
            {
                high = middle - 1;
            }
        }

        return low;
    }

    private struct Piece
    {
        public Slab Slab;
        public int Offset;
        public int Length;
        public int Charge;
        public SeqNum Seq;
    }
}
