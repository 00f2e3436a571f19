using System;
using System.Text;

namespace Runsc.Shim.Wire;

/// <summary>
/// Builds one protocol buffer message. As in proto3, fields with the value that a reader assumes anyway (0, false, nothing) are left out;
/// messages within are written even when they are empty.
/// </summary>
internal sealed class WireWriter
{
    private byte[] _buffer = new byte[64];
    private int _length;

    public ReadOnlySpan<byte> Written => _buffer.AsSpan(0, _length);

    public byte[] ToArray() => Written.ToArray();

    public WireWriter Unsigned(int field, ulong value)
    {
        if (value != 0)
        {
            Tag(field, WireType.Varint);
            Varint(value);
        }

        return this;
    }

    public WireWriter Signed(int field, long value) => Unsigned(field, unchecked((ulong)value));

    public WireWriter Flag(int field, bool value) => Unsigned(field, value ? 1u : 0);

    public WireWriter Text(int field, string? value) => string.IsNullOrEmpty(value) ? this : Message(field, Encoding.UTF8.GetBytes(value));

    public WireWriter Bytes(int field, ReadOnlySpan<byte> value) => value.IsEmpty ? this : Message(field, value);

    public WireWriter Message(int field, WireWriter message) => Message(field, message.Written);

    public WireWriter Message(int field, ReadOnlySpan<byte> message)
    {
        Tag(field, WireType.Bytes);
        Varint((ulong)message.Length);
        Ensure(message.Length);
        message.CopyTo(_buffer.AsSpan(_length));
        _length += message.Length;
        return this;
    }

    private void Tag(int field, WireType type) => Varint(((ulong)field << 3) | (ulong)type);

    private void Varint(ulong value)
    {
        Ensure(10);
        while (value >= 0x80)
        {
            _buffer[_length++] = (byte)((value & 0x7f) | 0x80);
            value >>= 7;
        }

        _buffer[_length++] = (byte)value;
    }

    private void Ensure(int more)
    {
        if (_length + more > _buffer.Length)
        {
            Array.Resize(ref _buffer, Math.Max(_buffer.Length * 2, _length + more));
        }
    }
}
