using Runsc.NetStack.Buffers;

namespace Runsc.NetStack.Transport;

/// <summary>SO_ATTACH_FILTER. Called under the stack's lock.</summary>
internal interface IDatagramFilter
{
    /// <summary>How many bytes from the packet's front are kept: 0 drops it.</summary>
    int Run(PacketBuffer packet);
}
