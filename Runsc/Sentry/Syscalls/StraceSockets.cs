using System;
using System.Net;
using System.Text;
using Runsc.Linux;
using Runsc.Sentry.Kernel.Tasks;

namespace Runsc.Sentry.Syscalls;

/// <summary>How arguments of socket calls look in a trace.</summary>
internal static class StraceSockets
{
    private static readonly (int Value, string Name)[] s_typeFlags = [(Socket.SOCK_CLOEXEC, "SOCK_CLOEXEC"), (Socket.SOCK_NONBLOCK, "SOCK_NONBLOCK")];

    private static readonly (int Value, string Name)[] s_messageFlags =
    [
        (Socket.MSG_OOB, "MSG_OOB"), (Socket.MSG_PEEK, "MSG_PEEK"), (Socket.MSG_DONTROUTE, "MSG_DONTROUTE"), (Socket.MSG_CTRUNC, "MSG_CTRUNC"),
        (Socket.MSG_TRUNC, "MSG_TRUNC"), (Socket.MSG_DONTWAIT, "MSG_DONTWAIT"), (Socket.MSG_EOR, "MSG_EOR"), (Socket.MSG_WAITALL, "MSG_WAITALL"),
        (Socket.MSG_CONFIRM, "MSG_CONFIRM"), (Socket.MSG_ERRQUEUE, "MSG_ERRQUEUE"), (Socket.MSG_NOSIGNAL, "MSG_NOSIGNAL"), (Socket.MSG_MORE, "MSG_MORE"),
        (Socket.MSG_WAITFORONE, "MSG_WAITFORONE"), (Socket.MSG_ZEROCOPY, "MSG_ZEROCOPY"), (Socket.MSG_FASTOPEN, "MSG_FASTOPEN"),
        (Socket.MSG_CMSG_CLOEXEC, "MSG_CMSG_CLOEXEC"),
    ];

    private static readonly string[] s_socketOptions =
    [
        "0", "SO_DEBUG", "SO_REUSEADDR", "SO_TYPE", "SO_ERROR", "SO_DONTROUTE", "SO_BROADCAST", "SO_SNDBUF", "SO_RCVBUF", "SO_KEEPALIVE", "SO_OOBINLINE",
        "SO_NO_CHECK", "SO_PRIORITY", "SO_LINGER", "SO_BSDCOMPAT", "SO_REUSEPORT", "SO_PASSCRED", "SO_PEERCRED", "SO_RCVLOWAT", "SO_SNDLOWAT", "SO_RCVTIMEO",
        "SO_SNDTIMEO", "SO_SECURITY_AUTHENTICATION", "SO_SECURITY_ENCRYPTION_TRANSPORT", "SO_SECURITY_ENCRYPTION_NETWORK", "SO_BINDTODEVICE",
        "SO_ATTACH_FILTER", "SO_DETACH_FILTER", "SO_PEERNAME", "SO_TIMESTAMP", "SO_ACCEPTCONN", "SO_PEERSEC", "SO_SNDBUFFORCE", "SO_RCVBUFFORCE",
        "SO_PASSSEC", "SO_TIMESTAMPNS", "SO_MARK", "SO_TIMESTAMPING", "SO_PROTOCOL", "SO_DOMAIN",
    ];

    /// <summary>One argument before or after the call.</summary>
    public static string Argument(Task task, string kind, in SyscallArguments a, int index)
    {
        ulong value = Strace.ArgumentAt(a, index);
        int low = unchecked((int)value);
        switch (kind)
        {
            case "family":
                return Family(low);
            case "socktype":
                return (low & Socket.SOCK_TYPE_MASK) switch
                {
                    0 => "0",
                    Socket.SOCK_STREAM => "SOCK_STREAM",
                    Socket.SOCK_DGRAM => "SOCK_DGRAM",
                    Socket.SOCK_RAW => "SOCK_RAW",
                    Socket.SOCK_SEQPACKET => "SOCK_SEQPACKET",
                    int other => other.ToString(),
                } + StraceFormat.Rest(low & ~Socket.SOCK_TYPE_MASK, s_typeFlags, "|");
            case "msgflags":
                return StraceFormat.Rest(low, s_messageFlags, "");
            case "shut":
                return low switch { 0 => "SHUT_RD", 1 => "SHUT_WR", 2 => "SHUT_RDWR", _ => low.ToString() };
            case "sol":
                return low switch
                {
                    Socket.SOL_SOCKET => "SOL_SOCKET", Socket.SOL_IP => "SOL_IP", Socket.SOL_TCP => "SOL_TCP", Socket.SOL_IPV6 => "SOL_IPV6",
                    Socket.SOL_NETLINK => "SOL_NETLINK", Socket.SOL_PACKET => "SOL_PACKET", Socket.SOL_RAW => "SOL_RAW", _ => low.ToString(),
                };
            case "sockopt":
                return index > 0 && unchecked((int)Strace.ArgumentAt(a, index - 1)) == Socket.SOL_SOCKET && low >= 0 && low < s_socketOptions.Length
                    ? s_socketOptions[low] : low.ToString();
            case "sockaddr":
                return Address(task, value, unchecked((int)Strace.ArgumentAt(a, index + 1)));
            case "outsockaddr":
                return value == 0 ? "NULL" : task.Memory.CopyIn(Strace.ArgumentAt(a, index + 1), out int length) == Errno.None ? Address(task, value, length) : StraceFormat.Hex(value);
            default:
                return Message(task, value);
        }
    }

