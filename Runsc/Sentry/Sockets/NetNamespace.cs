using Runsc.Sentry.Kernel;
using Runsc.Sentry.Sockets.Unix;

namespace Runsc.Sentry.Sockets;

/// <summary>What a network namespace holds: abstract names and Unix sockets.</summary>
internal sealed class NetNamespace(SocketSystem system, ulong number) : NetworkNamespace
{
    public SocketSystem System { get; } = system;

    public override ulong Number { get; } = number;

    public UnixTable Unix { get; } = new();

    /// <summary>net.core.somaxconn.</summary>
    public int MaximumBacklog { get; set; } = Linux.Socket.SOMAXCONN;

    /// <summary>net.unix.max_dgram_qlen: a new socket's limit.</summary>
    public int MaximumDatagrams { get; set; } = 10;

    public override NetworkNamespace CreateEmpty() => System.CreateNamespace();
}
