using System;
using System.Buffers.Binary;
using System.Collections.Generic;
using System.Text;

namespace Runsc.Container.Systemd;

/// <summary>Values in the D-Bus wire format, little-endian: each on a border of its own size, counted from the start of the message's part.</summary>
internal sealed class BusWriter
{
    private readonly List<byte> _bytes = [];

    public int Length => _bytes.Count;

    public byte[] ToArray() => [.. _bytes];

    public BusWriter Align(int border)
    {
        while (_bytes.Count % border != 0)
        {
            _bytes.Add(0);
        }

        return this;
    }

    public BusWriter Byte(byte value)
    {
        _bytes.Add(value);
        return this;
    }

    public BusWriter UInt32(uint value)
    {
        _ = Align(4);
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, value);
        _bytes.AddRange(bytes);
        return this;
    }

    public BusWriter UInt64(ulong value)
    {
        _ = Align(8);
        Span<byte> bytes = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, value);
        _bytes.AddRange(bytes);
        return this;
    }

    /// <summary>A string or an object path.</summary>
    public BusWriter Text(string value)
    {
        byte[] text = Encoding.UTF8.GetBytes(value);
        _ = UInt32((uint)text.Length);
        _bytes.AddRange(text);
        _bytes.Add(0);
        return this;
    }

    public BusWriter Signature(string value)
    {
        _bytes.Add((byte)value.Length);
        _bytes.AddRange(Encoding.ASCII.GetBytes(value));
        _bytes.Add(0);
        return this;
    }

    /// <summary>An array of what <paramref name="write"/> writes.</summary>
    /// <param name="border">Of its elements.</param>
    /// <param name="write">All elements.</param>
    public BusWriter Array(int border, Action write)
    {
        _ = UInt32(0);
        int lengthAt = _bytes.Count - 4;
        _ = Align(border);
        int begin = _bytes.Count;
        write();
        Span<byte> length = stackalloc byte[4];
        BinaryPrimitives.WriteInt32LittleEndian(length, _bytes.Count - begin);
        for (int i = 0; i < 4; i++)
        {
            _bytes[lengthAt + i] = length[i];
        }

        return this;
    }
}
