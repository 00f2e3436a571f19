using Runsc.Common;
using Runsc.Host.Seccomp;
using Runsc.Linux;

namespace Runsc.Boot.Filters;

/// <summary>Installs a list of allowed calls, as the last step of a process's start.</summary>
internal static class FilterInstaller
{
    /// <exception cref="RunscException">The kernel refuses the filter: the process must not go on without it.</exception>
    public static void Install(SeccompRules rules)
    {
        int result = SeccompFilter.Install(SeccompProgram.Compile(rules, Misc.SECCOMP_RET_KILL_PROCESS));
        if (result != 0)
        {
            throw new RunscException(result < 0 ? $"cannot install the seccomp filter: errno {-result}" : $"cannot install the seccomp filter on thread {result}");
        }
    }
}
