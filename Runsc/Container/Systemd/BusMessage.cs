using System;
using System.Buffers.Binary;
using System.Collections.Generic;
using System.Text;
using Runsc.Common;

namespace Runsc.Container.Systemd;

/// <summary>A message of D-Bus, as far as a client of one service needs it.</summary>
internal sealed class BusMessage
{
    public const byte MethodCall = 1, MethodReturn = 2, Error = 3, Signal = 4;

    /// <summary>Numbers of header fields.</summary>
    public const byte Path = 1, Interface = 2, Member = 3, ErrorName = 4, ReplySerial = 5, Destination = 6, Sender = 7, SignatureField = 8;

    /// <summary>The part before the header fields.</summary>
    public const int FixedSize = 16;

    // Nothing that systemd says to us is long.
    private const int MaxSize = 1 << 20;

    public byte Type { get; private init; }

    public uint Serial { get; private init; }

    /// <summary>Strings among the header fields.</summary>
    public Dictionary<byte, string> Fields { get; } = [];

    public uint Answers { get; private set; }

    public byte[] Body { get; private init; } = [];

    /// <summary>A message's bytes.</summary>
    public static byte[] Write(byte type, uint serial, IReadOnlyList<(byte Field, string Value)> fields, uint answers, BusWriter body)
    {
        BusWriter writer = new();
        _ = writer.Byte((byte)'l').Byte(type).Byte(0).Byte(1).UInt32((uint)body.Length).UInt32(serial).Array(8, () =>
        {
            foreach ((byte field, string value) in fields)
            {
                _ = writer.Align(8).Byte(field);
                _ = field == SignatureField ? writer.Signature("g").Signature(value) : writer.Signature(field == Path ? "o" : "s").Text(value);
            }

            if (answers != 0)
            {
                _ = writer.Align(8).Byte(ReplySerial).Signature("u").UInt32(answers);
            }
        }).Align(8);
        return [.. writer.ToArray(), .. body.ToArray()];
    }

    /// <summary>Bytes of a message whose first <see cref="FixedSize"/> are given.</summary>
    /// <exception cref="RunscException">It is none.</exception>
    public static int SizeOf(ReadOnlySpan<byte> start)
    {
        uint body = BinaryPrimitives.ReadUInt32LittleEndian(start[4..]), fields = BinaryPrimitives.ReadUInt32LittleEndian(start[12..]);
        return start[0] == 'l' && body <= MaxSize && fields <= MaxSize
            ? FixedSize + (((int)fields + 7) & ~7) + (int)body
            : throw new RunscException("systemd has answered what is no message of D-Bus");
    }

    /// <exception cref="RunscException">It is none.</exception>
    public static BusMessage Read(byte[] bytes)
    {
        int end = FixedSize + BinaryPrimitives.ReadInt32LittleEndian(bytes.AsSpan(12));
        BusMessage message = new() { Type = bytes[1], Serial = BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(8)), Body = bytes[((end + 7) & ~7)..] };
        try
        {
            for (int at = FixedSize; at < end;)
            {
                at = (at + 7) & ~7;
                byte field = bytes[at++];
                char type = (char)bytes[at + 1];
                at += bytes[at] + 2;
                switch (type)
                {
                    case 's' or 'o':
                        message.Fields[field] = ReadText(bytes, ref at);
                        break;
                    case 'g':
                        at += bytes[at] + 2;
                        break;
                    case 'u':
                        uint number = ReadUInt32(bytes, ref at);
                        message.Answers = field == ReplySerial ? number : message.Answers;
                        break;
                    default:
                        throw new RunscException("systemd has answered a message with an unknown header");
                }
            }
        }
        catch (Exception error) when (error is ArgumentException or IndexOutOfRangeException)
        {
            throw new RunscException("systemd has answered what is no message of D-Bus");
        }

        return message;
    }

    public static uint ReadUInt32(ReadOnlySpan<byte> bytes, ref int at)
    {
        at = (at + 3) & ~3;
        at += 4;
        return BinaryPrimitives.ReadUInt32LittleEndian(bytes[(at - 4)..]);
    }

    public static string ReadText(ReadOnlySpan<byte> bytes, ref int at)
    {
        int length = (int)ReadUInt32(bytes, ref at);
        string text = Encoding.UTF8.GetString(bytes.Slice(at, length));
        at += length + 1;
        return text;
    }
}
