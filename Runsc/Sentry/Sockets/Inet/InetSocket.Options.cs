using System;
using System.Runtime.InteropServices;
using System.Threading;
using Runsc.Linux;
using Runsc.NetStack;
using Runsc.NetStack.Network;
using Runsc.NetStack.Transport;
using Runsc.Sentry.Sockets.Netfilter;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.Sockets.Inet;

internal abstract partial class InetSocket
{
    // A stream's, once it has joined.
    private GroupMemberships? _streamGroups;

    /// <summary>What the IP header of packets gets; a stream hands it on by <see cref="OptionsChanged"/>.</summary>
    protected abstract EndpointOptions IpOptions { get; }

    /// <summary>Control messages that are wanted.</summary>
    protected InetReceiveFlags Wanted { get; set; }

    /// <summary>An option of the IP header has changed.</summary>
    protected virtual void OptionsChanged()
    {
    }

    /// <summary>The path MTU of a connected socket (IP_MTU), or 0.</summary>
    protected virtual int PathMtu => 0;

    /// <summary>Membership of groups. Streams may join, too, though they receive nothing by that.</summary>
    protected virtual GroupMemberships Groups => LazyInitializer.EnsureInitialized(ref _streamGroups, () => new GroupMemberships(Stack));

    protected override void OnOptionChanged(int name)
    {
        EndpointOptions options = IpOptions;
        options.ReuseAddress = Has(SocketFlags.ReuseAddress);
        options.ReusePort = Has(SocketFlags.ReusePort);
        options.Broadcast = Has(SocketFlags.Broadcast);
        options.DontRoute = Has(SocketFlags.DontRoute);
        options.NoChecksum = Has(SocketFlags.NoCheck);
        options.BoundInterface = BoundInterface;
        options.Mark = Mark;
        options.Priority = unchecked((uint)Priority);
        options.User = User;
        if (name is Socket.SO_RCVBUF or Socket.SO_RCVBUFFORCE)
        {
            options.ReceiveBuffer = ReceiveBuffer;
        }

        if (name is Socket.SO_SNDBUF or Socket.SO_SNDBUFFORCE)
        {
            options.SendBuffer = SendBuffer;
        }

        OptionsChanged();
    }

    public override long SetOption(ICaller caller, int level, int name, ReadOnlySpan<byte> value)
    {
        Errno error;
        switch (level)
        {
            case Socket.SOL_IP when name is Linux.Netfilter.IPT_SO_SET_REPLACE or Linux.Netfilter.IPT_SO_SET_ADD_COUNTERS:
                return -(long)Network.Netfilter.Tables4.Set(caller, name, value);
            case Socket.SOL_IPV6 when IsV6 && (name is Linux.Netfilter.IPT_SO_SET_REPLACE or Linux.Netfilter.IPT_SO_SET_ADD_COUNTERS):
                return -(long)Network.Netfilter.Tables6.Set(caller, name, value);
            case Socket.SOL_IP:
                error = SetIpOption(caller, name, value);
                break;
            case Socket.SOL_IPV6:
                error = IsV6 ? SetIpv6Option(caller, name, value) : Errno.ENOPROTOOPT;
                break;
            case Socket.SOL_SOCKET:
                return base.SetOption(caller, level, name, value);
            default:
                return -(long)Errno.ENOPROTOOPT;
        }

        if (error == Errno.None)
        {
            OptionsChanged();
        }

        return -(long)error;
    }

