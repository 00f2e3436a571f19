using System;
using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Runsc.Linux;
using Runsc.NetStack;
using Runsc.NetStack.Network;
using Runsc.NetStack.Transport;
using Runsc.NetStack.Wire;

namespace Runsc.Sentry.Sockets.Inet;

/// <summary>Control messages of SOL_IP, SOL_IPV6 and SOL_UDP.</summary>
internal static class InetControl
{
    // struct in_pktinfo, in6_pktinfo, sock_extended_err.
    private const int PacketInfoSize = 12;
    private const int PacketInfoSizeV6 = 20;
    private const int ExtendedErrorSize = 16;

    /// <summary>What sendmsg(2) brought; the lengths were checked. EINVAL.</summary>
    public static Errno Parse(bool isV6, ReadOnlySpan<byte> control, ref DatagramSend send)
    {
        while (control.Length >= ControlWriter.HeaderSize)
        {
            int length = (int)MemoryMarshal.Read<long>(control), level = MemoryMarshal.Read<int>(control[8..]), type = MemoryMarshal.Read<int>(control[12..]);
            ReadOnlySpan<byte> data = control[ControlWriter.HeaderSize..length];
            Errno error = level switch
            {
                Socket.SOL_IP => ParseV4(type, data, ref send),
                Socket.SOL_IPV6 when isV6 => ParseV6(type, data, ref send),
                Socket.SOL_UDP when type == Socket.UDP_SEGMENT => ParseSegment(data, ref send),
                _ => Errno.None,
            };
            if (error != Errno.None)
            {
                return error;
            }

            control = control[Math.Min(ControlWriter.Align(length), control.Length)..];
        }

        return Errno.None;
    }

    private static Errno ParseSegment(ReadOnlySpan<byte> data, ref DatagramSend send)
    {
        if (data.Length != 2)
        {
            return Errno.EINVAL;
        }

        send.GsoSize = BitConverter.ToUInt16(data);
        return Errno.None;
    }

    private static Errno ParseV4(int type, ReadOnlySpan<byte> data, ref DatagramSend send)
    {
        switch (type)
        {
            case Socket.IP_PKTINFO when data.Length == PacketInfoSize:
                send.Interface = BitConverter.ToInt32(data);
                send.Source = IpAddress.ReadV4(data[4..]);
                return Errno.None;
            case Socket.IP_TTL when data.Length == 4 && BitConverter.ToInt32(data) is >= 1 and <= 255:
                send.HopLimit = data[0];
                return Errno.None;
            case Socket.IP_TOS when data.Length is 1 or 4:
                send.TrafficClass = data[0];
                return Errno.None;
            default:
                return Errno.EINVAL;
        }
    }

    private static Errno ParseV6(int type, ReadOnlySpan<byte> data, ref DatagramSend send)
    {
        switch (type)
        {
            case Socket.IPV6_PKTINFO or Socket.IPV6_2292PKTINFO when data.Length >= PacketInfoSizeV6:
                send.Source = IpAddress.ReadV6(data);
                send.Interface = BitConverter.ToInt32(data[16..]);
                return Errno.None;
            case Socket.IPV6_HOPLIMIT or Socket.IPV6_2292HOPLIMIT when data.Length == 4 && BitConverter.ToInt32(data) is >= -1 and <= 255:
                send.HopLimit = BitConverter.ToInt32(data) < 0 ? (byte)0 : data[0];
                return Errno.None;
            case Socket.IPV6_TCLASS when data.Length == 4 && BitConverter.ToInt32(data) is >= -1 and <= 255:
                send.TrafficClass = BitConverter.ToInt32(data);
                return Errno.None;
            case Socket.IPV6_DONTFRAG when data.Length == 4:
                send.PathMtu = data[0] != 0 ? PathMtuMode.Do : null;
                return Errno.None;
            default:
                return Errno.EINVAL;
        }
    }

