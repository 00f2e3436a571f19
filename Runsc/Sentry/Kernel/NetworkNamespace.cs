namespace Runsc.Sentry.Kernel;

/// <summary>A network namespace (network_namespaces(7)), as tasks carry it; what is in it belongs to the sockets.</summary>
internal abstract class NetworkNamespace
{
    /// <summary>Inode number of /proc/PID/ns/net.</summary>
    public abstract ulong Number { get; }

    /// <summary>A new, empty one for CLONE_NEWNET.</summary>
    public abstract NetworkNamespace CreateEmpty();
}
