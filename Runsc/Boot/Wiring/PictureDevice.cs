using Runsc.NetStack.Buffers;
using Runsc.NetStack.Link;
using Runsc.NetStack.Wire;

namespace Runsc.Boot.Wiring;

/// <summary>An interface of the host as rtnetlink and ioctls of the sandbox show it, while traffic takes the host's sockets. Frames go nowhere.</summary>
internal sealed class PictureDevice(MacAddress address, int mtu) : LinkDevice
{
    public override LinkKind Kind => LinkKind.Ethernet;

    public override MacAddress Address => address;

    public override int DefaultMtu => mtu;

    public override bool Transmit(PacketBuffer frame)
    {
        frame.Release();
        return false;
    }
}