    /// <summary>Adds what the reader asked for.</summary>
    /// <param name="control">Where to.</param>
    /// <param name="wanted">What for.</param>
    /// <param name="datagram">What was received.</param>
    /// <param name="drops">Datagrams that were dropped, for SO_RXQ_OVFL.</param>
    /// <param name="wantsDrops">SO_RXQ_OVFL is set.</param>
    /// <param name="ofError">It is a message about an error: it was not sent to a socket's address.</param>
    public static void Add(ref ControlWriter control, InetReceiveFlags wanted, in ReceivedDatagram datagram, uint drops, bool wantsDrops, bool ofError = false)
    {
        if (wantsDrops && drops > 0)
        {
            control.Add(Socket.SOL_SOCKET, Socket.SO_RXQ_OVFL, drops);
        }

        if (datagram.GsoSize > 0)
        {
            control.Add(Socket.SOL_UDP, Socket.UDP_GRO, datagram.GsoSize);
        }

        if (wanted == InetReceiveFlags.None)
        {
            return;
        }

        if (datagram.Destination.IsV4)
        {
            AddV4(ref control, wanted, datagram, ofError);
        }

        // A dual-stack reader is told of packets of IPv4 in both forms.
        AddV6(ref control, wanted, datagram);
    }

    private static void AddV4(ref ControlWriter control, InetReceiveFlags wanted, in ReceivedDatagram datagram, bool ofError)
    {
        if ((wanted & InetReceiveFlags.PacketInfo) != 0)
        {
            Span<byte> info = stackalloc byte[PacketInfoSize];
            BitConverter.TryWriteBytes(info, datagram.Interface);
            (ofError ? IpAddress.AnyV4 : datagram.Destination).Write(info[4..]);
            datagram.Destination.Write(info[8..]);
            control.Add(Socket.SOL_IP, Socket.IP_PKTINFO, info);
        }

        if ((wanted & InetReceiveFlags.Ttl) != 0)
        {
            control.Add(Socket.SOL_IP, Socket.IP_TTL, (int)datagram.HopLimit);
        }

        if ((wanted & InetReceiveFlags.Tos) != 0)
        {
            control.Add(Socket.SOL_IP, Socket.IP_TOS, datagram.TrafficClass);
        }

        if ((wanted & InetReceiveFlags.OriginalDestination) != 0)
        {
            Span<byte> address = stackalloc byte[InetAddress.SizeV4];
            InetAddress.Write(Socket.AF_INET, new IpEndpoint(datagram.Destination, datagram.DestinationPort), address);
            control.Add(Socket.SOL_IP, Socket.IP_ORIGDSTADDR, address);
        }

        if ((wanted & InetReceiveFlags.FragmentSize) != 0 && datagram.FragmentSize > 0)
        {
            control.Add(Socket.SOL_IP, Socket.IP_RECVFRAGSIZE, datagram.FragmentSize);
        }
    }

