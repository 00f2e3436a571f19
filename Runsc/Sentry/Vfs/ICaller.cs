using Runsc.Sentry.Auth;
using Runsc.Sentry.Mapping;

namespace Runsc.Sentry.Vfs;

/// <summary>Who makes a file operation: a task, as the file layer needs to know it. File systems of a higher rank may ask for the Task itself.</summary>
internal interface ICaller
{
    Credentials Credentials { get; }

    /// <summary>The application's memory, for ioctl arguments and the like.</summary>
    IUserMemory UserMemory { get; }

    /// <summary>Root, working directory, umask. Null for kernel-internal callers.</summary>
    FsContext? Fs { get; }

    /// <summary>The mount namespace that paths are resolved in.</summary>
    MountNamespace MountNamespace { get; }

    /// <summary>Thread group id in the root PID namespace, for locks and signals.</summary>
    int ProcessId { get; }

    /// <summary>RLIMIT_FSIZE: writes and truncations beyond fail with EFBIG (and SIGXFSZ, which the implementer sends).</summary>
    ulong FileSizeLimit { get; }

    /// <summary>RLIMIT_FSIZE was exceeded: send SIGXFSZ.</summary>
    void FileSizeExceeded();
}
