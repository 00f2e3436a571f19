using System.Collections.Generic;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.Sockets.Unix;

/// <summary>The descriptors of one queued message (SCM_RIGHTS). Guarded by the lock of <see cref="InFlight"/>.</summary>
internal sealed class RightsBundle(FileDescription[] files, UnixEndpoint holder)
{
    /// <summary>A reference on each; null once they were taken.</summary>
    public FileDescription[]? Files { get; set; } = files;

    /// <summary>In whose queue the message stands.</summary>
    public UnixEndpoint Holder { get; } = holder;

    /// <summary>Whose count of descriptors in flight they are in.</summary>
    public uint User { get; init; }

    /// <summary>Its place in the list of bundles with Unix sockets; null when there is none among them.</summary>
    public LinkedListNode<RightsBundle>? Node { get; set; }
}
