using System.Collections.Generic;
using Runsc.NetStack.Buffers;
using Runsc.NetStack.Core;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Link;

/// <summary>A bridge (IEEE 802.1D without spanning tree): hands frames from port to port. Its own interface is one more port. Guarded by the stack's lock.</summary>
/// <remarks>Ports are interfaces of the same stack and no bridges, so a frame passes one bridge and then a queue, whatever is joined to what.</remarks>
internal sealed class BridgeDevice(MacAddress address) : LinkDevice, IFrameHandler
{
    /// <summary>BR_MAX_PORTS.</summary>
    private const int MaxPorts = 1024;

    private const int VlanTag = 4;

    // 01:80:c2:00:00:00 to 0f: what stations on one cable say to each other.
    private const ulong LinkLocalGroups = 0x0180_c200_0000;

    private readonly List<NetworkInterface> _ports = [];
    private bool _hadPorts;

    public override LinkKind Kind => LinkKind.Ethernet;

    public override string? Driver => "bridge";

    public override MacAddress Address => address;

    public override bool CanBeRemoved => true;

    // What a port cannot do is done when the frame leaves by it.
    public override bool HasChecksumOffload => true;

    public override int MaxGsoPacket => 65535 + EthernetHeader.Size;

    public override bool HasCarrier => !_hadPorts || AnyPortRuns();

    public override bool TellsState => _hadPorts;

    public IReadOnlyList<NetworkInterface> Ports => _ports;

    public BridgeTable Table { get; } = new();

    /// <summary>Somebody gave the bridge an address or an MTU, which then do not follow those of the ports.</summary>
    public bool HasOwnAddress { get; set; }

    public bool HasOwnMtu { get; set; }

    int IFrameHandler.Interface => Interface!.Index;

    /// <summary>Makes an interface a port.</summary>
    public NetError AddPort(NetworkInterface port)
    {
        if (port.Device is BridgeDevice)
        {
            return NetError.Loop;
        }

        if (port.Device.Kind != LinkKind.Ethernet)
        {
            return NetError.InvalidArgument;
        }

        if (port.Master is not null || _ports.Count >= MaxPorts)
        {
            return NetError.Busy;
        }

        _ports.Add(port);
        _hadPorts = true;
        port.Master = this;
        FollowPorts();
        port.Stack.InterfaceChanged(port);
        return NetError.None;
    }

    public void RemovePort(NetworkInterface port)
    {
        if (_ports.Remove(port))
        {
            port.Master = null;
            Table.Forget(port);
            FollowPorts();
            port.Stack.InterfaceChanged(port);
        }
    }

    public void PortChanged(NetworkInterface port)
    {
        if (!port.IsUp)
        {
            Table.Forget(port);
        }

        FollowPorts();
    }

    /// <summary>A frame that came in on a port.</summary>
    public void Receive(NetworkInterface port, PacketBuffer frame)
    {
        NetworkInterface own = Interface!;
        if (!own.IsUp || !EthernetHeader.TryParse(frame.Linear, out EthernetHeader header) || header.Source.IsMulticast
            || (header.Destination.Value & ~0xful) == LinkLocalGroups)
        {
            frame.Release();
            return;
        }

        Table.Learn(header.Source, port, own.Stack.Now);
        bool isOwn = header.Destination == own.Mac;
        if (isOwn || header.Destination.IsMulticast || own.IsPromiscuous)
        {
            PacketBuffer? copy = isOwn ? frame : frame.TryClone();
            if (copy is not null)
            {
                own.Receive(copy);
            }

            if (isOwn)
            {
                return;
            }
        }

        Forward(frame, header.Destination, port);
    }

    /// <summary>A frame that the bridge's own interface sends.</summary>
    public override bool Transmit(PacketBuffer frame)
    {
        MacAddress destination = EthernetHeader.TryParse(frame.Linear, out EthernetHeader header) ? header.Destination : default;
        Forward(frame, destination, null);
        return true;
    }

    public override void Close()
    {
        foreach (NetworkInterface port in _ports)
        {
            port.Master = null;
            port.Stack.InterfaceChanged(port);
        }

        _ports.Clear();
    }

    private void Forward(PacketBuffer frame, MacAddress destination, NetworkInterface? from)
    {
        frame.NetworkStart = frame.NetworkStart < frame.Position ? frame.Position + EthernetHeader.Size : frame.NetworkStart;
        if (!destination.IsMulticast && Table.Find(destination, Interface!.Stack.Now) is { } known)
        {
            if (known != from && MayPass(known, frame))
            {
                known.TransmitFrame(frame);
            }
            else
            {
                frame.Release();
            }

            return;
        }

        NetworkInterface? last = null;
        foreach (NetworkInterface port in _ports)
        {
            if (port == from || !MayPass(port, frame))
            {
                continue;
            }

            if (last is not null && frame.TryClone() is { } copy)
            {
                last.TransmitFrame(copy);
            }

            last = port;
        }

        if (last is null)
        {
            frame.Release();
        }
        else
        {
            last.TransmitFrame(frame);
        }
    }

    private static bool MayPass(NetworkInterface port, PacketBuffer frame) =>
        port.IsRunning && (frame.Gso != GsoType.None || frame.Length <= port.Mtu + EthernetHeader.Size + VlanTag);

    private bool AnyPortRuns()
    {
        foreach (NetworkInterface port in _ports)
        {
            if (port.IsRunning)
            {
                return true;
            }
        }

        return false;
    }

    // As on Linux: the least address and the least MTU of the ports, until somebody gives others.
    private void FollowPorts()
    {
        NetworkInterface own = Interface!;
        MacAddress least = default;
        int mtu = 0;
        foreach (NetworkInterface port in _ports)
        {
            least = least == default || port.Mac.Value < least.Value ? port.Mac : least;
            mtu = mtu == 0 ? port.Mtu : System.Math.Min(mtu, port.Mtu);
        }

        if (!HasOwnAddress && _ports.Count > 0)
        {
            own.Mac = least;
        }

        if (!HasOwnMtu)
        {
            own.Mtu = mtu == 0 ? DefaultMtu : mtu;
        }

        own.Stack.InterfaceChanged(own);
    }
}
