using System;
using System.Collections.Generic;
using System.Text;
using Runsc.Linux;
using Runsc.NetStack;
using Runsc.NetStack.Core;
using Runsc.NetStack.Link;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.Sockets.Inet;

/// <summary>ioctls about interfaces (netdevice(7)): SIOCGIF* and SIOCSIF*.</summary>
internal static class InterfaceCalls
{
    // struct ifreq: name, then a union.
    private const int NameSize = 16;
    private const int RequestSize = 40;
    private const int FirstCommand = 0x8900, LastCommand = 0x89ff;

    public static bool Handles(uint command) => command is >= FirstCommand and <= LastCommand;

    /// <summary>0 or −errno. ENOTTY for what is not there.</summary>
    public static long Run(ICaller caller, NetNamespace network, int family, uint command, ulong argument)
    {
        NetworkStack stack = network.Inet.Stack;
        bool isOfAddress = command is Socket.SIOCGIFADDR or Socket.SIOCGIFDSTADDR or Socket.SIOCGIFBRDADDR or Socket.SIOCGIFNETMASK or Socket.SIOCSIFADDR or Socket.SIOCSIFNETMASK;
        if (isOfAddress && family != Socket.AF_INET)
        {
            return -(long)Errno.ENOTTY;
        }

        if (command == Socket.SIOCGIFCONF)
        {
            return List(caller, stack, argument);
        }

        if (!IsKnown(command) || (command == Socket.SIOCGIFPFLAGS && family != Socket.AF_INET))
        {
            return -(long)Errno.ENOTTY;
        }

        if (command == Socket.SIOCGIFPFLAGS)
        {
            return -(long)Errno.EINVAL;
        }

        Span<byte> request = stackalloc byte[RequestSize];
        if (caller.UserMemory.CopyIn(argument, request) != RequestSize)
        {
            return -(long)Errno.EFAULT;
        }

        bool isChange = command is Socket.SIOCSIFFLAGS or Socket.SIOCSIFADDR or Socket.SIOCSIFMTU or Socket.SIOCSIFNETMASK or Socket.SIOCSIFTXQLEN;
        if (isChange && !caller.Credentials.HasCapability(Capability.CAP_NET_ADMIN, network.Owner))
        {
            return -(long)Errno.EPERM;
        }

        Errno error;
        using (stack.Enter())
        {
            error = isChange ? Change(stack, command, request) : Answer(stack, command, request);
        }

        return error != Errno.None ? -(long)error
            : isChange || caller.UserMemory.CopyOut(argument, request) == RequestSize ? 0 : -(long)Errno.EFAULT;
    }

    private static bool IsKnown(uint command) => command is Socket.SIOCGIFNAME or Socket.SIOCGIFINDEX or Socket.SIOCGIFFLAGS or Socket.SIOCGIFADDR
        or Socket.SIOCGIFDSTADDR or Socket.SIOCGIFBRDADDR or Socket.SIOCGIFNETMASK or Socket.SIOCGIFMETRIC or Socket.SIOCGIFMTU or Socket.SIOCGIFHWADDR
        or Socket.SIOCGIFTXQLEN or Socket.SIOCGIFMAP or Socket.SIOCGIFSLAVE or Socket.SIOCGIFPFLAGS or Socket.SIOCETHTOOL or Socket.SIOCSIFFLAGS or Socket.SIOCSIFADDR or Socket.SIOCSIFMTU or Socket.SIOCSIFNETMASK or Socket.SIOCSIFTXQLEN;

    private static NetworkInterface? Find(NetworkStack stack, ReadOnlySpan<byte> request)
    {
        ReadOnlySpan<byte> name = request[..NameSize];
        int end = name.IndexOfAny((byte)0, (byte)':');
        return stack.FindInterface(Encoding.Latin1.GetString(end < 0 ? name[..(NameSize - 1)] : name[..end]));
    }

    private static InterfaceAddress? FirstV4(NetworkInterface found)
    {
        foreach (InterfaceAddress address in found.Addresses)
        {
            if (address.Address.IsV4)
            {
                return address;
            }
        }

        return null;
    }

