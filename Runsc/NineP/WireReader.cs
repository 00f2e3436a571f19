using System;
using System.Buffers.Binary;

namespace Runsc.NineP;

/// <summary>Reads the fields of a message. A field past the end gives zeros and sets <see cref="Failed"/>; nothing throws, whatever the peer wrote.</summary>
internal ref struct WireReader(ReadOnlySpan<byte> bytes)
{
    private ReadOnlySpan<byte> _rest = bytes;

    /// <summary>Some field did not fit the message.</summary>
    public bool Failed { get; private set; }

    /// <summary>All fields were there, and nothing follows them.</summary>
    public readonly bool IsComplete => !Failed && _rest.IsEmpty;

    public readonly int Remaining => _rest.Length;

    public byte UInt8()
    {
        ReadOnlySpan<byte> field = Take(1);
        return field.IsEmpty ? (byte)0 : field[0];
    }

    public ushort UInt16()
    {
        ReadOnlySpan<byte> field = Take(2);
        return field.IsEmpty ? (ushort)0 : BinaryPrimitives.ReadUInt16LittleEndian(field);
    }

    public uint UInt32()
    {
        ReadOnlySpan<byte> field = Take(4);
        return field.IsEmpty ? 0 : BinaryPrimitives.ReadUInt32LittleEndian(field);
    }

    public ulong UInt64()
    {
        ReadOnlySpan<byte> field = Take(8);
        return field.IsEmpty ? 0 : BinaryPrimitives.ReadUInt64LittleEndian(field);
    }

    /// <summary>length[2] and so many bytes, in place.</summary>
    public ReadOnlySpan<byte> String() => Take(UInt16());

    /// <summary>count[4] and so many bytes, in place.</summary>
    public ReadOnlySpan<byte> Data()
    {
        uint count = UInt32();
        if (count > (uint)_rest.Length)
        {
            Failed = true;
            return default;
        }

        return Take((int)count);
    }

    private ReadOnlySpan<byte> Take(int count)
    {
        if (Failed || count > _rest.Length)
        {
            Failed = true;
            _rest = default;
            return default;
        }

        ReadOnlySpan<byte> field = _rest[..count];
        _rest = _rest[count..];
        return field;
    }
}
