using System;
using System.Buffers.Binary;
using System.Text;
using Runsc.Linux;
using Runsc.NetStack.Filter;
using Runsc.NetStack.Filter.Expressions;
using Runsc.NetStack.Filter.Matches;
using Runsc.NetStack.Filter.Tracking;

namespace Runsc.Sentry.Sockets.Netfilter;

/// <summary>Decodes the structures of targets. Each method is an <see cref="XtMaker"/>.</summary>
internal static class XtTargets
{
    // Codes of ICMP and ICMPv6 by the numbers of REJECT; the resets are behind.
    private static readonly byte[] s_codesV4 = [0, 1, 2, 3, NoCode, 9, 10, NoCode, 13];
    private static readonly byte[] s_codesV6 = [0, 1, 2, 3, 4, NoCode, NoCode, 5, 6];
    private const byte NoCode = byte.MaxValue;
    private const byte Tcp = 6;

    public static Errno Reject(in XtPlace place, ReadOnlySpan<byte> data, out Expression? expression)
    {
        const uint resetV4 = 7, resetV6 = 6;
        uint with = XtMatches.U32(data, 0);
        expression = null;
        if (with == (place.IsV4 ? resetV4 : resetV6))
        {
            expression = new RejectExpression(0, 0, resets: true);
            return place.Protocol == Tcp ? Errno.None : Errno.EINVAL;
        }

        byte[] codes = place.IsV4 ? s_codesV4 : s_codesV6;
        if (with >= codes.Length || codes[with] == NoCode)
        {
            return Errno.EINVAL;
        }

        expression = new RejectExpression(codes[with], codes[with], resets: false);
        return Errno.None;
    }

    public static Errno Log(in XtPlace place, ReadOnlySpan<byte> data, out Expression? expression)
    {
        ReadOnlySpan<byte> prefix = data[2..];
        int end = prefix.IndexOf((byte)0);
        expression = end < 0 ? null : new LogExpression(Encoding.Latin1.GetString(prefix[..end]));
        return data[0] >= 8 || end < 0 ? Errno.EINVAL : Errno.None;
    }

    public static Errno DestinationNat0(in XtPlace place, ReadOnlySpan<byte> data, out Expression? expression) => Nat(isSource: false, TryReadV4(data, out NatRange range), range, out expression);

    public static Errno SourceNat0(in XtPlace place, ReadOnlySpan<byte> data, out Expression? expression) => Nat(isSource: true, TryReadV4(data, out NatRange range), range, out expression);

    public static Errno DestinationNat1(in XtPlace place, ReadOnlySpan<byte> data, out Expression? expression) => Nat(isSource: false, TryRead(place, data, out NatRange range), range, out expression);

    public static Errno SourceNat1(in XtPlace place, ReadOnlySpan<byte> data, out Expression? expression) => Nat(isSource: true, TryRead(place, data, out NatRange range), range, out expression);

    private static Errno Nat(bool isSource, bool isGood, in NatRange range, out Expression? expression)
    {
        expression = isGood ? new NatExpression(isSource, range) : null;
        return isGood ? Errno.None : Errno.EINVAL;
    }

    public static Errno RedirectV4(in XtPlace place, ReadOnlySpan<byte> data, out Expression? expression) => Redirect(TryReadV4(data, out NatRange range), range, out expression);

    public static Errno RedirectV6(in XtPlace place, ReadOnlySpan<byte> data, out Expression? expression) => Redirect(TryRead(place, data, out NatRange range), range, out expression);

    private static Errno Redirect(bool isGood, in NatRange range, out Expression? expression)
    {
        isGood &= !range.HasAddresses;
        expression = isGood ? new RedirectExpression(range) : null;
        return isGood ? Errno.None : Errno.EINVAL;
    }

    public static Errno MasqueradeV4(in XtPlace place, ReadOnlySpan<byte> data, out Expression? expression) => Masquerade(TryReadV4(data, out NatRange range), range, out expression);

    public static Errno MasqueradeV6(in XtPlace place, ReadOnlySpan<byte> data, out Expression? expression) => Masquerade(TryRead(place, data, out NatRange range), range, out expression);