    private static string Family(int family) => family switch
    {
        Socket.AF_UNSPEC => "AF_UNSPEC",
        Socket.AF_UNIX => "AF_UNIX",
        Socket.AF_INET => "AF_INET",
        Socket.AF_INET6 => "AF_INET6",
        Socket.AF_NETLINK => "AF_NETLINK",
        Socket.AF_PACKET => "AF_PACKET",
        _ => family.ToString(),
    };

    private static string Address(Task task, ulong address, int length)
    {
        Span<byte> bytes = stackalloc byte[Socket.SockaddrStorageSize];
        length = Math.Clamp(length, 0, bytes.Length);
        if (address == 0 || task.Memory.CopyIn(address, bytes[..length]) != length)
        {
            return StraceFormat.Hex(address);
        }

        bytes = bytes[..length];
        if (length < 2)
        {
            return "{}";
        }

        int family = BitConverter.ToUInt16(bytes);
        return family switch
        {
            Socket.AF_UNIX when length > 2 && bytes[2] == 0 => $"{{sa_family=AF_UNIX, sun_path=@{StraceFormat.Quote(bytes[3..], false)}}}",
            Socket.AF_UNIX when length > 2 => $"{{sa_family=AF_UNIX, sun_path={StraceFormat.Quote(UntilNul(bytes[2..]), false)}}}",
            Socket.AF_INET when length >= 8 => $"{{sa_family=AF_INET, sin_port=htons({Port(bytes)}), sin_addr=inet_addr(\"{new IPAddress(bytes[4..8])}\")}}",
            Socket.AF_INET6 when length >= 24 => $"{{sa_family=AF_INET6, sin6_port=htons({Port(bytes)}), sin6_addr=\"{new IPAddress(bytes[8..24])}\"}}",
            Socket.AF_NETLINK when length >= 12 => $"{{sa_family=AF_NETLINK, nl_pid={BitConverter.ToUInt32(bytes[4..])}, nl_groups={BitConverter.ToUInt32(bytes[8..]):x8}}}",
            _ => $"{{sa_family={Family(family)}}}",
        };
    }

    private static ReadOnlySpan<byte> UntilNul(ReadOnlySpan<byte> bytes)
    {
        int end = bytes.IndexOf((byte)0);
        return end < 0 ? bytes : bytes[..end];
    }

    private static int Port(ReadOnlySpan<byte> bytes) => (bytes[2] << 8) | bytes[3];

    // struct msghdr: name, namelen, iov, iovlen, control, controllen, flags.
    private static string Message(Task task, ulong address)
    {
        Span<byte> header = stackalloc byte[56];
        if (address == 0 || task.Memory.CopyIn(address, header) != header.Length)
        {
            return StraceFormat.Hex(address);
        }

        ulong name = BitConverter.ToUInt64(header), vectors = BitConverter.ToUInt64(header[16..]), count = BitConverter.ToUInt64(header[24..]);
        Span<byte> vector = stackalloc byte[16];
        StringBuilder text = new("{msg_name=");
        text.Append(Address(task, name, BitConverter.ToInt32(header[8..]))).Append(", msg_iov=[");
        for (ulong i = 0; i < Math.Min(count, 4); i++)
        {
            if (task.Memory.CopyIn(unchecked(vectors + (i * 16)), vector) != 16)
            {
                break;
            }

            ulong length = BitConverter.ToUInt64(vector[8..]);
            text.Append(i > 0 ? ", " : "").Append("{iov_base=").Append(StraceFormat.Text(task, BitConverter.ToUInt64(vector), length)).Append($", iov_len={length}}}");
        }

        text.Append(count > 4 ? ", ...]" : "]").Append($", msg_iovlen={count}, msg_controllen={BitConverter.ToUInt64(header[40..])}, msg_flags=");
        return text.Append(StraceFormat.Rest(BitConverter.ToInt32(header[48..]), s_messageFlags, "")).Append('}').ToString();
    }
}
