using System;

namespace Runsc.NetStack.Wire;

/// <summary>Walks the options of a neighbour discovery message (RFC 4861, 4.6): <c>while (options.Next())</c>, then look at <see cref="Failed"/>.</summary>
internal ref struct NdpOptions(ReadOnlySpan<byte> bytes)
{
    public const byte SourceLinkAddress = 1;
    public const byte TargetLinkAddress = 2;
    public const byte Prefix = 3;
    public const byte RedirectedHeader = 4;
    public const byte Mtu = 5;
    public const byte RouteInformation = 24;
    public const byte DnsServers = 25;
    public const byte DnsSearch = 31;

    private ReadOnlySpan<byte> _rest = bytes;

    /// <summary>The current option, with its two bytes of type and length.</summary>
    public ReadOnlySpan<byte> Current { get; private set; }

    public byte Type => Current[0];

    /// <summary>An option of length zero or beyond the end was met: the whole message is invalid.</summary>
    public bool Failed { get; private set; }

    public bool Next()
    {
        if (_rest.Length == 0)
        {
            return false;
        }

        if (_rest.Length < 8 || _rest[1] == 0 || _rest[1] * 8 > _rest.Length)
        {
            Failed = true;
            return false;
        }

        Current = _rest[..(_rest[1] * 8)];
        _rest = _rest[Current.Length..];
        return true;
    }

    /// <summary>The link address of a source or target option for Ethernet.</summary>
    public readonly bool TryLinkAddress(out MacAddress address)
    {
        address = Current.Length == 8 ? MacAddress.Read(Current[2..]) : default;
        return Current.Length == 8;
    }

    /// <summary>Checks all options and finds a link address among them.</summary>
    public static bool TryFindLinkAddress(ReadOnlySpan<byte> bytes, byte type, out MacAddress? address)
    {
        address = null;
        NdpOptions options = new(bytes);
        while (options.Next())
        {
            if (options.Type == type && options.TryLinkAddress(out MacAddress found))
            {
                address = found;
            }
        }

        return !options.Failed;
    }
}
