using System;
using System.Runtime.InteropServices;
using Runsc.NetStack.Transport.Tcp;

namespace Runsc.Sentry.Sockets.Inet;

/// <summary>struct tcp_info of linux/tcp.h.</summary>
internal static class TcpInfoBytes
{
    public const int Size = 232;

    /// <summary>struct tcp_bbr_info of linux/inet_diag.h.</summary>
    public const int BbrSize = 20;

    /// <summary>What TCP_CC_INFO and INET_DIAG_BBRINFO tell; 0 bytes with algorithms that tell nothing.</summary>
    public static int WriteCongestion(TcpEndpoint endpoint, Span<byte> room)
    {
        const int unit = 256;
        if (!endpoint.TryGetBbr(out long bandwidth, out long minimumRtt, out double pacingGain, out double windowGain))
        {
            return 0;
        }

        ReadOnlySpan<uint> words =
        [
            unchecked((uint)bandwidth), (uint)(bandwidth >> 32), (uint)Math.Min(minimumRtt, uint.MaxValue), (uint)(pacingGain * unit), (uint)(windowGain * unit),
        ];
        int length = Math.Min(BbrSize, room.Length);
        MemoryMarshal.AsBytes(words)[..length].CopyTo(room);
        return length;
    }

    /// <summary>Writes as much as there is room for: the bytes written.</summary>
    public static int Write(TcpEndpoint endpoint, Span<byte> room)
    {
        TcpInfo info = endpoint.GetInfo();
        Span<byte> all = stackalloc byte[Size];
        all.Clear();
        all[0] = (byte)info.State;
        all[1] = (byte)info.CongestionState;
        all[2] = info.Retransmits;
        all[3] = info.Probes;
        all[4] = info.Backoff;
        all[5] = (byte)((info.Timestamps ? 1 : 0) | (info.Sack ? 2 : 0) | (info.WindowScale ? 4 : 0) | (info.Ecn ? 8 : 0) | (info.SynData ? 32 : 0));
        all[6] = (byte)((info.SendScale & 15) | (info.ReceiveScale << 4));
        ReadOnlySpan<uint> words =
        [
            info.Rto, info.Ato, info.SendMss, info.ReceiveMss, info.Unacked, info.Sacked, info.Lost, info.Retrans, 0, info.LastDataSent, 0,
            info.LastDataReceived, info.LastAckReceived, info.PathMtu, info.ReceiveThreshold, info.Rtt, info.RttVariation, info.SendThreshold, info.SendWindow,
            info.AdvertisedMss, info.Reordering, info.ReceiveRtt, info.ReceiveSpace, info.TotalRetransmits,
        ];
        for (int i = 0; i < words.Length; i++)
        {
            BitConverter.TryWriteBytes(all[(8 + (i * 4))..], words[i]);
        }

        all[7] = (byte)(info.IsDeliveryAppLimited ? 1 : 0);
        BitConverter.TryWriteBytes(all[104..], info.PacingRate);
        BitConverter.TryWriteBytes(all[112..], info.MaximumPacingRate);
        BitConverter.TryWriteBytes(all[120..], info.BytesAcked);
        BitConverter.TryWriteBytes(all[128..], info.BytesReceived);
        BitConverter.TryWriteBytes(all[136..], info.SegmentsOut);
        BitConverter.TryWriteBytes(all[140..], info.SegmentsIn);
        BitConverter.TryWriteBytes(all[144..], info.NotSentBytes);
        BitConverter.TryWriteBytes(all[148..], info.MinimumRtt);
        BitConverter.TryWriteBytes(all[152..], info.DataSegmentsIn);
        BitConverter.TryWriteBytes(all[156..], info.DataSegmentsOut);
        BitConverter.TryWriteBytes(all[160..], info.DeliveryRate);
        BitConverter.TryWriteBytes(all[192..], info.Delivered);
        BitConverter.TryWriteBytes(all[200..], info.BytesSent);
        BitConverter.TryWriteBytes(all[208..], info.BytesRetransmitted);
        BitConverter.TryWriteBytes(all[216..], info.DuplicateSacks);
        BitConverter.TryWriteBytes(all[220..], info.ReorderingSeen);
        BitConverter.TryWriteBytes(all[228..], info.PeerWindow);
        int length = Math.Min(Size, room.Length);
        all[..length].CopyTo(room);
        return length;
    }
}
