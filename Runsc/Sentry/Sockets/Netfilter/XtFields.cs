using System;
using Runsc.Linux;
using Runsc.NetStack;
using Runsc.NetStack.Filter;
using Runsc.NetStack.Filter.Matches;

namespace Runsc.Sentry.Sockets.Netfilter;

/// <summary>Decodes the structures of matches and targets of numbers in packets, of chance and of counts. Each method is an <see cref="XtMaker"/>.</summary>
internal static class XtFields
{
    // A traffic class is a code point of six bits and two for congestion.
    private const int CodePoints = 0xfc, Congestion = 0x03;

    public static Errno Length(in XtPlace place, ReadOnlySpan<byte> data, out Expression? expression) =>
        Match(PacketField.Length, uint.MaxValue, XtMatches.U16(data, 0), XtMatches.U16(data, 2), data[4], out expression);

    public static Errno HopLimit(in XtPlace place, ReadOnlySpan<byte> data, out Expression? expression)
    {
        const int equal = 0, notEqual = 1, less = 2, greater = 3;
        int mode = data[0], value = data[1];
        expression = mode == less ? new FieldMatch(PacketField.HopLimit, byte.MaxValue, (uint)value, byte.MaxValue, isInverted: true)
            : mode == greater ? new FieldMatch(PacketField.HopLimit, byte.MaxValue, 0, (uint)value, isInverted: true)
            : new FieldMatch(PacketField.HopLimit, byte.MaxValue, (uint)value, (uint)value, mode == notEqual);
        return mode is >= equal and <= greater ? Errno.None : Errno.EINVAL;
    }

    public static Errno CodePoint(in XtPlace place, ReadOnlySpan<byte> data, out Expression? expression)
    {
        uint value = (uint)data[0] << 2;
        Match(PacketField.TrafficClass, CodePoints, value, value, data[1], out expression);
        return data[0] > CodePoints >> 2 ? Errno.EDOM : Errno.None;
    }

    public static Errno Service(in XtPlace place, ReadOnlySpan<byte> data, out Expression? expression) =>
        Match(PacketField.TrafficClass, data[0], data[1], data[1], data[2], out expression);

    public static Errno Type(in XtPlace place, ReadOnlySpan<byte> data, out Expression? expression) =>
        Match(PacketField.Type, uint.MaxValue, XtMatches.U32(data, 0), XtMatches.U32(data, 0), data[4], out expression);

    public static Errno SegmentSize(in XtPlace place, ReadOnlySpan<byte> data, out Expression? expression) =>
        Match(PacketField.SegmentSize, uint.MaxValue, XtMatches.U16(data, 0), XtMatches.U16(data, 2), data[4], out expression);

    private static Errno Match(PacketField field, uint mask, uint minimum, uint maximum, byte inverted, out Expression? expression)
    {
        expression = new FieldMatch(field, mask, minimum, maximum, inverted != 0);
        return Errno.None;
    }

    public static Errno SetHopLimit(in XtPlace place, ReadOnlySpan<byte> data, out Expression? expression)
    {
        const int set = 0, increment = 1, decrement = 2;
        int mode = data[0], value = data[1];
        expression = mode == set ? new FieldTarget(PacketField.HopLimit, 0, value, 0) : new FieldTarget(PacketField.HopLimit, byte.MaxValue, 0, mode == increment ? value : -value);
        return mode > decrement || (mode != set && value == 0) ? Errno.EINVAL : Errno.None;
    }

    public static Errno SetCodePoint(in XtPlace place, ReadOnlySpan<byte> data, out Expression? expression)
    {
        expression = new FieldTarget(PacketField.TrafficClass, Congestion, (data[0] << 2) & CodePoints, 0);
        return data[0] > CodePoints >> 2 ? Errno.EDOM : Errno.None;
    }

    public static Errno SetService(in XtPlace place, ReadOnlySpan<byte> data, out Expression? expression)
    {
        expression = new FieldTarget(PacketField.TrafficClass, data[1] ^ byte.MaxValue, data[0], 0);
        return Errno.None;
    }

    public static Errno SetSegmentSize(in XtPlace place, ReadOnlySpan<byte> data, out Expression? expression)
    {
        const int clamp = 0xffff, ways = 1 << Linux.Netfilter.NF_INET_FORWARD | 1 << Linux.Netfilter.NF_INET_LOCAL_OUT | 1 << Linux.Netfilter.NF_INET_POST_ROUTING;
        int size = XtMatches.U16(data, 0);
        expression = new SegmentSizeTarget(size == clamp ? -1 : size);
        return size == clamp && (place.Hooks & ~ways) != 0 ? Errno.EINVAL : Errno.None;
    }

    public static Errno Statistic(in XtPlace place, ReadOnlySpan<byte> data, out Expression? expression)
    {
        const int nth = 1;
        int mode = XtMatches.U16(data, 0), flags = XtMatches.U16(data, 2);
        expression = new StatisticMatch(mode == nth ? -1 : XtMatches.U32(data, 4), XtMatches.U32(data, 4), XtMatches.U32(data, 12), (flags & 1) != 0);
        return mode > nth || (flags & ~1) != 0 ? Errno.EINVAL : Errno.None;
    }

    public static Errno Mac(in XtPlace place, ReadOnlySpan<byte> data, out Expression? expression)
    {
        expression = new SourceMacMatch(data[..6].ToArray(), XtMatches.U32(data, 8) != 0);
        return Errno.None;
    }

    public static Errno ConnectionCount(in XtPlace place, ReadOnlySpan<byte> data, out Expression? expression)
    {
        const uint inverted = 1, destination = 2;
        uint flags = XtMatches.U32(data, 20);
        IpAddress mask = XtMatches.Address(data, place.IsV4);
        expression = new ConnectionCountMatch(mask, XtMatches.U32(data, 16), (flags & destination) != 0, (flags & inverted) != 0);
        return Errno.None;
    }
}
