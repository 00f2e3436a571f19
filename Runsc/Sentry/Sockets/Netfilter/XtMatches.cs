using System;
using System.Buffers.Binary;
using Runsc.Linux;
using Runsc.NetStack;
using Runsc.NetStack.Filter;
using Runsc.NetStack.Filter.Expressions;
using Runsc.NetStack.Filter.Matches;

namespace Runsc.Sentry.Sockets.Netfilter;

/// <summary>Decodes the structures of matches (linux/netfilter/xt_*.h). Each method is an <see cref="XtMaker"/>.</summary>
internal static class XtMatches
{
    public static Errno Tcp(in XtPlace place, ReadOnlySpan<byte> data, out Expression? expression)
    {
        const int notSource = 1, notDestination = 2, notFlags = 4, notOption = 8, known = 15;
        byte inverted = data[11];
        expression = new PortMatch
        {
            Protocol = place.Protocol,
            MinSource = U16(data, 0),
            MaxSource = U16(data, 2),
            MinDestination = U16(data, 4),
            MaxDestination = U16(data, 6),
            Option = data[8],
            FlagMask = data[9],
            FlagsSet = data[10],
            NotSource = (inverted & notSource) != 0,
            NotDestination = (inverted & notDestination) != 0,
            NotFlags = (inverted & notFlags) != 0,
            NotOption = (inverted & notOption) != 0,
        };
        return (inverted & ~known) != 0 ? Errno.EINVAL : Errno.None;
    }

    public static Errno Udp(in XtPlace place, ReadOnlySpan<byte> data, out Expression? expression)
    {
        const int notSource = 1, notDestination = 2, known = 3;
        byte inverted = data[8];
        expression = new PortMatch
        {
            Protocol = place.Protocol,
            MinSource = U16(data, 0),
            MaxSource = U16(data, 2),
            MinDestination = U16(data, 4),
            MaxDestination = U16(data, 6),
            NotSource = (inverted & notSource) != 0,
            NotDestination = (inverted & notDestination) != 0,
        };
        return (inverted & ~known) != 0 ? Errno.EINVAL : Errno.None;
    }

    public static Errno Icmp(in XtPlace place, ReadOnlySpan<byte> data, out Expression? expression)
    {
        expression = new IcmpMatch(place.IsV4, data[0], data[1], data[2], (data[3] & 1) != 0);
        return (data[3] & ~1) != 0 ? Errno.EINVAL : Errno.None;
    }

    public static Errno State(in XtPlace place, ReadOnlySpan<byte> data, out Expression? expression)
    {
        expression = new ConntrackMatch { LooksAt = ConntrackMatch.State, States = (int)U32(data, 0) };
        return Errno.None;
    }

    public static Errno Conntrack1(in XtPlace place, ReadOnlySpan<byte> data, out Expression? expression) =>
        Conntrack(data, U16(data, 146), U16(data, 148), data[150], data[151], isRevision3: false, out expression);

    public static Errno Conntrack2(in XtPlace place, ReadOnlySpan<byte> data, out Expression? expression) =>
        Conntrack(data, U16(data, 146), U16(data, 148), U16(data, 150), U16(data, 152), isRevision3: false, out expression);

    public static Errno Conntrack3(in XtPlace place, ReadOnlySpan<byte> data, out Expression? expression) =>
        Conntrack(data, U16(data, 146), U16(data, 148), U16(data, 150), U16(data, 152), isRevision3: true, out expression);

    private static Errno Conntrack(ReadOnlySpan<byte> data, int looksAt, int inverted, int states, int statuses, bool isRevision3, out Expression? expression)
    {
        // XT_CONNTRACK_STATE_SNAT, _DNAT and _UNTRACKED are elsewhere than in the states of nftables.
        const int sourceNat = 1 << 6, destinationNat = 1 << 7, untracked = 1 << 8;
        const int ports = 138, highPorts = 154;
        (IpAddress, IpAddress)[] addresses = new (IpAddress, IpAddress)[4];
        (ushort, ushort)[] ranges = new (ushort, ushort)[4];
        bool v4 = IsV4(data[..128]);
        for (int i = 0; i < 4; i++)
        {
            addresses[i] = (Address(data[(i * 32)..], v4), Address(data[((i * 32) + 16)..], v4));
            ranges[i] = isRevision3 ? (U16(data, ports + (i * 2)), U16(data, highPorts + (i * 2)))
                : (BinaryPrimitives.ReadUInt16BigEndian(data[(ports + (i * 2))..]), BinaryPrimitives.ReadUInt16BigEndian(data[(ports + (i * 2))..]));
        }

        expression = new ConntrackMatch
        {
            LooksAt = looksAt,
            Inverted = inverted,
            States = (states & 0x3f) | ((states & sourceNat) << 1) | ((states & destinationNat) << 1) | ((states & untracked) >> 2),
            Statuses = statuses,
            TransportProtocol = unchecked((byte)U16(data, 136)),
            MinExpires = U32(data, 128),
            MaxExpires = U32(data, 132),
            Addresses = addresses,
            Ports = ranges,
        };
        return Errno.None;
    }

