using Runsc.NetStack.Buffers;
using Runsc.NetStack.Core;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Link;

/// <summary>An interface that takes every frame and gives none: a place for addresses.</summary>
internal sealed class DummyDevice(MacAddress address) : LinkDevice
{
    public override LinkKind Kind => LinkKind.Ethernet;

    public override string? Driver => "dummy";

    public override MacAddress Address => address;

    public override bool HasChecksumOffload => true;

    public override int MaxGsoPacket => 65535 + EthernetHeader.Size;

    public override bool CanMove => true;

    public override bool CanBeRemoved => true;

    public override bool TellsState => false;

    public override InterfaceFlags InitialFlags => InterfaceFlags.Broadcast | InterfaceFlags.NoArp;

    public override bool Transmit(PacketBuffer frame)
    {
        frame.Release();
        return true;
    }
}
