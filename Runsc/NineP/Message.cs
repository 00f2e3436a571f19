using System;
using System.Buffers.Binary;

namespace Runsc.NineP;

/// <summary>Sizes that both ends agree on. A message is size[4] type[1] tag[2] body; one packet of the socket carries one message.</summary>
internal static class Message
{
    public const string Version = "9P2000.L.runsc";

    /// <summary>Largest message (msize).</summary>
    public const int MaxSize = 96 << 10;

    public const int HeaderSize = 7;

    /// <summary>Longest name of a directory entry.</summary>
    public const int MaxName = 255;

    /// <summary>Longest link target or path-like string.</summary>
    public const int MaxString = 4096;

    /// <summary>Largest extended attribute or list of names.</summary>
    public const int MaxXattr = 65536;
}

/// <summary>Writes a message into a buffer that is known to be large enough.</summary>
internal ref struct MessageWriter
{
    private readonly Span<byte> _buffer;
    private int _at;

    public MessageWriter(Span<byte> buffer, MessageType type)
    {
        _buffer = buffer;
        _buffer[4] = (byte)type;
        _buffer[5] = _buffer[6] = 0;
        _at = Message.HeaderSize;
    }

    public int Length => _at;

    /// <summary>Bytes that still fit.</summary>
    public readonly int Room => _buffer.Length - _at;

    public void Byte(byte value) => _buffer[_at++] = value;

    public void UInt(uint value)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(_buffer[_at..], value);
        _at += 4;
    }

    public void ULong(ulong value)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(_buffer[_at..], value);
        _at += 8;
    }

    /// <summary>A string: two bytes of length, then the bytes.</summary>
    public void String(scoped ReadOnlySpan<byte> value)
    {
        BinaryPrimitives.WriteUInt16LittleEndian(_buffer[_at..], checked((ushort)value.Length));
        _at += 2;
        Bytes(value);
    }

    public void Bytes(scoped ReadOnlySpan<byte> value)
    {
        value.CopyTo(_buffer[_at..]);
        _at += value.Length;
    }

    /// <summary>A place for a number that is known later.</summary>
    public int Reserve()
    {
        _at += 4;
        return _at - 4;
    }

    public readonly void Patch(int place, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(_buffer[place..], value);

    /// <summary>The whole message.</summary>
    public readonly ReadOnlySpan<byte> Finish()
    {
        BinaryPrimitives.WriteUInt32LittleEndian(_buffer, (uint)_at);
        return _buffer[.._at];
    }
}

/// <summary>Reads a message that the other end has written: anything may be in it. After a bad read all values are zero and <see cref="IsBad"/> is set.</summary>
internal ref struct MessageReader
{
    private ReadOnlySpan<byte> _rest;

    public MessageReader(ReadOnlySpan<byte> message)
    {
        if (message.Length < Message.HeaderSize || BinaryPrimitives.ReadUInt32LittleEndian(message) != message.Length)
        {
            IsBad = true;
            return;
        }

        Type = (MessageType)message[4];
        _rest = message[Message.HeaderSize..];
    }

    public MessageType Type { get; }

    public bool IsBad { get; private set; }

    /// <summary>Everything was read, and nothing was bad.</summary>
    public readonly bool IsComplete => !IsBad && _rest.IsEmpty;

    private ReadOnlySpan<byte> Take(int count)
    {
        if (IsBad || count > _rest.Length)
        {
            IsBad = true;
            return default;
        }

        ReadOnlySpan<byte> part = _rest[..count];
        _rest = _rest[count..];
        return part;
    }

    public byte Byte()
    {
        ReadOnlySpan<byte> part = Take(1);
        return part.IsEmpty ? (byte)0 : part[0];
    }

    public uint UInt()
    {
        ReadOnlySpan<byte> part = Take(4);
        return part.IsEmpty ? 0 : BinaryPrimitives.ReadUInt32LittleEndian(part);
    }

    public ulong ULong()
    {
        ReadOnlySpan<byte> part = Take(8);
        return part.IsEmpty ? 0 : BinaryPrimitives.ReadUInt64LittleEndian(part);
    }

    /// <summary>A string of at most <paramref name="limit"/> bytes.</summary>
    public ReadOnlySpan<byte> String(int limit)
    {
        ReadOnlySpan<byte> part = Take(2);
        int length = part.IsEmpty ? 0 : BinaryPrimitives.ReadUInt16LittleEndian(part);
        if (length > limit)
        {
            IsBad = true;
        }

        return Take(length);
    }

    /// <summary>A count and so many bytes.</summary>
    public ReadOnlySpan<byte> Blob(int limit)
    {
        uint length = UInt();
        if (length > limit)
        {
            IsBad = true;
            return default;
        }

        return Take((int)length);
    }
}
