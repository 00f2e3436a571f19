using System;
using System.Buffers.Binary;

namespace Runsc.NineP;

/// <summary>Writes a message into a buffer, header first. What does not fit is left out and sets <see cref="Failed"/>.</summary>
internal ref struct WireWriter
{
    private readonly Span<byte> _buffer;

    public WireWriter(Span<byte> buffer, byte type, ushort tag)
    {
        _buffer = buffer;
        Length = Protocol.HeaderSize;
        buffer[4] = type;
        BinaryPrimitives.WriteUInt16LittleEndian(buffer[5..], tag);
    }

    public bool Failed { get; private set; }

    /// <summary>Bytes of the message so far, with the header.</summary>
    public int Length { get; private set; }

    public readonly int Room => _buffer.Length - Length;

    /// <summary>The message, its size filled in.</summary>
    public readonly ReadOnlySpan<byte> Finish()
    {
        BinaryPrimitives.WriteUInt32LittleEndian(_buffer, (uint)Length);
        return _buffer[..Length];
    }

    public void UInt8(byte value)
    {
        Span<byte> field = Take(1);
        if (!field.IsEmpty)
        {
            field[0] = value;
        }
    }

    public void UInt16(ushort value)
    {
        Span<byte> field = Take(2);
        if (!field.IsEmpty)
        {
            BinaryPrimitives.WriteUInt16LittleEndian(field, value);
        }
    }

    public void UInt32(uint value)
    {
        Span<byte> field = Take(4);
        if (!field.IsEmpty)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(field, value);
        }
    }

    public void UInt64(ulong value)
    {
        Span<byte> field = Take(8);
        if (!field.IsEmpty)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(field, value);
        }
    }

    /// <summary>length[2] and the bytes.</summary>
    public void String(ReadOnlySpan<byte> value)
    {
        if (value.Length > ushort.MaxValue)
        {
            Failed = true;
            return;
        }

        UInt16((ushort)value.Length);
        value.CopyTo(Take(value.Length));
    }

    /// <summary>count[4] and the bytes.</summary>
    public void Data(ReadOnlySpan<byte> value)
    {
        UInt32((uint)value.Length);
        Span<byte> field = Take(value.Length);
        if (field.Length == value.Length)
        {
            value.CopyTo(field);
        }
    }

    /// <summary>Room for count[4] and up to <paramref name="max"/> bytes that the caller fills in place; then <see cref="EndData"/>.</summary>
    public readonly Span<byte> BeginData(int max) => Room <= 4 ? default : _buffer.Slice(Length + 4, Math.Min(max, Room - 4));

    public void EndData(int count)
    {
        UInt32((uint)count);
        Take(count);
    }

    /// <summary>Forgets all fields after <paramref name="length"/>.</summary>
    public void Rewind(int length)
    {
        Length = length;
        Failed = false;
    }

    /// <summary>Puts a value into a field that was written before.</summary>
    public readonly void PatchUInt32(int at, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(_buffer[at..], value);

    /// <inheritdoc cref="PatchUInt32"/>
    public readonly void PatchUInt16(int at, ushort value) => BinaryPrimitives.WriteUInt16LittleEndian(_buffer[at..], value);

    private Span<byte> Take(int count)
    {
        if (Failed || count > Room)
        {
            Failed = true;
            return default;
        }

        Span<byte> field = _buffer.Slice(Length, count);
        Length += count;
        return field;
    }
}
