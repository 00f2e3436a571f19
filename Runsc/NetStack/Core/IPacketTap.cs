using Runsc.NetStack.Buffers;

namespace Runsc.NetStack.Core;

/// <summary>Sees frames of an interface, in and out: packet sockets and capture files. Called under the stack's lock.</summary>
internal interface IPacketTap
{
    /// <summary>The frame's front is at its link header; it stays the caller's, so the tap copies or clones what it keeps.</summary>
    void OnFrame(NetworkInterface networkInterface, PacketBuffer frame, PacketType type);
}
