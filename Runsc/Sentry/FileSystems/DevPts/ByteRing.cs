using System;

namespace Runsc.Sentry.FileSystems.DevPts;

/// <summary>A queue of bytes with a fixed capacity. Not thread-safe.</summary>
internal sealed class ByteRing(int capacity)
{
    // Made when first needed: most terminals never use all of their queues.
    private byte[]? _bytes;
    private int _first;

    public int Count { get; private set; }

    public int Free => capacity - Count;

    /// <summary>Appends as many bytes as fit: their number.</summary>
    public int Write(ReadOnlySpan<byte> bytes)
    {
        int n = Math.Min(bytes.Length, Free);
        if (n == 0)
        {
            return 0;
        }

        _bytes ??= new byte[capacity];
        int start = (_first + Count) % capacity, part = Math.Min(n, capacity - start);
        bytes[..part].CopyTo(_bytes.AsSpan(start));
        bytes[part..n].CopyTo(_bytes);
        Count += n;
        return n;
    }

    /// <summary>Takes as many bytes as there are and fit: their number.</summary>
    public int Read(Span<byte> bytes)
    {
        int n = Math.Min(bytes.Length, Count);
        if (n == 0)
        {
            return 0;
        }

        int part = Math.Min(n, capacity - _first);
        _bytes.AsSpan(_first, part).CopyTo(bytes);
        _bytes.AsSpan(0, n - part).CopyTo(bytes[part..]);
        _first = (_first + n) % capacity;
        Count -= n;
        return n;
    }

    public void Clear() => _first = Count = 0;

    /// <summary>Drops what was written last, so that at most <paramref name="count"/> bytes stay.</summary>
    public void Truncate(int count) => Count = Math.Min(Count, count);
}
