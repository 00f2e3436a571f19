using System;
using System.Text;
using Runsc.Linux;

namespace Runsc.Sentry.Sockets.Unix;

/// <summary>The name of a Unix socket (unix(7)): a path, or bytes in the abstract name space. Immutable.</summary>
internal sealed class UnixAddress
{
    private UnixAddress(byte[] sockaddr, bool isAbstract)
    {
        Sockaddr = sockaddr;
        IsAbstract = isAbstract;
    }

    /// <summary>struct sockaddr_un as it is reported: a path with its NUL.</summary>
    public byte[] Sockaddr { get; }

    public bool IsAbstract { get; }

    /// <summary>The path without its NUL, or the abstract name without the leading one.</summary>
    public ReadOnlySpan<byte> Name => IsAbstract ? Sockaddr.AsSpan(Socket.UnixPathOffset + 1) : Sockaddr.AsSpan(Socket.UnixPathOffset, Sockaddr.Length - Socket.UnixPathOffset - 1);

    /// <summary>The name as a key of a table; each char is one byte.</summary>
    public string Key => Encoding.Latin1.GetString(Name);

    /// <summary>Only the family: an autobind, or the request to disconnect a datagram socket is not this but AF_UNSPEC.</summary>
    public static bool IsFamilyOnly(ReadOnlySpan<byte> sockaddr) => sockaddr.Length == Socket.UnixPathOffset && FamilyOf(sockaddr) == Socket.AF_UNIX;

    public static int FamilyOf(ReadOnlySpan<byte> sockaddr) => sockaddr.Length < 2 ? Socket.AF_UNSPEC : BitConverter.ToUInt16(sockaddr);

    /// <summary>EINVAL for another family, an empty name or one that is too long.</summary>
    public static Errno TryParse(ReadOnlySpan<byte> sockaddr, out UnixAddress? address)
    {
        address = null;
        if (sockaddr.Length is <= Socket.UnixPathOffset or > Socket.SockaddrUnSize || FamilyOf(sockaddr) != Socket.AF_UNIX)
        {
            return Errno.EINVAL;
        }

        ReadOnlySpan<byte> path = sockaddr[Socket.UnixPathOffset..];
        if (path[0] == 0)
        {
            address = new UnixAddress(sockaddr.ToArray(), isAbstract: true);
            return Errno.None;
        }

        int end = path.IndexOf((byte)0);
        path = end < 0 ? path : path[..end];
        byte[] bytes = new byte[Socket.UnixPathOffset + path.Length + 1];
        BitConverter.TryWriteBytes(bytes, (ushort)Socket.AF_UNIX);
        path.CopyTo(bytes.AsSpan(Socket.UnixPathOffset));
        address = new UnixAddress(bytes, isAbstract: false);
        return Errno.None;
    }

    /// <summary>The name that autobind gives: five hexadecimal digits.</summary>
    public static UnixAddress Automatic(uint number)
    {
        byte[] bytes = new byte[Socket.UnixPathOffset + 6];
        BitConverter.TryWriteBytes(bytes, (ushort)Socket.AF_UNIX);
        Encoding.ASCII.GetBytes($"{number & 0xfffff:x5}", bytes.AsSpan(Socket.UnixPathOffset + 1));
        return new UnixAddress(bytes, isAbstract: true);
    }
}
