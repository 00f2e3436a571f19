using System.Collections.Generic;
using Runsc.NetStack.Link;
using Runsc.NetStack.Network;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Core;

/// <summary>A network interface of a stack: a device with addresses, groups and neighbours. Guarded by the stack's lock.</summary>
internal sealed partial class NetworkInterface
{
    private readonly List<IPacketTap> _taps = [];

    internal NetworkInterface(NetworkStack stack, int index, string name, LinkDevice device)
    {
        Stack = stack;
        Index = index;
        Name = name;
        Device = device;
        Mtu = device.DefaultMtu;
        Mac = device.Address;
        Flags = device.InitialFlags;
        Neighbors = new NeighborTable(this);
        Groups = new GroupSet(this);
        Slaac = new SlaacState(this);
        Parameters = stack.Parameters.Add(this);
    }

    /// <summary>net.ipv4.conf.IF and net.ipv6.conf.IF.</summary>
    public InterfaceParameters Parameters { get; }

    public NetworkStack Stack { get; }

    /// <summary>The number that applications know it by; 1 is the loopback one.</summary>
    public int Index { get; }

    public string Name { get; internal set; }

    public LinkDevice Device { get; }

    public MacAddress Mac { get; internal set; }

    public int Mtu { get; internal set; }

    /// <summary>The MTU for IPv6: a router may advertise a smaller one.</summary>
    public int Ipv6Mtu => LinkMtu > 0 && LinkMtu < Mtu ? LinkMtu : Mtu;

    /// <summary>IFLA_TXQLEN, for show.</summary>
    public int QueueLength { get; set; } = 1000;

    public InterfaceFlags Flags { get; internal set; }

    public InterfaceCounters Counters { get; } = new();

    public NeighborTable Neighbors { get; }

    public GroupSet Groups { get; }

    internal SlaacState Slaac { get; }

    /// <summary>The bridge it is a port of: frames go there and not up.</summary>
    public IFrameHandler? Master { get; set; }

    public bool IsLoopback => Device.Kind == LinkKind.Loopback;

    public bool IsUp => (Flags & InterfaceFlags.Up) != 0;

    public bool IsRunning => IsUp && Device.HasCarrier;

    /// <summary>It was up once, and so has a queue.</summary>
    public bool HasBeenUp { get; internal set; }

    /// <summary>IF_OPER_* (RFC 2863): 0 unknown, 2 down, 3 the layer below is down, 6 up.</summary>
    public byte OperationalState
    {
        get
        {
            const byte unknown = 0, down = 2, lowerLayerDown = 3, up = 6;
            return !IsUp ? down
                : Device.HasCarrier ? Device.TellsState ? up : unknown
                : Device.PeerInterface is null ? down : lowerLayerDown;
        }
    }

    /// <summary>The flags with the state that is not set by anyone, for show.</summary>
    public InterfaceFlags ShownFlags => Flags | (IsRunning ? InterfaceFlags.Running | InterfaceFlags.LowerUp : 0) | (IsPromiscuous ? InterfaceFlags.Promiscuous : 0);

    /// <summary>Packet sockets that asked for all frames.</summary>
    public int PromiscuousCount { get; set; }

    /// <summary>Groups count as all joined while above zero (PACKET_MR_ALLMULTI).</summary>
    public int AllMulticastCount { get; set; }

    public bool IsPromiscuous => PromiscuousCount > 0 || (Flags & InterfaceFlags.Promiscuous) != 0;

    /// <summary>The MTU option of router advertisements, or 0.</summary>
    internal int LinkMtu { get; set; }

    /// <summary>The hop limit of router advertisements, or 0.</summary>
    internal byte AdvertisedHopLimit { get; set; }

    /// <summary>net.ipv6.conf.IF.disable_ipv6.</summary>
    public bool Ipv6Disabled
    {
        get => Parameters.IsOn(InterfaceSetting.Ipv6Disabled);
        set => Stack.Parameters.Set(Parameters, InterfaceSetting.Ipv6Disabled, value ? 1 : 0);
    }

    /// <summary>IPv6 runs here.</summary>
    public bool HasIpv6 => !Ipv6Disabled && Mtu >= Ipv6Header.MinMtu;

    /// <summary>The device came from another interface, whose settings stay.</summary>
    internal void TakeOver(NetworkInterface former) => (Mac, Mtu, HasBeenUp) = (former.Mac, former.Mtu, former.HasBeenUp);

    public override string ToString() => Name;
}
