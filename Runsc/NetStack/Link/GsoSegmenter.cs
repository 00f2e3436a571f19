using System;
using System.Buffers.Binary;
using Runsc.NetStack.Buffers;
using Runsc.NetStack.Core;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Link;

/// <summary>Cuts a large segment into frames for a device that cannot.</summary>
internal static class GsoSegmenter
{
    private const int TcpChecksumField = 16;
    private const byte Fin = 0x01;
    private const byte Push = 0x08;
    private const byte CongestionWindowReduced = 0x80;

    /// <summary>Sends each segment over the interface; takes the frame, whose front is at the link header.</summary>
    public static void Segment(PacketBuffer frame, NetworkInterface output)
    {
        bool tcp = frame.Gso != GsoType.Udp;
        int network = frame.NetworkStart - frame.Position;
        int transport = frame.ChecksumStart - frame.Position;
        int size = frame.GsoSize;
        if (network < 0 || transport < network + Ipv4Header.MinSize || size <= 0 || !frame.EnsureLinear(transport + (tcp ? 20 : UdpHeader.Size)))
        {
            frame.Release();
            return;
        }

        int headers = transport + (tcp ? (frame.Linear[transport + 12] >> 4) * 4 : UdpHeader.Size);
        if (!frame.EnsureLinear(headers))
        {
            frame.Release();
            return;
        }

        Span<byte> header = frame.Linear[..headers];
        bool v4 = header[network] >> 4 == 4;
        int payload = frame.Length - headers;
        uint sequence = tcp ? BinaryPrimitives.ReadUInt32BigEndian(header[(transport + 4)..]) : 0;
        ushort id = v4 ? BinaryPrimitives.ReadUInt16BigEndian(header[(network + 4)..]) : (ushort)0;
        for (int offset = 0, count = 0; offset < payload; offset += size, count++)
        {
            int part = Math.Min(size, payload - offset);
            PacketBuffer? segment = Cut(frame, headers, headers + offset, part);
            if (segment is null)
            {
                break;
            }

            Span<byte> bytes = segment.Linear;
            int transportLength = headers - transport + part;
            if (v4)
            {
                BinaryPrimitives.WriteUInt16BigEndian(bytes[(network + 2)..], (ushort)(transport - network + transportLength));
                BinaryPrimitives.WriteUInt16BigEndian(bytes[(network + 4)..], unchecked((ushort)(id + count)));
                Ipv4Header.UpdateChecksum(bytes[network..transport][..((bytes[network] & 0xf) * 4)]);
            }
            else
            {
                BinaryPrimitives.WriteUInt16BigEndian(bytes[(network + 4)..], (ushort)(transport - network - Ipv6Header.Size + transportLength));
            }

            if (tcp)
            {
                BinaryPrimitives.WriteUInt32BigEndian(bytes[(transport + 4)..], unchecked(sequence + (uint)offset));
                if (offset + part < payload)
                {
                    bytes[transport + 13] &= unchecked((byte)~(Fin | Push));
                }

                if (offset > 0)
                {
                    bytes[transport + 13] &= unchecked((byte)~CongestionWindowReduced);
                }
            }
            else
            {
                BinaryPrimitives.WriteUInt16BigEndian(bytes[(transport + 4)..], (ushort)transportLength);
            }

            IpAddress source = v4 ? IpAddress.ReadV4(bytes[(network + 12)..]) : IpAddress.ReadV6(bytes[(network + 8)..]);
            IpAddress destination = v4 ? IpAddress.ReadV4(bytes[(network + 16)..]) : IpAddress.ReadV6(bytes[(network + 24)..]);
            ulong pseudo = Wire.Checksum.PseudoHeader(source, destination, tcp ? IpProtocol.Tcp : IpProtocol.Udp, transportLength);
            segment.Checksum = ChecksumState.Partial;
            segment.ChecksumStart = segment.Position + transport;
            segment.ChecksumOffset = tcp ? TcpChecksumField : UdpHeader.ChecksumField;
            BinaryPrimitives.WriteUInt16BigEndian(bytes[(transport + segment.ChecksumOffset)..], Wire.Checksum.Fold(pseudo));
            output.TransmitFrame(segment);
        }

        frame.Release();
    }

    /// <summary>A packet of the headers and a piece of the payload, which is shared where it can be.</summary>
    private static PacketBuffer? Cut(PacketBuffer frame, int headers, int offset, int length)
    {
        PacketBuffer? segment = frame.Pool.TryAllocate(PacketBuffer.Headroom, headers + length);
        if (segment is null)
        {
            return null;
        }

        frame.Linear[..headers].CopyTo(segment.Append(headers));
        if (!segment.TryAppend(frame, offset, length))
        {
            segment.TrimTo(headers);
            frame.CopyTo(offset, segment.Append(length));
        }

        int shift = segment.Position - frame.Position;
        segment.CopyMetadata(frame);
        segment.Gso = GsoType.None;
        segment.LinkStart = frame.LinkStart < 0 ? -1 : frame.LinkStart + shift;
        segment.NetworkStart = frame.NetworkStart + shift;
        segment.TransportStart = frame.TransportStart < 0 ? -1 : frame.TransportStart + shift;
        return segment;
    }
}
