using Runsc.Sentry.Auth;
using Runsc.Sentry.Kernel.Ipc;

namespace Runsc.Sentry.Kernel;

internal sealed partial class SentryKernel
{
    /// <summary>The IPC namespace that all begin in; the kernel itself is one of its users.</summary>
    public IpcNamespace RootIpc { get; } = NewRootIpc();

    private static IpcNamespace NewRootIpc()
    {
        IpcNamespace made = new(UserNamespace.Initial, 4026531839);
        _ = made.TryIncUsers();
        return made;
    }
}