    private static void AddV6(ref ControlWriter control, InetReceiveFlags wanted, in ReceivedDatagram datagram)
    {
        if ((wanted & InetReceiveFlags.PacketInfoV6) != 0)
        {
            AddPacketInfoV6(ref control, Socket.IPV6_PKTINFO, datagram);
        }

        if (datagram.Destination.IsV4)
        {
            return;
        }

        if ((wanted & InetReceiveFlags.HopLimit) != 0)
        {
            control.Add(Socket.SOL_IPV6, Socket.IPV6_HOPLIMIT, (int)datagram.HopLimit);
        }

        if ((wanted & InetReceiveFlags.TrafficClass) != 0)
        {
            control.Add(Socket.SOL_IPV6, Socket.IPV6_TCLASS, (int)datagram.TrafficClass);
        }

        uint flow = ((uint)datagram.TrafficClass << 20) | datagram.FlowLabel;
        if ((wanted & InetReceiveFlags.FlowInfo) != 0 && flow != 0)
        {
            control.Add(Socket.SOL_IPV6, Socket.IPV6_FLOWINFO, BinaryPrimitives.ReverseEndianness(flow));
        }

        // The same under the names of RFC 2292.
        if ((wanted & InetReceiveFlags.PacketInfo2292) != 0)
        {
            AddPacketInfoV6(ref control, Socket.IPV6_2292PKTINFO, datagram);
        }

        if ((wanted & InetReceiveFlags.HopLimit2292) != 0)
        {
            control.Add(Socket.SOL_IPV6, Socket.IPV6_2292HOPLIMIT, (int)datagram.HopLimit);
        }

        if ((wanted & InetReceiveFlags.OriginalDestinationV6) != 0)
        {
            Span<byte> address = stackalloc byte[InetAddress.SizeV6];
            InetAddress.Write(Socket.AF_INET6, new IpEndpoint(datagram.Destination, datagram.DestinationPort), address);
            control.Add(Socket.SOL_IPV6, Socket.IPV6_ORIGDSTADDR, address);
        }

        if ((wanted & InetReceiveFlags.FragmentSizeV6) != 0 && datagram.FragmentSize > 0)
        {
            control.Add(Socket.SOL_IPV6, Socket.IPV6_RECVFRAGSIZE, datagram.FragmentSize);
        }
    }

    private static void AddPacketInfoV6(ref ControlWriter control, int name, in ReceivedDatagram datagram)
    {
        Span<byte> info = stackalloc byte[PacketInfoSizeV6];
        datagram.Destination.WriteV6(info);
        BitConverter.TryWriteBytes(info[16..], datagram.Interface);
        control.Add(Socket.SOL_IPV6, name, info);
    }

    /// <summary>IP_RECVOPTS and IP_RETOPTS: the options of the packet's header, and those of an answer.</summary>
    public static void AddOptions(ref ControlWriter control, InetReceiveFlags wanted, scoped ReadOnlySpan<byte> options)
    {
        if ((wanted & InetReceiveFlags.Options) != 0)
        {
            control.Add(Socket.SOL_IP, Socket.IP_RECVOPTS, options);
        }

        if ((wanted & InetReceiveFlags.ReturnOptions) != 0)
        {
            Span<byte> answer = stackalloc byte[Ipv4Options.MaxSize];
            control.Add(Socket.SOL_IP, Socket.IP_RETOPTS, answer[..Ipv4Options.Echo(options, answer)]);
        }
    }

    /// <summary>struct sock_extended_err with the offender's sockaddr behind it.</summary>
    public static void AddError(ref ControlWriter control, bool isV6, in QueuedError entry)
    {
        const byte originLocal = 1, originIcmp = 2, originIcmp6 = 3;
        bool v4 = entry.Error.Remote.IsV4;
        int family = isV6 ? Socket.AF_INET6 : Socket.AF_INET;
        Span<byte> message = stackalloc byte[ExtendedErrorSize + InetAddress.SizeV6];
        message.Clear();
        BitConverter.TryWriteBytes(message, (uint)NetErrors.ToErrno(entry.Error.Error));
        message[4] = entry.Error.IsLocal ? originLocal : v4 ? originIcmp : originIcmp6;
        message[5] = entry.Error.Type;
        message[6] = entry.Error.Code;
        BitConverter.TryWriteBytes(message[8..], entry.Error.Info);
        int length = ExtendedErrorSize + (isV6 ? InetAddress.SizeV6 : InetAddress.SizeV4);
        if (!entry.Error.IsLocal)
        {
            InetAddress.Write(family, new IpEndpoint(entry.Error.Offender, 0), message[ExtendedErrorSize..]);
        }

        control.Add(isV6 ? Socket.SOL_IPV6 : Socket.SOL_IP, isV6 ? Socket.IPV6_RECVERR : Socket.IP_RECVERR, message[..length]);
    }
}
