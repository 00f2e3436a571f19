using System;
using System.Collections.Generic;
using System.Text;

namespace Runsc.Shim.Wire;

/// <summary>Reads the fields of one protocol buffer message in the order in which they come. What the caller does not know it skips.</summary>
internal ref struct WireReader(ReadOnlySpan<byte> message)
{
    private ReadOnlySpan<byte> _rest = message;

    /// <summary>Number of the field at which the reader is.</summary>
    public int Field { get; private set; }

    public WireType Type { get; private set; }

    /// <summary>Goes to the next field; false at the end of the message. The field must then be read or skipped.</summary>
    /// <exception cref="WireException">What follows is not a field.</exception>
    public bool Next()
    {
        if (_rest.IsEmpty)
        {
            return false;
        }

        ulong tag = Varint();
        Field = tag >> 3 is > 0 and <= 0x1fffffff and ulong number ? (int)number : throw new WireException("a field has no valid number");
        Type = (WireType)(tag & 7);
        return true;
    }

    public ulong Unsigned() => Type == WireType.Varint ? Varint() : throw Wrong();

    public uint UnsignedInt() => unchecked((uint)Unsigned());

    public long Signed() => unchecked((long)Unsigned());

    public bool Flag() => Unsigned() != 0;

    public string Text() => Encoding.UTF8.GetString(Bytes());

    public ReadOnlySpan<byte> Bytes()
    {
        if (Type != WireType.Bytes)
        {
            throw Wrong();
        }

        ulong length = Varint();
        return length <= (ulong)_rest.Length ? Take((int)length) : throw new WireException($"field {Field} is longer than its message");
    }

    /// <summary>An entry of a map of texts.</summary>
    public void Entry(Dictionary<string, string> map)
    {
        WireReader entry = new(Bytes());
        string key = "", value = "";
        while (entry.Next())
        {
            switch (entry.Field)
            {
                case 1: key = entry.Text(); break;
                case 2: value = entry.Text(); break;
                default: entry.Skip(); break;
            }
        }

        map[key] = value;
    }

    public void Skip()
    {
        switch (Type)
        {
            case WireType.Varint: Varint(); break;
            case WireType.Fixed64: Take(8); break;
            case WireType.Bytes: Bytes(); break;
            case WireType.Fixed32: Take(4); break;
            default: throw Wrong();
        }
    }

    private readonly WireException Wrong() => new($"field {Field} has the unexpected wire type {(int)Type}");

    private ReadOnlySpan<byte> Take(int length)
    {
        if (length > _rest.Length)
        {
            throw new WireException("the message ends within a field");
        }

        ReadOnlySpan<byte> taken = _rest[..length];
        _rest = _rest[length..];
        return taken;
    }

    /// <summary>Seven bits a byte, the lowest first; at most ten bytes, of which the tenth may only be 1.</summary>
    private ulong Varint()
    {
        ulong value = 0;
        for (int i = 0; i < 10; i++)
        {
            byte part = Take(1)[0];
            if (i == 9 && part > 1)
            {
                break;
            }

            value |= (ulong)(part & 0x7f) << (7 * i);
            if (part < 0x80)
            {
                return value;
            }
        }

        throw new WireException("a number is longer than 64 bits");
    }
}