    public override long GetOption(ICaller caller, int level, int name, Span<byte> value)
    {
        int number;
        switch (level)
        {
            case Socket.SOL_SOCKET:
                return base.GetOption(caller, level, name, value);
            case Socket.SOL_IP when LegacyTables.IsGetOption(name, v4: true):
                return Network.Netfilter.Tables4.Get(caller, name, value);
            case Socket.SOL_IPV6 when IsV6 && LegacyTables.IsGetOption(name, v4: false):
                return Network.Netfilter.Tables6.Get(caller, name, value);
            case Socket.SOL_IP or Socket.SOL_IPV6 when name == Linux.Netfilter.SO_ORIGINAL_DST:
                return GetOriginal(level == Socket.SOL_IP, value);
            case Socket.SOL_IP when name == Socket.IP_OPTIONS:
                return Put(value, IpOptions.Ipv4Options ?? []);
            case Socket.SOL_IP when name == Socket.IP_MULTICAST_IF:
                return PutAddress(value, IpOptions.MulticastSource);
            case Socket.SOL_IP:
                number = GetIpOption(name);
                break;
            case Socket.SOL_IPV6 when IsV6:
                number = GetIpv6Option(name);
                break;
            default:
                return IsV6 ? -(long)Errno.ENOPROTOOPT : -(long)Errno.EOPNOTSUPP;
        }

        if (number == NoOption)
        {
            return -(long)Errno.ENOPROTOOPT;
        }

        if (number == NoConnection)
        {
            return -(long)Errno.ENOTCONN;
        }

        // A caller with room for a byte only gets a byte (Linux: do_ip_getsockopt).
        return level == Socket.SOL_IP && value.Length is > 0 and < 4 && number is >= 0 and <= 255 ? Put(value[..1], (byte)number) : Put(value, number);
    }

    /// <summary>The addresses of a connection that may have been translated; false: the socket has none.</summary>
    protected virtual bool TryGetFlow(out IpEndpoint local, out IpEndpoint remote)
    {
        local = remote = default;
        return false;
    }

    // Where the peer of an accepted connection believes it is.
    private long GetOriginal(bool v4, Span<byte> value)
    {
        if (!TryGetFlow(out IpEndpoint local, out IpEndpoint remote) || local.Address.IsV4 != v4)
        {
            return v4 ? -(long)Errno.ENOPROTOOPT : -(long)Errno.ENOENT;
        }

        if (value.Length < (v4 ? InetAddress.SizeV4 : InetAddress.SizeV6))
        {
            return -(long)Errno.EINVAL;
        }

        Errno error = Network.Netfilter.TryGetOriginal(local, remote, (byte)Protocol, out IpEndpoint original);
        return error == Errno.None ? InetAddress.Write(v4 ? Socket.AF_INET : Socket.AF_INET6, original, value) : -(long)error;
    }

    private const int NoOption = int.MinValue;
    private const int NoConnection = int.MinValue + 1;

    private static long PutAddress(Span<byte> value, in IpAddress address)
    {
        Span<byte> bytes = stackalloc byte[4];
        address.Write(bytes);
        return Put(value, bytes);
    }

    private static bool TryReadNumber(ReadOnlySpan<byte> value, out int number)
    {
        number = value.Length >= sizeof(int) ? MemoryMarshal.Read<int>(value) : value.Length >= 1 ? value[0] : 0;
        return value.Length >= 1;
    }

    private void Want(InetReceiveFlags flag, int on) => Wanted = on != 0 ? Wanted | flag : Wanted & ~flag;

    private bool IsPrivileged(ICaller caller) =>
        caller.Credentials.HasCapability(Capability.CAP_NET_ADMIN, Network.Owner) || caller.Credentials.HasCapability(Capability.CAP_NET_RAW, Network.Owner);

