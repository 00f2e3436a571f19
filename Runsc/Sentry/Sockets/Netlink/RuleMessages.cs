using System;
using Runsc.Linux;
using Runsc.NetStack;
using Runsc.NetStack.Core;
using Runsc.NetStack.Network;
using Runsc.Sentry.Sockets.Inet;

namespace Runsc.Sentry.Sockets.Netlink;

/// <summary>RTM_NEWRULE, RTM_DELRULE, RTM_GETRULE: policy rules (ip-rule(8)), but those that look at users, ports and tunnels, and goto. Under the stack's lock.</summary>
internal static class RuleMessages
{
    public const int New = 32, Delete = 33, Get = 34;

    // struct fib_rule_hdr.
    private const int HeaderSize = 12;

    // FRA_*.
    private const int Destination = 1, Source = 2, InputName = 3, Priority = 6, Mark = 10, SuppressPrefix = 14, Table = 15, MarkMask = 16, OutputName = 17, Protocol = 21;

    // Of those that are not known here: FRA_GOTO, FRA_FLOW, FRA_TUN_ID, FRA_SUPPRESS_IFGROUP, FRA_L3MDEV, FRA_UID_RANGE, FRA_IP_PROTO, FRA_SPORT_RANGE, FRA_DPORT_RANGE, FRA_DSCP.
    private static ReadOnlySpan<byte> Unknown => [4, 11, 12, 13, 19, 20, 22, 23, 24, 25];

    private const uint Inverted = 2, InputDetached = 8, OutputDetached = 16;

    public static Errno Dump(NetworkStack stack, int family, NetlinkWriter writer)
    {
        for (int i = 0; i < 2; i++)
        {
            if (family != Socket.AF_UNSPEC && (family == Socket.AF_INET) != (i == 0))
            {
                continue;
            }

            foreach (RouteRule rule in stack.Routes(i == 0).Rules)
            {
                Write(stack, rule, i == 0, writer);
            }
        }

        return Errno.None;
    }

    private static void Write(NetworkStack stack, RouteRule rule, bool v4, NetlinkWriter writer)
    {
        const uint compatible = 252;
        writer.Begin(New, NetlinkWriter.Multi);
        writer.Add((byte)(v4 ? Socket.AF_INET : Socket.AF_INET6));
        writer.Add((byte)rule.DestinationLength);
        writer.Add((byte)rule.SourceLength);
        writer.Add(rule.TrafficClass);
        writer.Add((byte)(rule.Table < 256 ? rule.Table : compatible));
        writer.Add((ushort)0);
        writer.Add(rule.Action);
        writer.Add((rule.IsInverted ? Inverted : 0) | Detached(rule.InputName, InputDetached) | Detached(rule.OutputName, OutputDetached));
        writer.Attribute(Table, rule.Table);
        writer.Attribute(SuppressPrefix, unchecked((uint)rule.SuppressedLength));
        writer.Attribute(Protocol, [rule.Protocol]);
        if (rule.InputName is { } input)
        {
            writer.Attribute(InputName, input);
        }

        if (rule.OutputName is { } output)
        {
            writer.Attribute(OutputName, output);
        }

        if (rule.Priority != 0)
        {
            writer.Attribute(Priority, rule.Priority);
        }

        if (rule.Mark != 0)
        {
            writer.Attribute(Mark, rule.Mark);
        }

        if (rule.Mark != 0 || rule.MarkMask != 0)
        {
            writer.Attribute(MarkMask, rule.MarkMask);
        }

        if (rule.DestinationLength != 0)
        {
            writer.Attribute(Destination, rule.Destination);
        }

        if (rule.SourceLength != 0)
        {
            writer.Attribute(Source, rule.Source);
        }

        writer.End();

        uint Detached(string? name, uint flag) => name is not null && stack.FindInterface(name) is null ? flag : 0;
    }

