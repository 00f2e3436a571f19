using Runsc.NetStack.Buffers;

namespace Runsc.NetStack.Core;

/// <summary>Takes the frames of interfaces that are its ports: a bridge. Called under the stack's lock.</summary>
internal interface IFrameHandler
{
    /// <summary>The index of the bridge's own interface, for IFLA_MASTER.</summary>
    int Interface { get; }

    /// <summary>Takes a frame that came in on a port; its front is at the Ethernet header.</summary>
    void Receive(NetworkInterface port, PacketBuffer frame);

    /// <summary>A port went up or down, lost or found its other end, or has another address or MTU.</summary>
    void PortChanged(NetworkInterface port);

    /// <summary>The interface is a port no longer.</summary>
    void RemovePort(NetworkInterface port);
}
