using System;
using System.Buffers.Binary;

namespace Runsc.NetStack.Wire;

/// <summary>An ARP message for IPv4 over Ethernet (RFC 826).</summary>
internal struct ArpMessage
{
    public const int Size = 28;
    public const ushort Request = 1;
    public const ushort Reply = 2;

    private const ulong EthernetIpv4 = 0x0001_0800_0604;

    public ushort Operation;
    public MacAddress SenderMac;
    public IpAddress Sender;
    public MacAddress TargetMac;
    public IpAddress Target;

    public static bool TryParse(ReadOnlySpan<byte> bytes, out ArpMessage message)
    {
        message = default;
        if (bytes.Length < Size || BinaryPrimitives.ReadUInt64BigEndian(bytes) >> 16 != EthernetIpv4)
        {
            return false;
        }

        message.Operation = BinaryPrimitives.ReadUInt16BigEndian(bytes[6..]);
        message.SenderMac = MacAddress.Read(bytes[8..]);
        message.Sender = IpAddress.ReadV4(bytes[14..]);
        message.TargetMac = MacAddress.Read(bytes[18..]);
        message.Target = IpAddress.ReadV4(bytes[24..]);
        return message.Operation is Request or Reply;
    }

    public readonly void Write(Span<byte> bytes)
    {
        BinaryPrimitives.WriteUInt64BigEndian(bytes, EthernetIpv4 << 16 | Operation);
        SenderMac.Write(bytes[8..]);
        Sender.Write(bytes[14..]);
        TargetMac.Write(bytes[18..]);
        Target.Write(bytes[24..]);
    }
}