    private static Errno Answer(NetworkStack stack, uint command, Span<byte> request)
    {
        Span<byte> value = request[NameSize..];
        if (command == Socket.SIOCGIFNAME)
        {
            if (stack.FindInterface(BitConverter.ToInt32(value)) is not NetworkInterface named)
            {
                return Errno.ENODEV;
            }

            request[..NameSize].Clear();
            Encoding.Latin1.GetBytes(named.Name, request);
            return Errno.None;
        }

        if (Find(stack, request) is not NetworkInterface found)
        {
            return Errno.ENODEV;
        }

        switch (command)
        {
            case Socket.SIOCGIFINDEX:
                return Number(value, found.Index);
            case Socket.SIOCGIFFLAGS:
                BitConverter.TryWriteBytes(value, unchecked((short)found.ShownFlags));
                return Errno.None;
            case Socket.SIOCGIFSLAVE:
                return Errno.EINVAL;
            case Socket.SIOCETHTOOL:
                // No driver here has a say in it.
                return Errno.EOPNOTSUPP;
            case Socket.SIOCGIFMETRIC:
                return Number(value, 0);
            case Socket.SIOCGIFMTU:
                return Number(value, found.Mtu);
            case Socket.SIOCGIFTXQLEN:
                return Number(value, found.QueueLength);
            case Socket.SIOCGIFMAP:
                value[..24].Clear();
                return Errno.None;
            case Socket.SIOCGIFHWADDR:
                const ushort ethernet = 1, loopback = 772, none = 0xfffe;
                value[..16].Clear();
                BitConverter.TryWriteBytes(value, found.Device.Kind switch { LinkKind.Ethernet => ethernet, LinkKind.Loopback => loopback, _ => none });
                if (found.Device.Kind == LinkKind.Ethernet)
                {
                    found.Mac.Write(value[2..]);
                }

                return Errno.None;
        }

        if (FirstV4(found) is not InterfaceAddress address)
        {
            return Errno.EADDRNOTAVAIL;
        }

        IpAddress shown = command switch
        {
            Socket.SIOCGIFADDR => address.Address,
            Socket.SIOCGIFDSTADDR => address.Peer,
            Socket.SIOCGIFBRDADDR => address.Broadcast.IsV4 ? address.Broadcast : IpAddress.AnyV4,
            _ => IpAddress.FromV4(address.PrefixLength == 0 ? 0 : uint.MaxValue << (32 - address.PrefixLength)),
        };
        InetAddress.Write(Socket.AF_INET, new IpEndpoint(shown, 0), value[..InetAddress.SizeV4]);
        return Errno.None;
    }

    private static Errno Number(Span<byte> value, int number)
    {
        BitConverter.TryWriteBytes(value, number);
        return Errno.None;
    }

    private static Errno Change(NetworkStack stack, uint command, ReadOnlySpan<byte> request)
    {
        const short up = 1;
        ReadOnlySpan<byte> value = request[NameSize..];
        if (Find(stack, request) is not NetworkInterface found)
        {
            return Errno.ENODEV;
        }

        switch (command)
        {
            case Socket.SIOCSIFFLAGS:
                LoopbackAddresses.SetUp(stack, found, (BitConverter.ToInt16(value) & up) != 0);
                return Errno.None;
            case Socket.SIOCSIFMTU:
                return NetErrors.ToErrno(stack.SetMtu(found, BitConverter.ToInt32(value)));
            case Socket.SIOCSIFTXQLEN:
                found.QueueLength = Math.Max(BitConverter.ToInt32(value), 0);
                return Errno.None;
        }

        if (InetAddress.TryParse(Socket.AF_INET, value[..InetAddress.SizeV4], mixed: false, out IpEndpoint given) != Errno.None)
        {
            return Errno.EINVAL;
        }

        InterfaceAddress? old = FirstV4(found);
        int prefix;
        IpAddress address;
        if (command == Socket.SIOCSIFNETMASK)
        {
            if (old is null)
            {
                return Errno.EADDRNOTAVAIL;
            }

            (address, prefix) = (old.Address, System.Numerics.BitOperations.PopCount(given.Address.V4));
        }
        else
        {
            // The classes of old give the mask until it is set.
            address = given.Address;
            prefix = address.V4 >> 31 == 0 ? 8 : address.V4 >> 30 == 2 ? 16 : 24;
        }

        if (old is not null)
        {
            stack.RemoveAddress(old);
        }

        if (address.IsUnspecified)
        {
            return Errno.None;
        }

        IpAddress broadcast = found.Device.Kind == LinkKind.Ethernet && prefix < 31 ? IpAddress.FromV4(address.V4 | (prefix == 0 ? uint.MaxValue : uint.MaxValue >> prefix)) : default;
        return NetErrors.ToErrno(stack.AddAddress(new InterfaceAddress(found, address, prefix) { Label = found.Name, Broadcast = broadcast }));
    }

    // SIOCGIFCONF: struct ifconf, a length and a pointer; one ifreq for each IPv4 address.
    private static long List(ICaller caller, NetworkStack stack, ulong argument)
    {
        Span<byte> header = stackalloc byte[16];
        if (caller.UserMemory.CopyIn(argument, header) != header.Length)
        {
            return -(long)Errno.EFAULT;
        }

        List<byte> all = [];
        using (stack.Enter())
        {
            Span<byte> request = stackalloc byte[RequestSize];
            foreach (NetworkInterface one in stack.Interfaces)
            {
                foreach (InterfaceAddress address in one.Addresses)
                {
                    if (address.Address.IsV4)
                    {
                        request.Clear();
                        Encoding.Latin1.GetBytes(address.Label ?? one.Name, request);
                        InetAddress.Write(Socket.AF_INET, new IpEndpoint(address.Address, 0), request[NameSize..]);
                        all.AddRange(request);
                    }
                }
            }
        }

        int room = BitConverter.ToInt32(header);
        ulong target = BitConverter.ToUInt64(header[8..]);
        int length = all.Count;
        if (target != 0)
        {
            length = Math.Min(length, Math.Max(room, 0) / RequestSize * RequestSize);
            if (length > 0 && caller.UserMemory.CopyOut(target, System.Runtime.InteropServices.CollectionsMarshal.AsSpan(all)[..length]) != length)
            {
                return -(long)Errno.EFAULT;
            }
        }

        BitConverter.TryWriteBytes(header, length);
        return caller.UserMemory.CopyOut(argument, header[..4]) == 4 ? 0 : -(long)Errno.EFAULT;
    }
}