    /// <summary>Adds or removes a rule. EINVAL, EEXIST, ENOENT, EOPNOTSUPP for what is not known here.</summary>
    public static Errno Change(NetworkStack stack, in NetlinkRequest request)
    {
        const int exclusive = 0x200;
        if (request.Body.Length < HeaderSize)
        {
            return Errno.EINVAL;
        }

        ReadOnlySpan<byte> body = request.Body;
        bool v4 = body[0] == Socket.AF_INET;
        if (!v4 && body[0] != Socket.AF_INET6)
        {
            return Errno.EAFNOSUPPORT;
        }

        foreach (byte attribute in Unknown)
        {
            if (!request.Attribute(HeaderSize, attribute).IsEmpty)
            {
                return Errno.EOPNOTSUPP;
            }
        }

        IpAddress any = v4 ? IpAddress.AnyV4 : IpAddress.AnyV6;
        if (!TryReadPrefix(request, Destination, body[1], any, out IpAddress to) || !TryReadPrefix(request, Source, body[2], any, out IpAddress from))
        {
            return Errno.EINVAL;
        }

        bool isNew = request.Type == New, hasPriority = request.TryGetNumber(HeaderSize, Priority, out uint priority);
        bool hasMark = request.TryGetNumber(HeaderSize, Mark, out uint mark), hasMask = request.TryGetNumber(HeaderSize, MarkMask, out uint mask);
        bool suppresses = request.TryGetNumber(HeaderSize, SuppressPrefix, out uint length);
        string input = request.GetText(HeaderSize, InputName), output = request.GetText(HeaderSize, OutputName);
        ReadOnlySpan<byte> protocol = request.Attribute(HeaderSize, Protocol);
        RoutingTables routes = stack.Routes(v4);
        RouteRule rule = new()
        {
            Priority = hasPriority ? priority : routes.NextPriority,
            Table = request.TryGetNumber(HeaderSize, Table, out uint table) ? table : body[4],
            Action = body[7],
            Protocol = protocol.IsEmpty ? (byte)0 : protocol[0],
            Destination = to,
            DestinationLength = body[1],
            Source = from,
            SourceLength = body[2],
            Mark = mark,
            MarkMask = hasMask ? mask : hasMark && mark != 0 ? uint.MaxValue : 0,
            TrafficClass = body[3],
            InputName = input.Length > 0 ? input : null,
            OutputName = output.Length > 0 ? output : null,
            SuppressedLength = suppresses ? unchecked((int)length) : -1,
            IsInverted = (BitConverter.ToUInt32(body[8..]) & Inverted) != 0,
        };
        if (!isNew)
        {
            return Remove(routes, rule, hasPriority, hasMark, hasMask, suppresses);
        }

        if (rule.Action is not (RouteRule.Look or RouteRule.Nothing or (byte)RouteKind.Blackhole or (byte)RouteKind.Unreachable or (byte)RouteKind.Prohibit)
            || (rule.Action == RouteRule.Look && rule.Table == 0) || input.Length > 15 || output.Length > 15)
        {
            return Errno.EINVAL;
        }

        if ((request.Flags & exclusive) != 0)
        {
            foreach (RouteRule present in routes.Rules)
            {
                if (present.Priority == rule.Priority && IsTwin(present, rule))
                {
                    return Errno.EEXIST;
                }
            }
        }

        return NetErrors.ToErrno(routes.AddRule(rule));
    }

    private static bool TryReadPrefix(in NetlinkRequest request, int attribute, int length, in IpAddress any, out IpAddress address)
    {
        if (!request.TryGetAddress(HeaderSize, attribute, out address))
        {
            address = any;
            return length == 0;
        }

        return address.IsV4 == any.IsV4 && length <= any.Bits;
    }

    // The first that has all that the message states (Linux: rule_find).
    private static Errno Remove(RoutingTables routes, RouteRule wanted, bool hasPriority, bool hasMark, bool hasMask, bool suppresses)
    {
        foreach (RouteRule rule in routes.Rules)
        {
            if ((!hasPriority || rule.Priority == wanted.Priority)
                && (wanted.Action == 0 || rule.Action == wanted.Action)
                && (wanted.Table == 0 || rule.Table == wanted.Table)
                && (wanted.Protocol == 0 || rule.Protocol == wanted.Protocol)
                && (wanted.InputName is null || rule.InputName == wanted.InputName)
                && (wanted.OutputName is null || rule.OutputName == wanted.OutputName)
                && (!hasMark || rule.Mark == wanted.Mark)
                && (!hasMask || rule.MarkMask == wanted.MarkMask)
                && (!suppresses || rule.SuppressedLength == wanted.SuppressedLength)
                && (wanted.SourceLength == 0 || (rule.SourceLength == wanted.SourceLength && rule.Source == wanted.Source))
                && (wanted.DestinationLength == 0 || (rule.DestinationLength == wanted.DestinationLength && rule.Destination == wanted.Destination))
                && (wanted.TrafficClass == 0 || rule.TrafficClass == wanted.TrafficClass))
            {
                routes.RemoveRule(rule);
                return Errno.None;
            }
        }

        return Errno.ENOENT;
    }

    private static bool IsTwin(RouteRule a, RouteRule b) =>
        a.Action == b.Action && a.Table == b.Table && a.InputName == b.InputName && a.OutputName == b.OutputName && a.Mark == b.Mark && a.MarkMask == b.MarkMask
        && a.SuppressedLength == b.SuppressedLength && a.IsInverted == b.IsInverted && a.TrafficClass == b.TrafficClass && a.SourceLength == b.SourceLength
        && a.DestinationLength == b.DestinationLength && a.Source == b.Source && a.Destination == b.Destination;
}
