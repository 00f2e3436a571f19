using System;
using System.Buffers.Binary;
using Runsc.Linux;
using Runsc.NetStack;

namespace Runsc.Sentry.Sockets.Inet;

/// <summary>struct sockaddr_in and sockaddr_in6 (ip(7), ipv6(7)).</summary>
internal static class InetAddress
{
    public const int SizeV4 = 16;
    public const int SizeV6 = 28;

    /// <summary>An IPv6 address may come without its scope (RFC 2133).</summary>
    private const int MinimumV6 = 24;

    public static int FamilyOf(ReadOnlySpan<byte> sockaddr) => sockaddr.Length < 2 ? -1 : BitConverter.ToUInt16(sockaddr);

    /// <summary>The address in a sockaddr, for a socket of <paramref name="family"/>. EINVAL when it is too short, EAFNOSUPPORT.</summary>
    /// <param name="mixed">A datagram socket of AF_INET6 takes sockaddr_in too.</param>
    public static Errno TryParse(int family, ReadOnlySpan<byte> sockaddr, bool mixed, out IpEndpoint endpoint)
    {
        endpoint = default;
        int given = FamilyOf(sockaddr);
        if (family == Socket.AF_INET6 && !(mixed && given == Socket.AF_INET))
        {
            if (sockaddr.Length < MinimumV6)
            {
                return Errno.EINVAL;
            }

            if (given != Socket.AF_INET6)
            {
                return Errno.EAFNOSUPPORT;
            }

            IpAddress address = IpAddress.ReadV6(sockaddr.Slice(8, 16));
            int scope = sockaddr.Length >= SizeV6 && address.NeedsScope ? BitConverter.ToInt32(sockaddr[24..]) : 0;
            endpoint = new IpEndpoint(address, BinaryPrimitives.ReadUInt16BigEndian(sockaddr[2..]), scope);
            return Errno.None;
        }

        if (sockaddr.Length < SizeV4)
        {
            return Errno.EINVAL;
        }

        IpAddress v4 = IpAddress.ReadV4(sockaddr.Slice(4, 4));
        if (given != Socket.AF_INET && !(given == Socket.AF_UNSPEC && v4.IsUnspecified))
        {
            return Errno.EAFNOSUPPORT;
        }

        endpoint = new IpEndpoint(v4, BinaryPrimitives.ReadUInt16BigEndian(sockaddr[2..]));
        return Errno.None;
    }

    /// <summary>Writes the sockaddr of a family: its length.</summary>
    public static int Write(int family, in IpEndpoint endpoint, Span<byte> sockaddr)
    {
        int size = family == Socket.AF_INET6 ? SizeV6 : SizeV4;
        Span<byte> whole = stackalloc byte[SizeV6];
        whole.Clear();
        BitConverter.TryWriteBytes(whole, (ushort)family);
        BinaryPrimitives.WriteUInt16BigEndian(whole[2..], endpoint.Port);
        if (family == Socket.AF_INET6)
        {
            endpoint.Address.WriteV6(whole[8..]);
            BitConverter.TryWriteBytes(whole[24..], endpoint.Scope);
        }
        else if (endpoint.Address.IsV4)
        {
            endpoint.Address.Write(whole[4..]);
        }

        whole[..Math.Min(size, sockaddr.Length)].CopyTo(sockaddr);
        return size;
    }
}
