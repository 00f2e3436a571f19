using System;

namespace Runsc.NetStack.Transport.Tcp;

/// <summary>SYN cookies: when the queue of requests is full, the answer's sequence number and timestamp carry the request (RFC 4987, 3.6).</summary>
/// <remarks>
/// The sequence number is h1 + the peer's + minutes·2^24 + (h2(minutes) + index of the MSS) mod 2^24, where h1 and h2 are keyed hashes. The lowest
/// bits of the timestamp hold the window scale (15 for none), SACK and ECN.
/// </remarks>
internal static class SynCookies
{
    private const int Bits = 24;
    private const uint Mask = (1u << Bits) - 1;
    private const uint MaximumAge = 2;
    private const int OptionBits = 6;

    private static ReadOnlySpan<ushort> MssV4 => [536, 1300, 1440, 1460];

    private static ReadOnlySpan<ushort> MssV6 => [1220, 1480, 1500, 8960];

    public static SeqNum Sequence(TcpProtocol protocol, in TcpSegment syn)
    {
        unchecked
        {
            uint minutes = Minutes(protocol);
            int index = Index(syn.Options.Mss, syn.Ip.Source.IsV4);
            return new SeqNum(Hash1(protocol, syn) + syn.Seq.Value + (minutes << Bits) + ((Hash2(protocol, syn, minutes) + (uint)index) & Mask));
        }
    }

    /// <summary>The clock with its lowest bits replaced: never ahead of the clock.</summary>
    public static uint Timestamp(uint clock, SynRequest request)
    {
        unchecked
        {
            uint bits = request.ScaleOk ? request.SendScale : 15u;
            bits |= request.SackOk ? 16u : 0;
            bits |= request.EcnOk ? 32u : 0;
            uint value = (clock & ~((1u << OptionBits) - 1)) | bits;
            return value > clock ? value - (1u << OptionBits) : value;
        }
    }

    /// <summary>The request that an acknowledgement proves, or null.</summary>
    public static SynRequest? Check(TcpProtocol protocol, TcpEndpoint listener, in TcpSegment ack)
    {
        unchecked
        {
            if (protocol.Parameters.SynCookies == 0 || listener.Queue.LastOverflow == long.MinValue
                || protocol.Stack.Now - listener.Queue.LastOverflow > (MaximumAge + 1) * 60 * TcpEndpoint.Second)
            {
                return null;
            }

            TcpSegment syn = ack;
            syn.Seq = ack.Seq - 1;
            uint cookie = (ack.Ack - 1).Value;
            uint rest = cookie - Hash1(protocol, syn) - syn.Seq.Value;
            uint age = (Minutes(protocol) - (rest >> Bits)) & (uint.MaxValue >> Bits);
            if (age >= MaximumAge)
            {
                protocol.Statistics.SyncookiesFailed++;
                return null;
            }

            uint index = (rest - Hash2(protocol, syn, Minutes(protocol) - age)) & Mask;
            ReadOnlySpan<ushort> table = ack.Ip.Source.IsV4 ? MssV4 : MssV6;
            if (index >= table.Length)
            {
                protocol.Statistics.SyncookiesFailed++;
                return null;
            }

            Kept kept = default;
            if (ack.Options.HasTimestamps && protocol.Parameters.Timestamps)
            {
                uint bits = ack.Options.TimestampEcho & ((1u << OptionBits) - 1);
                kept.Timestamps = true;
                kept.HasScale = (bits & 15) != 15;
                kept.Scale = kept.HasScale ? (byte)Math.Min(bits & 15, 14) : (byte)0;
                kept.Sack = (bits & 16) != 0;
                kept.Ecn = (bits & 32) != 0;
            }

            protocol.Statistics.SyncookiesRecv++;
            return SynRequest.FromCookie(protocol, listener, ack, table[(int)index], kept);
        }
    }

    private static int Index(ushort mss, bool isV4)
    {
        ReadOnlySpan<ushort> table = isV4 ? MssV4 : MssV6;
        int index = table.Length - 1;
        while (index > 0 && mss < table[index])
        {
            index--;
        }

        return index;
    }

    private static uint Minutes(TcpProtocol protocol) => unchecked((uint)(protocol.Stack.Now / (60 * TcpEndpoint.Second)));

    private static uint Hash1(TcpProtocol protocol, in TcpSegment syn) =>
        unchecked((uint)protocol.CookieHash.Hash(syn.Ip.Destination, syn.DestinationPort, syn.Ip.Source, syn.SourcePort));

    private static uint Hash2(TcpProtocol protocol, in TcpSegment syn, uint minutes) =>
        unchecked((uint)protocol.CookieHash.Hash(syn.Ip.Destination, syn.DestinationPort, syn.Ip.Source, syn.SourcePort, minutes | 0x8000_0000));

    /// <summary>What the timestamp kept.</summary>
    internal struct Kept
    {
        public bool Timestamps;
        public bool Sack;
        public bool HasScale;
        public byte Scale;
        public bool Ecn;
    }
}