    private static Errno Masquerade(bool isGood, in NatRange range, out Expression? expression)
    {
        isGood &= !range.HasAddresses;
        expression = isGood ? new MasqueradeExpression(range) : null;
        return isGood ? Errno.None : Errno.EINVAL;
    }

    public static Errno Mark(in XtPlace place, ReadOnlySpan<byte> data, out Expression? expression)
    {
        expression = new MarkTarget(XtMatches.U32(data, 0), XtMatches.U32(data, 4));
        return Errno.None;
    }

    public static Errno ConnectionMark(in XtPlace place, ReadOnlySpan<byte> data, out Expression? expression)
    {
        expression = new ConnectionMarkTarget(data[12], XtMatches.U32(data, 0), XtMatches.U32(data, 4), XtMatches.U32(data, 8));
        return data[12] > ConnectionMarkTarget.Restore ? Errno.EINVAL : Errno.None;
    }

    public static Errno NoTrack(in XtPlace place, ReadOnlySpan<byte> data, out Expression? expression)
    {
        expression = new UntrackExpression();
        return Errno.None;
    }

    // Zones, helpers, events and time-outs of connections are not there.
    public static Errno Ct(in XtPlace place, ReadOnlySpan<byte> data, out Expression? expression)
    {
        const int noTrack = 1, alias = 2;
        expression = new UntrackExpression();
        return (XtMatches.U16(data, 0) & ~alias) == noTrack && data[2..32].IndexOfAnyExcept((byte)0) < 0 ? Errno.None : Errno.EOPNOTSUPP;
    }

    // struct nf_nat_ipv4_multi_range_compat with its one range.
    private static bool TryReadV4(ReadOnlySpan<byte> data, out NatRange range)
    {
        range = Range(XtMatches.U32(data, 4), data[16..]) with { MinAddress = XtMatches.Address(data[8..], v4: true), MaxAddress = XtMatches.Address(data[12..], v4: true) };
        return XtMatches.U32(data, 0) == 1 && IsGood(range, XtMatches.U32(data, 4));
    }

    // struct nf_nat_range, and nf_nat_range2 without the base of its ports.
    private static bool TryRead(in XtPlace place, ReadOnlySpan<byte> data, out NatRange range)
    {
        range = Range(XtMatches.U32(data, 0), data[36..]) with { MinAddress = XtMatches.Address(data[4..], place.IsV4), MaxAddress = XtMatches.Address(data[20..], place.IsV4) };
        return IsGood(range, XtMatches.U32(data, 0));
    }

    /// <summary>A range without its addresses: flags and two ports.</summary>
    internal static NatRange Range(uint flags, ReadOnlySpan<byte> ports) => new()
    {
        HasAddresses = (flags & Linux.Netfilter.NF_NAT_RANGE_MAP_IPS) != 0,
        HasPorts = (flags & Linux.Netfilter.NF_NAT_RANGE_PROTO_SPECIFIED) != 0,
        IsRandom = (flags & (Linux.Netfilter.NF_NAT_RANGE_PROTO_RANDOM | Linux.Netfilter.NF_NAT_RANGE_PROTO_RANDOM_FULLY)) != 0,
        IsPersistent = (flags & Linux.Netfilter.NF_NAT_RANGE_PERSISTENT) != 0,
        MinPort = BinaryPrimitives.ReadUInt16BigEndian(ports),
        MaxPort = BinaryPrimitives.ReadUInt16BigEndian(ports[2..]),
    };

    private static bool IsGood(in NatRange range, uint flags)
    {
        const uint known = Linux.Netfilter.NF_NAT_RANGE_MAP_IPS | Linux.Netfilter.NF_NAT_RANGE_PROTO_SPECIFIED | Linux.Netfilter.NF_NAT_RANGE_PROTO_RANDOM
            | Linux.Netfilter.NF_NAT_RANGE_PERSISTENT | Linux.Netfilter.NF_NAT_RANGE_PROTO_RANDOM_FULLY;
        bool ordered = range.MinAddress.High < range.MaxAddress.High || (range.MinAddress.High == range.MaxAddress.High && range.MinAddress.Low <= range.MaxAddress.Low);
        return (flags & ~known) == 0 && (!range.HasPorts || range.MinPort <= range.MaxPort) && (!range.HasAddresses || ordered);
    }
}