    private Errno SetIpOption(ICaller caller, int name, ReadOnlySpan<byte> value)
    {
        switch (name)
        {
            case Socket.IP_ADD_MEMBERSHIP or Socket.IP_DROP_MEMBERSHIP when IsStream:
                return Errno.EPROTO;
            case Socket.IP_ADD_MEMBERSHIP or Socket.IP_DROP_MEMBERSHIP or Socket.IP_MULTICAST_IF or Socket.IP_ADD_SOURCE_MEMBERSHIP or Socket.IP_DROP_SOURCE_MEMBERSHIP
                or Socket.IP_BLOCK_SOURCE or Socket.IP_UNBLOCK_SOURCE:
                return GroupOptions.SetV4(Stack, Groups, IpOptions, name, value);
            case >= Socket.MCAST_JOIN_GROUP and <= Socket.MCAST_LEAVE_SOURCE_GROUP:
                return GroupOptions.SetAny(Groups, name, value, Socket.AF_INET);
            case Socket.IP_OPTIONS:
                if (value.Length > 40)
                {
                    return Errno.EINVAL;
                }

                byte[] padded = new byte[(value.Length + 3) & ~3];
                value.CopyTo(padded);
                IpOptions.Ipv4Options = padded.Length == 0 ? null : padded;
                return Errno.None;
        }

        if (!TryReadNumber(value, out int number))
        {
            return name is Socket.IP_TOS or Socket.IP_TTL ? Errno.EINVAL : Errno.ENOPROTOOPT;
        }

        EndpointOptions options = IpOptions;
        switch (name)
        {
            case Socket.IP_TOS:
                options.Tos = unchecked((byte)(IsStream ? (number & ~3) | (options.Tos & 3) : number));
                return Errno.None;
            case Socket.IP_TTL:
                if (number != -1 && number is < 1 or > 255)
                {
                    return Errno.EINVAL;
                }

                options.Ttl = number == -1 ? (byte)0 : (byte)number;
                return Errno.None;
            case Socket.IP_MTU_DISCOVER:
                if (number is < 0 or > 5)
                {
                    return Errno.EINVAL;
                }

                options.PathMtu = (PathMtuMode)number;
                return Errno.None;
            case Socket.IP_MULTICAST_TTL:
                if (IsStream || number is < -1 or > 255)
                {
                    return Errno.EINVAL;
                }

                options.MulticastTtl = number == -1 ? (byte)1 : (byte)number;
                return Errno.None;
            case Socket.IP_MULTICAST_LOOP:
                options.MulticastLoop = number != 0;
                return Errno.None;
            case Socket.IP_MULTICAST_ALL:
                if (number is not (0 or 1))
                {
                    return Errno.EINVAL;
                }

                options.MulticastAll = number != 0;
                return Errno.None;
            case Socket.IP_RECVERR:
                options.ReceiveErrors = number != 0;
                return Errno.None;
            case Socket.IP_FREEBIND:
                options.FreeBind = number != 0;
                return Errno.None;
            case Socket.IP_TRANSPARENT:
                if (number != 0 && !IsPrivileged(caller))
                {
                    return Errno.EPERM;
                }

                options.FreeBind |= number != 0;
                _isTransparent = number != 0;
                return Errno.None;
            case Socket.IP_MINTTL:
                if (number is < 0 or > 255)
                {
                    return Errno.EINVAL;
                }

                options.MinTtl = (byte)number;
                return Errno.None;
            case Socket.IP_BIND_ADDRESS_NO_PORT:
                _bindsAddressOnly = number != 0;
                return Errno.None;
        }

        InetReceiveFlags flag = FlagOf(name);
        if (flag == InetReceiveFlags.None)
        {
            return Errno.ENOPROTOOPT;
        }

        Want(flag, number);
        return Errno.None;
    }

    /// <summary>IPV6_ADDRFORM: a connected socket of mapped addresses becomes one of AF_INET. EADDRNOTAVAIL, ENOTCONN.</summary>
    protected virtual Errno BecomeV4() => Errno.ENOPROTOOPT;

    private bool _isTransparent;
    private bool _bindsAddressOnly;

    private static InetReceiveFlags FlagOf(int name) => name switch
    {
        Socket.IP_PKTINFO => InetReceiveFlags.PacketInfo,
        Socket.IP_RECVTTL => InetReceiveFlags.Ttl,
        Socket.IP_RECVTOS => InetReceiveFlags.Tos,
        Socket.IP_RECVORIGDSTADDR => InetReceiveFlags.OriginalDestination,
        Socket.IP_RECVFRAGSIZE => InetReceiveFlags.FragmentSize,
        Socket.IP_RECVOPTS => InetReceiveFlags.Options,
        Socket.IP_RETOPTS => InetReceiveFlags.ReturnOptions,
        _ => InetReceiveFlags.None,
    };

