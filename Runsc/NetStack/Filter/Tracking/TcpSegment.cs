using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Filter.Tracking;

/// <summary>A segment as connection tracking looks at it.</summary>
internal struct TcpSegment
{
    public TcpHeader Header;
    public TcpOptions Options;

    /// <summary>One beyond its last sequence number; SYN and FIN have one each.</summary>
    public uint End;

    public readonly bool Has(TcpFlags flag) => (Header.Flags & flag) != 0;

    /// <summary>Reads a segment; false where its flags make no sense or it is cut off.</summary>
    public static bool TryRead(ref FilterContext context, out TcpSegment segment)
    {
        segment = default;
        System.Span<byte> bytes = stackalloc byte[TcpHeader.MaxSize];
        if (!context.TryReadTransport(0, bytes[..TcpHeader.Size]) || !TcpHeader.TryParse(bytes[..TcpHeader.Size], out segment.Header) || !AreValid(segment.Header.Flags)
            || !context.TryReadTransport(0, bytes[..segment.Header.Length]))
        {
            return false;
        }

        TcpOptions.Parse(bytes[TcpHeader.Size..segment.Header.Length], segment.Has(TcpFlags.Syn), out segment.Options);
        int length = context.Packet.Length - context.Transport - segment.Header.Length + (segment.Has(TcpFlags.Syn) ? 1 : 0) + (segment.Has(TcpFlags.Fin) ? 1 : 0);
        segment.End = unchecked(segment.Header.Sequence + (uint)length);
        return true;
    }

    /// <summary>The acknowledgement, or the end of what was received out of order.</summary>
    public readonly uint HighestAck()
    {
        uint highest = Header.Acknowledgment;
        for (int i = 0; i < Options.SackCount; i++)
        {
            highest = unchecked((int)(Options.Blocks[i].End - highest)) > 0 ? Options.Blocks[i].End : highest;
        }

        return highest;
    }

    private static bool AreValid(TcpFlags flags) => (flags & ~(TcpFlags.Psh | TcpFlags.Ece | TcpFlags.Cwr)) is
        TcpFlags.Syn or (TcpFlags.Syn | TcpFlags.Urg) or (TcpFlags.Syn | TcpFlags.Ack) or TcpFlags.Rst or (TcpFlags.Rst | TcpFlags.Ack)
        or (TcpFlags.Fin | TcpFlags.Ack) or (TcpFlags.Fin | TcpFlags.Ack | TcpFlags.Urg) or TcpFlags.Ack or (TcpFlags.Ack | TcpFlags.Urg);
}
