using Runsc.Sentry.Kernel.Ipc;

namespace Runsc.Sentry.Kernel.Tasks;

/// <summary>Who reads or sets what belongs to a namespace by a file, without naming the namespace: the sysctls of /proc/sys.</summary>
internal interface INamespaceUser
{
    UtsNamespace Uts { get; }

    IpcNamespace Ipc { get; }
}