    private int GetIpOption(int name)
    {
        EndpointOptions options = IpOptions;
        return name switch
        {
            Socket.IP_TOS => options.Tos,
            Socket.IP_TTL => options.Ttl == 0 ? 64 : options.Ttl,
            Socket.IP_MTU_DISCOVER => (int)options.PathMtu,
            Socket.IP_MTU => PathMtu > 0 ? PathMtu : NoConnection,
            Socket.IP_MULTICAST_TTL => options.MulticastTtl,
            Socket.IP_MULTICAST_LOOP => options.MulticastLoop ? 1 : 0,
            Socket.IP_MULTICAST_ALL => options.MulticastAll ? 1 : 0,
            Socket.IP_RECVERR => options.ReceiveErrors ? 1 : 0,
            Socket.IP_FREEBIND => options.FreeBind && !_isTransparent ? 1 : 0,
            Socket.IP_TRANSPARENT => _isTransparent ? 1 : 0,
            Socket.IP_MINTTL => options.MinTtl,
            Socket.IP_BIND_ADDRESS_NO_PORT => _bindsAddressOnly ? 1 : 0,
            _ => FlagOf(name) is var flag && flag != InetReceiveFlags.None ? ((Wanted & flag) != 0 ? 1 : 0) : NoOption,
        };
    }

    private Errno SetIpv6Option(ICaller caller, int name, ReadOnlySpan<byte> value)
    {
        if (name is Socket.IPV6_JOIN_GROUP or Socket.IPV6_LEAVE_GROUP)
        {
            return IsStream ? Errno.EPROTO : GroupOptions.SetV6(Groups, name, value);
        }

        if (name is >= Socket.MCAST_JOIN_GROUP and <= Socket.MCAST_LEAVE_SOURCE_GROUP)
        {
            return GroupOptions.SetAny(Groups, name, value, Socket.AF_INET6);
        }

        if (value.Length < sizeof(int))
        {
            return Errno.EINVAL;
        }

        int number = MemoryMarshal.Read<int>(value);
        EndpointOptions options = IpOptions;
        switch (name)
        {
            case Socket.IPV6_ADDRFORM:
                return number == Socket.AF_INET ? BecomeV4() : Errno.EINVAL;
            case Socket.IPV6_V6ONLY:
                if (IsBound)
                {
                    return Errno.EINVAL;
                }

                options.V6Only = number != 0;
                return Errno.None;
            case Socket.IPV6_UNICAST_HOPS:
                if (number is < -1 or > 255)
                {
                    return Errno.EINVAL;
                }

                options.UnicastHops = number == -1 ? (byte)0 : (byte)number;
                return Errno.None;
            case Socket.IPV6_MULTICAST_HOPS:
                if (IsStream)
                {
                    return Errno.ENOPROTOOPT;
                }

                if (number is < -1 or > 255)
                {
                    return Errno.EINVAL;
                }

                options.MulticastHops = number == -1 ? (byte)1 : (byte)number;
                return Errno.None;
            case Socket.IPV6_MULTICAST_LOOP:
                options.MulticastLoopV6 = number != 0;
                return number is 0 or 1 ? Errno.None : Errno.EINVAL;
            case Socket.IPV6_MULTICAST_ALL:
                options.MulticastAllV6 = number != 0;
                return number is 0 or 1 ? Errno.None : Errno.EINVAL;
            case Socket.IPV6_MULTICAST_IF:
                if (IsStream)
                {
                    return Errno.ENOPROTOOPT;
                }

                using (Stack.Enter())
                {
                    if (number != 0 && Stack.FindInterface(number) is null)
                    {
                        return Errno.ENODEV;
                    }
                }

                options.MulticastInterfaceV6 = number;
                return Errno.None;
            case Socket.IPV6_TCLASS:
                if (number is < -1 or > 255)
                {
                    return Errno.EINVAL;
                }

                // The ECN bits of a stream are TCP's own.
                number = Math.Max(number, 0);
                options.TrafficClass = (byte)(IsStream ? (number & ~3) | (options.TrafficClass & 3) : number);
                return Errno.None;
            case Socket.IPV6_MTU_DISCOVER:
                if (number is < 0 or > 5)
                {
                    return Errno.EINVAL;
                }

                options.PathMtuV6 = (PathMtuMode)number;
                return Errno.None;
            case Socket.IPV6_RECVERR:
                options.ReceiveErrorsV6 = number != 0;
                return Errno.None;
            case Socket.IPV6_DONTFRAG:
                options.DontFragmentV6 = number != 0;
                return Errno.None;
            case Socket.IPV6_FREEBIND:
                options.FreeBind = number != 0;
                return Errno.None;
            case Socket.IPV6_TRANSPARENT:
                if (number != 0 && !IsPrivileged(caller))
                {
                    return Errno.EPERM;
                }

                options.FreeBind |= number != 0;
                _isTransparent = number != 0;
                return Errno.None;
            case Socket.IPV6_MINHOPCOUNT:
                if (number is < 0 or > 255)
                {
                    return Errno.EINVAL;
                }

                options.MinTtl = (byte)number;
                return Errno.None;
            case Socket.IPV6_AUTOFLOWLABEL:
                _autoFlowLabel = number != 0;
                return Errno.None;
            case Socket.IPV6_ADDR_PREFERENCES:
                _addressPreferences = number;
                return Errno.None;
        }

        InetReceiveFlags flag = FlagOfV6(name);
        if (flag == InetReceiveFlags.None)
        {
            return Errno.ENOPROTOOPT;
        }

        Want(flag, number);
        return Errno.None;
    }

