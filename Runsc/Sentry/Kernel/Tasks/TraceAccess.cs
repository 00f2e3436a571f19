using Runsc.Linux;
using Runsc.Sentry.Auth;

namespace Runsc.Sentry.Kernel.Tasks;

/// <summary>Who may look into whom (ptrace(2), "Ptrace access mode checking").</summary>
internal static class TraceAccess
{
    /// <summary>
    /// May a caller with these credentials look into the task's memory, registers and descriptors? With <paramref name="realIds"/> his real ids and permitted capabilities
    /// count (PTRACE_MODE_REALCREDS: the calls), else those of the file system and the effective ones (PTRACE_MODE_FSCREDS: files of /proc).
    /// </summary>
    public static bool IsAllowed(Credentials own, ThreadGroup? ownGroup, Task task, bool realIds)
    {
        if (ownGroup == task.ThreadGroup || own.HasCapability(Capability.CAP_SYS_PTRACE))
        {
            return true;
        }

        Credentials other = task.Credentials;
        bool isDumpable = task.ThreadGroup.Dumpable == 1 || own.HasCapability(Capability.CAP_SYS_PTRACE, task.ThreadGroup.ProgramNamespace);
        if (own.HasCapability(Capability.CAP_SYS_PTRACE, other.UserNamespace))
        {
            return isDumpable;
        }

        uint uid = realIds ? own.RealUid : own.FsUid, gid = realIds ? own.RealGid : own.FsGid;
        return uid == other.RealUid && uid == other.EffectiveUid && uid == other.SavedUid
            && gid == other.RealGid && gid == other.EffectiveGid && gid == other.SavedGid
            && isDumpable
            && own.UserNamespace == other.UserNamespace
            && (other.Permitted & ~(realIds ? own.Permitted : own.Effective)) == 0;
    }

    /// <summary>May one trace another who asks for it himself (PTRACE_TRACEME)?</summary>
    public static bool MayBeTracer(Credentials tracer, Credentials tracee) =>
        (tracer.UserNamespace == tracee.UserNamespace && (tracee.Permitted & ~tracer.Permitted) == 0)
        || tracer.HasCapability(Capability.CAP_SYS_PTRACE, tracee.UserNamespace);
}
