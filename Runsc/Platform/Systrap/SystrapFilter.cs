using Runsc.Host.Seccomp;
using Runsc.Linux;
using Runsc.Platform.Systrap.Stub;

namespace Runsc.Platform.Systrap;

/// <summary>
/// What this platform asks of the host once it is up, beside descriptors, futexes and its memory: to watch, to stop and to end the processes of the
/// sandbox's own PID namespace. Signals by one number each.
/// </summary>
internal static class SystrapFilter
{
    public static void AddTo(SeccompRules rules) =>
        rules.AllowIf(SysNo.tgkill, ArgumentCheck.Int32(2, StubLayout.KickSignal))
            .AllowIf(SysNo.pidfd_send_signal, ArgumentCheck.Int32(1, Signal.SIGKILL), ArgumentCheck.Int64(2, 0))
            .AllowIf(SysNo.pidfd_open, ArgumentCheck.Int32(1, 0));
}
