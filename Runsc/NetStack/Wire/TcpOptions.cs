using System;
using System.Buffers.Binary;
using System.Runtime.CompilerServices;

namespace Runsc.NetStack.Wire;

/// <summary>The options of a TCP header that this stack knows: MSS, window scale, SACK, timestamps and fast open. A value, for both directions.</summary>
internal struct TcpOptions
{
    public const int MaxSackBlocks = 4;
    public const int MaxCookie = 16;

    /// <summary>Timestamps with the padding that aligns them.</summary>
    public const int TimestampSize = 12;

    private const byte End = 0;
    private const byte Nop = 1;
    private const byte MaximumSegmentSize = 2;
    private const byte WindowScaleKind = 3;
    private const byte SackPermittedKind = 4;
    private const byte Sack = 5;
    private const byte Timestamps = 8;
    private const byte FastOpen = 34;

    /// <summary>0 if the option is not there.</summary>
    public ushort Mss;

    public bool HasWindowScale;

    /// <summary>At most 14 (RFC 7323, 2.3).</summary>
    public byte WindowScale;

    public bool SackPermitted;
    public bool HasTimestamps;
    public uint TimestampValue;
    public uint TimestampEcho;

    public int SackCount;
    public SackBlocks Blocks;

    /// <summary>The option is there: empty it asks for a cookie (RFC 7413).</summary>
    public bool HasFastOpen;
    public int CookieLength;
    public CookieBytes Cookie;

    /// <summary>Reads options; those of a wrong length are passed over, and what is cut off ends the list, as on Linux.</summary>
    public static void Parse(ReadOnlySpan<byte> bytes, bool isSyn, out TcpOptions options)
    {
        options = default;
        int i = 0;
        while (i < bytes.Length)
        {
            byte kind = bytes[i];
            if (kind == End)
            {
                return;
            }

            if (kind == Nop)
            {
                i++;
                continue;
            }

            if (i + 1 >= bytes.Length)
            {
                return;
            }

            int length = bytes[i + 1];
            if (length < 2 || i + length > bytes.Length)
            {
                return;
            }

            options.Take(kind, bytes.Slice(i + 2, length - 2), isSyn);
            i += length;
        }
    }

    /// <summary>Writes the options with their padding; returns a multiple of 4 that is at most 40.</summary>
    public readonly int Write(Span<byte> bytes)
    {
        int i = 0;
        if (Mss != 0)
        {
            bytes[i] = MaximumSegmentSize;
            bytes[i + 1] = 4;
            BinaryPrimitives.WriteUInt16BigEndian(bytes[(i + 2)..], Mss);
            i += 4;
        }

        if (HasTimestamps)
        {
            // A SYN puts the SACK permission where the padding of the timestamps would be.
            bytes[i] = SackPermitted ? SackPermittedKind : Nop;
            bytes[i + 1] = SackPermitted ? (byte)2 : Nop;
            bytes[i + 2] = Timestamps;
            bytes[i + 3] = 10;
            BinaryPrimitives.WriteUInt32BigEndian(bytes[(i + 4)..], TimestampValue);
            BinaryPrimitives.WriteUInt32BigEndian(bytes[(i + 8)..], TimestampEcho);
            i += TimestampSize;
        }
        else if (SackPermitted)
        {
            bytes[i] = Nop;
            bytes[i + 1] = Nop;
            bytes[i + 2] = SackPermittedKind;
            bytes[i + 3] = 2;
            i += 4;
        }

        if (HasWindowScale)
        {
            bytes[i] = Nop;
            bytes[i + 1] = WindowScaleKind;
            bytes[i + 2] = 3;
            bytes[i + 3] = WindowScale;
            i += 4;
        }

        if (SackCount > 0)
        {
            bytes[i] = Nop;
            bytes[i + 1] = Nop;
            bytes[i + 2] = Sack;
            bytes[i + 3] = (byte)(2 + (8 * SackCount));
            i += 4;
            for (int n = 0; n < SackCount; n++)
            {
                BinaryPrimitives.WriteUInt32BigEndian(bytes[i..], Blocks[n].Start);
                BinaryPrimitives.WriteUInt32BigEndian(bytes[(i + 4)..], Blocks[n].End);
                i += 8;
            }
        }

        if (HasFastOpen && i + 2 + CookieLength <= TcpHeader.MaxOptions)
        {
            bytes[i] = FastOpen;
            bytes[i + 1] = (byte)(2 + CookieLength);
            ((ReadOnlySpan<byte>)Cookie)[..CookieLength].CopyTo(bytes[(i + 2)..]);
            i += 2 + CookieLength;
            while ((i & 3) != 0)
            {
                bytes[i++] = Nop;
            }
        }

        return i;
    }

    private void Take(byte kind, ReadOnlySpan<byte> value, bool isSyn)
    {
        switch (kind)
        {
            case MaximumSegmentSize when isSyn && value.Length == 2:
                Mss = BinaryPrimitives.ReadUInt16BigEndian(value);
                break;
            case WindowScaleKind when isSyn && value.Length == 1:
                HasWindowScale = true;
                WindowScale = Math.Min(value[0], (byte)14);
                break;
            case SackPermittedKind when isSyn && value.Length == 0:
                SackPermitted = true;
                break;
            case Timestamps when value.Length == 8:
                HasTimestamps = true;
                TimestampValue = BinaryPrimitives.ReadUInt32BigEndian(value);
                TimestampEcho = BinaryPrimitives.ReadUInt32BigEndian(value[4..]);
                break;
            case Sack when !isSyn && value.Length >= 8 && value.Length % 8 == 0:
                SackCount = Math.Min(value.Length / 8, MaxSackBlocks);
                for (int n = 0; n < SackCount; n++)
                {
                    Blocks[n] = new SackBlock(BinaryPrimitives.ReadUInt32BigEndian(value[(n * 8)..]), BinaryPrimitives.ReadUInt32BigEndian(value[((n * 8) + 4)..]));
                }

                break;
            case FastOpen when isSyn && (value.Length == 0 || (value.Length is >= 4 and <= MaxCookie && value.Length % 2 == 0)):
                HasFastOpen = true;
                CookieLength = value.Length;
                value.CopyTo(Cookie);
                break;
        }
    }

    [InlineArray(MaxSackBlocks)]
    internal struct SackBlocks
    {
        private SackBlock _element;
    }

    [InlineArray(MaxCookie)]
    internal struct CookieBytes
    {
        private byte _element;
    }
}
