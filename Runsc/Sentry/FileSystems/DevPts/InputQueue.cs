using System;

namespace Runsc.Sentry.FileSystems.DevPts;

/// <summary>
/// Input that the line discipline has taken: finished lines, then the line being edited. A line ends at a marked byte; an end-of-file character is a marked 0.
/// Not thread-safe. Positions grow for ever; a position's place is its remainder.
/// </summary>
internal sealed class InputQueue
{
    public const int Size = 4096;

    private readonly byte[] _bytes = new byte[Size];
    private readonly ulong[] _marks = new ulong[Size / 64];

    public long Head { get; private set; }

    public long Tail { get; private set; }

    /// <summary>Where the line that is being edited begins; without canonical mode of no meaning.</summary>
    public long LineStart { get; private set; }

    public int Count => (int)(Head - Tail);

    /// <summary>Bytes of finished lines.</summary>
    public int FinishedCount => (int)(LineStart - Tail);

    public byte this[long position] => _bytes[position & (Size - 1)];

    public bool IsMarked(long position) => (_marks[(position & (Size - 1)) >> 6] >> (int)(position & 63) & 1) != 0;

    public void Put(byte c)
    {
        _bytes[Head & (Size - 1)] = c;
        _marks[(Head & (Size - 1)) >> 6] &= ~(1UL << (int)(Head & 63));
        Head++;
    }

    /// <summary>The last byte of a line.</summary>
    public void PutLineEnd(byte c)
    {
        Put(c);
        Mark(Head - 1);
        LineStart = Head;
    }

    private void Mark(long position) => _marks[(position & (Size - 1)) >> 6] |= 1UL << (int)(position & 63);

    /// <summary>Drops the end of the line that is being edited.</summary>
    public void TruncateTo(long head) => Head = head;

    public void Clear()
    {
        Tail = LineStart = Head;
        Array.Clear(_marks);
    }

    /// <summary>Canonical mode begins or ends: with it, what is there counts as one line.</summary>
    public void Reinterpret(bool canonical)
    {
        Array.Clear(_marks);
        if (canonical && Count > 0)
        {
            Mark(Head - 1);
            LineStart = Head;
        }
        else
        {
            LineStart = Tail;
        }
    }

    /// <summary>Takes bytes without regard to lines.</summary>
    public int Take(Span<byte> bytes)
    {
        int n = Math.Min(bytes.Length, Count);
        int start = (int)(Tail & (Size - 1)), part = Math.Min(n, Size - start);
        _bytes.AsSpan(start, part).CopyTo(bytes);
        _bytes.AsSpan(0, n - part).CopyTo(bytes[part..]);
        Tail += n;
        LineStart = Math.Max(LineStart, Tail);
        return n;
    }

    /// <summary>Takes bytes of one line; <paramref name="ended"/>: the line is at its end. An end-of-file character is taken, not given.</summary>
    public int TakeLine(Span<byte> bytes, out bool ended)
    {
        ended = false;
        int n = 0;
        while (Tail < LineStart)
        {
            byte c = this[Tail];
            bool marked = IsMarked(Tail);
            bool endOfFile = marked && c == 0;
            if (!endOfFile && n == bytes.Length)
            {
                return n;
            }

            Tail++;
            if (!endOfFile)
            {
                bytes[n++] = c;
            }

            if (marked)
            {
                ended = true;
                return n;
            }
        }

        return n;
    }

    /// <summary>FIONREAD in canonical mode: bytes of finished lines, end-of-file characters not counted.</summary>
    public int CountFinished()
    {
        int count = FinishedCount;
        for (long i = Tail; i < LineStart; i++)
        {
            if (this[i] == 0 && IsMarked(i))
            {
                count--;
            }
        }

        return count;
    }
}
