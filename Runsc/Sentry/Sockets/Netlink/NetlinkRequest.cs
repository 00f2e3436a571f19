using System;
using System.Text;
using Runsc.NetStack;

namespace Runsc.Sentry.Sockets.Netlink;

/// <summary>One message from an application: hostile, so every length is checked here.</summary>
internal readonly ref struct NetlinkRequest
{
    private NetlinkRequest(ReadOnlySpan<byte> whole)
    {
        Whole = whole;
        Type = BitConverter.ToUInt16(whole[4..]);
        Flags = BitConverter.ToUInt16(whole[6..]);
        Sequence = BitConverter.ToUInt32(whole[8..]);
    }

    public ReadOnlySpan<byte> Whole { get; }

    public ReadOnlySpan<byte> Body => Whole[NetlinkWriter.HeaderSize..];

    public int Type { get; }

    public int Flags { get; }

    public uint Sequence { get; }

    /// <summary>The next message of a datagram, and what follows it. False at the end, or when the rest is broken.</summary>
    public static bool TryRead(ref ReadOnlySpan<byte> rest, out NetlinkRequest request)
    {
        request = default;
        if (rest.Length < NetlinkWriter.HeaderSize)
        {
            return false;
        }

        uint length = BitConverter.ToUInt32(rest);
        if (length < NetlinkWriter.HeaderSize || length > (uint)rest.Length)
        {
            return false;
        }

        request = new NetlinkRequest(rest[..(int)length]);
        rest = rest[Math.Min((int)((length + 3) & ~3u), rest.Length)..];
        return true;
    }

    /// <summary>An attribute behind the fixed part of the body; empty when it is not there. Nested bits are ignored.</summary>
    public ReadOnlySpan<byte> Attribute(int fixedSize, int type) => Find(Body.Length > fixedSize ? Body[fixedSize..] : default, type);

    /// <summary>An attribute of a row of them; empty when it is not there. Nested bits are ignored.</summary>
    public static ReadOnlySpan<byte> Find(ReadOnlySpan<byte> attributes, int type)
    {
        const int typeMask = 0x3fff;
        ReadOnlySpan<byte> rest = attributes;
        while (rest.Length >= 4)
        {
            int length = BitConverter.ToUInt16(rest);
            if (length < 4 || length > rest.Length)
            {
                break;
            }

            if ((BitConverter.ToUInt16(rest[2..]) & typeMask) == type)
            {
                return rest[4..length];
            }

            rest = rest[Math.Min((length + 3) & ~3, rest.Length)..];
        }

        return default;
    }

    /// <summary>An attribute as an address of IPv4 or IPv6, by its length; false when it is not there or of another length.</summary>
    public bool TryGetAddress(int fixedSize, int type, out IpAddress address)
    {
        ReadOnlySpan<byte> data = Attribute(fixedSize, type);
        address = data.Length == 16 ? IpAddress.ReadV6(data) : data.Length == 4 ? IpAddress.ReadV4(data) : default;
        return data.Length is 4 or 16;
    }

    public bool TryGetNumber(int fixedSize, int type, out uint value)
    {
        ReadOnlySpan<byte> data = Attribute(fixedSize, type);
        value = data.Length >= 4 ? BitConverter.ToUInt32(data) : 0;
        return data.Length >= 4;
    }

    public string GetText(int fixedSize, int type)
    {
        ReadOnlySpan<byte> data = Attribute(fixedSize, type);
        int end = data.IndexOf((byte)0);
        return Encoding.Latin1.GetString(end < 0 ? data : data[..end]);
    }
}