    private bool _autoFlowLabel = true;
    private int _addressPreferences;

    /// <summary>bind(2) or connect(2) has given it a port.</summary>
    protected abstract bool IsBound { get; }

    private static InetReceiveFlags FlagOfV6(int name) => name switch
    {
        Socket.IPV6_RECVPKTINFO => InetReceiveFlags.PacketInfoV6,
        Socket.IPV6_RECVHOPLIMIT => InetReceiveFlags.HopLimit,
        Socket.IPV6_2292PKTINFO => InetReceiveFlags.PacketInfo2292,
        Socket.IPV6_2292HOPLIMIT => InetReceiveFlags.HopLimit2292,
        Socket.IPV6_RECVTCLASS => InetReceiveFlags.TrafficClass,
        Socket.IPV6_RECVORIGDSTADDR => InetReceiveFlags.OriginalDestinationV6,
        Socket.IPV6_FLOWINFO => InetReceiveFlags.FlowInfo,
        Socket.IPV6_RECVFRAGSIZE => InetReceiveFlags.FragmentSizeV6,
        Socket.IPV6_RECVPATHMTU => InetReceiveFlags.PathMtu,
        _ => InetReceiveFlags.None,
    };

    private int GetIpv6Option(int name)
    {
        EndpointOptions options = IpOptions;
        return name switch
        {
            Socket.IPV6_V6ONLY => options.V6Only ? 1 : 0,
            Socket.IPV6_UNICAST_HOPS => options.UnicastHops == 0 ? 64 : options.UnicastHops,
            Socket.IPV6_MULTICAST_HOPS => options.MulticastHops,
            Socket.IPV6_MULTICAST_LOOP => options.MulticastLoopV6 ? 1 : 0,
            Socket.IPV6_MULTICAST_ALL => options.MulticastAllV6 ? 1 : 0,
            Socket.IPV6_MULTICAST_IF => options.MulticastInterfaceV6,
            Socket.IPV6_TCLASS => options.TrafficClass,
            Socket.IPV6_MTU_DISCOVER => (int)options.PathMtuV6,
            Socket.IPV6_MTU => PathMtu > 0 ? PathMtu : NoConnection,
            Socket.IPV6_RECVERR => options.ReceiveErrorsV6 ? 1 : 0,
            Socket.IPV6_DONTFRAG => options.DontFragmentV6 ? 1 : 0,
            Socket.IPV6_FREEBIND => options.FreeBind && !_isTransparent ? 1 : 0,
            Socket.IPV6_TRANSPARENT => _isTransparent ? 1 : 0,
            Socket.IPV6_MINHOPCOUNT => options.MinTtl,
            Socket.IPV6_AUTOFLOWLABEL => _autoFlowLabel ? 1 : 0,
            Socket.IPV6_ADDR_PREFERENCES => _addressPreferences,
            _ => FlagOfV6(name) is var flag && flag != InetReceiveFlags.None ? ((Wanted & flag) != 0 ? 1 : 0) : NoOption,
        };
    }
}