    // Which family the addresses are of is not said: an IPv4 address is the first word of 16 bytes.
    private static bool IsV4(ReadOnlySpan<byte> addresses)
    {
        for (int i = 0; i < addresses.Length; i++)
        {
            if ((i & 15) >= 4 && addresses[i] != 0)
            {
                return false;
            }
        }

        return true;
    }

    public static Errno Owner(in XtPlace place, ReadOnlySpan<byte> data, out Expression? expression)
    {
        const int user = 1, group = 2, socket = 4;
        byte looksAt = data[16], inverted = data[17];
        expression = new OwnerMatch
        {
            LooksAtUser = (looksAt & user) != 0,
            MinUser = U32(data, 0),
            MaxUser = U32(data, 4),
            NotUser = (inverted & user) != 0,
            LooksAtGroup = (looksAt & group) != 0,
            MinGroup = U32(data, 8),
            MaxGroup = U32(data, 12),
            NotGroup = (inverted & group) != 0,
            LooksAtSocket = (looksAt & socket) != 0,
            NotSocket = (inverted & socket) != 0,
        };
        return (looksAt & ~(user | group | socket)) != 0 ? Errno.EINVAL : Errno.None;
    }

    public static Errno Multiport(in XtPlace place, ReadOnlySpan<byte> data, out Expression? expression)
    {
        const int maximum = 15, flags = 32, invert = 47, either = 2;
        expression = null;
        int count = data[1];
        if (count > maximum || data[0] > either)
        {
            return Errno.EINVAL;
        }

        (ushort, ushort)[] ports = new (ushort, ushort)[count];
        int used = 0;
        for (int i = 0; i < count; i++)
        {
            ushort first = U16(data, 2 + (i * 2));
            bool isRange = data[flags + i] != 0;
            if (isRange && i + 1 == count)
            {
                return Errno.EINVAL;
            }

            ports[used++] = isRange ? (first, U16(data, 2 + (++i * 2))) : (first, first);
        }

        expression = new MultiportMatch(data[0] != 1, data[0] != 0, ports[..used], data[invert] != 0);
        return Errno.None;
    }

    public static Errno Mark(in XtPlace place, ReadOnlySpan<byte> data, out Expression? expression)
    {
        expression = new MarkMatch(U32(data, 0), U32(data, 4), data[8] != 0, ofConnection: false);
        return Errno.None;
    }

    public static Errno ConnectionMark(in XtPlace place, ReadOnlySpan<byte> data, out Expression? expression)
    {
        expression = new MarkMatch(U32(data, 0), U32(data, 4), data[8] != 0, ofConnection: true);
        return Errno.None;
    }

    public static Errno AddressType0(in XtPlace place, ReadOnlySpan<byte> data, out Expression? expression)
    {
        expression = new AddressTypeMatch(U16(data, 0), U32(data, 4) != 0, U16(data, 2), U32(data, 8) != 0);
        return Errno.None;
    }

    public static Errno AddressType1(in XtPlace place, ReadOnlySpan<byte> data, out Expression? expression)
    {
        // XT_ADDRTYPE_LIMIT_IFACE_IN and _OUT ask for the addresses of one interface: not there.
        const uint notSource = 1, notDestination = 2;
        uint flags = U32(data, 4);
        expression = new AddressTypeMatch(U16(data, 0), (flags & notSource) != 0, U16(data, 2), (flags & notDestination) != 0);
        return (flags & ~(notSource | notDestination)) != 0 ? Errno.EINVAL : Errno.None;
    }

    public static Errno Comment(in XtPlace place, ReadOnlySpan<byte> data, out Expression? expression)
    {
        expression = null;
        return Errno.None;
    }

    public static Errno Limit(in XtPlace place, ReadOnlySpan<byte> data, out Expression? expression)
    {
        // The time between packets in XT_LIMIT_SCALE-ths of a second.
        const ulong scale = 10000, second = 1_000_000_000;
        uint average = U32(data, 0), burst = U32(data, 4);
        expression = null;
        if (burst == 0 || average == 0 || unchecked(average * burst) < average)
        {
            return Errno.ERANGE;
        }

        expression = new LimitExpression(1, average * (second / scale), burst, countsBytes: false, isInverted: false);
        return Errno.None;
    }

    internal static IpAddress Address(ReadOnlySpan<byte> data, bool v4) => v4 ? IpAddress.ReadV4(data) : IpAddress.ReadV6(data);

    internal static ushort U16(ReadOnlySpan<byte> data, int at) => BitConverter.ToUInt16(data[at..]);

    internal static uint U32(ReadOnlySpan<byte> data, int at) => BitConverter.ToUInt32(data[at..]);
}
