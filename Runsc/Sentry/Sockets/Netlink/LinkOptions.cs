using System;
using System.Buffers;
using System.Text;
using Runsc.Linux;
using Runsc.NetStack.Core;
using Runsc.NetStack.Wire;

namespace Runsc.Sentry.Sockets.Netlink;

/// <summary>What a message says of a link: its struct ifinfomsg and attributes, checked as far as they can be without the link.</summary>
internal sealed class LinkOptions
{
    private const int MaximumName = 15;

    private static readonly SearchValues<char> s_forbidden = SearchValues.Create("/: \t\n\v\f\r");

    /// <summary>ifi_index, or 0.</summary>
    public int Index { get; private set; }

    /// <summary>IFLA_IFNAME, or empty.</summary>
    public string Name { get; private set; } = "";

    public MacAddress? Mac { get; private set; }

    public uint? Mtu { get; private set; }

    public uint? QueueLength { get; private set; }

    /// <summary>The bridge that it is to be a port of; 0: of none.</summary>
    public uint? Master { get; private set; }

    public uint Flags { get; private set; }

    /// <summary>Which of the flags are meant.</summary>
    public uint Changed { get; private set; }

    /// <summary>IFLA_INFO_KIND, or empty.</summary>
    public string Kind { get; private set; } = "";

    /// <summary>IFLA_INFO_DATA.</summary>
    public byte[] Data { get; private set; } = [];

    public byte[] Process { get; private set; } = [];

    public byte[] File { get; private set; } = [];

    /// <summary>The body of RTM_NEWLINK, RTM_SETLINK, RTM_DELLINK or VETH_INFO_PEER. EINVAL, ERANGE.</summary>
    public static Errno TryRead(ReadOnlySpan<byte> body, out LinkOptions options)
    {
        options = new LinkOptions();
        if (body.Length < LinkFamily.HeaderSize)
        {
            return Errno.EINVAL;
        }

        ReadOnlySpan<byte> attributes = body[LinkFamily.HeaderSize..];
        ReadOnlySpan<byte> name = Text(attributes, LinkFamily.Name), mac = NetlinkRequest.Find(attributes, LinkFamily.Address), info = NetlinkRequest.Find(attributes, LinkFamily.Info);
        if (name.Length > MaximumName)
        {
            return Errno.ERANGE;
        }

        options.Name = Encoding.Latin1.GetString(name);
        if ((name.Length > 0 && !IsName(options.Name)) || mac.Length is not (0 or MacAddress.Size))
        {
            return Errno.EINVAL;
        }

        options.Index = BitConverter.ToInt32(body[4..]);
        options.Flags = BitConverter.ToUInt32(body[8..]);
        options.Changed = BitConverter.ToUInt32(body[12..]);
        options.Mac = mac.IsEmpty ? null : MacAddress.Read(mac);
        options.Mtu = Number(attributes, LinkFamily.Mtu);
        options.QueueLength = Number(attributes, LinkFamily.QueueLength);
        options.Master = Number(attributes, LinkFamily.Master);
        options.Kind = Encoding.Latin1.GetString(Text(info, LinkFamily.InfoKind));
        options.Data = NetlinkRequest.Find(info, LinkFamily.InfoData).ToArray();
        options.Process = NetlinkRequest.Find(attributes, LinkFamily.ProcessNamespace).ToArray();
        options.File = NetlinkRequest.Find(attributes, LinkFamily.FileNamespace).ToArray();
        return options.Index < 0 ? Errno.EINVAL : Errno.None;
    }

    /// <summary>IFF_UP as it is to be, if it is meant. Without a mask the flags are meant that are set.</summary>
    public bool? Up => (Changed & (uint)InterfaceFlags.Up) != 0 ? (Flags & (uint)InterfaceFlags.Up) != 0
        : Changed == 0 && (Flags & (uint)InterfaceFlags.Up) != 0 ? true : null;

    private static uint? Number(ReadOnlySpan<byte> attributes, int type)
    {
        ReadOnlySpan<byte> data = NetlinkRequest.Find(attributes, type);
        return data.Length >= sizeof(uint) ? BitConverter.ToUInt32(data) : null;
    }

    private static ReadOnlySpan<byte> Text(ReadOnlySpan<byte> attributes, int type)
    {
        ReadOnlySpan<byte> data = NetlinkRequest.Find(attributes, type);
        int end = data.IndexOf((byte)0);
        return end < 0 ? data : data[..end];
    }

    /// <summary>May a link have this name? Its length was checked.</summary>
    public static bool IsName(ReadOnlySpan<char> name) => name is not ("." or "..") && !name.ContainsAny(s_forbidden);

    /// <summary>An address of the link's own making.</summary>
    public static MacAddress RandomAddress(NetworkStack stack)
    {
        const ulong group = 1UL << 40, local = 2UL << 40;
        return new MacAddress((stack.Random.Next() & ~group) | local);
    }
}
