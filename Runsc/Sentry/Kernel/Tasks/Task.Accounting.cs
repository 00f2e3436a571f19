using System;
using Runsc.Host.Syscalls;

namespace Runsc.Sentry.Kernel.Tasks;

internal sealed partial class Task
{
    /// <summary>Wall time inside the application in nanoseconds. Written by the task's thread.</summary>
    internal long ApplicationTime;

    public long VoluntarySwitches;
    public long InvoluntarySwitches;
    public long MinorFaults;

    /// <summary>The host thread that carries the task; 0 before its start and after its end.</summary>
    internal int HostThread { get; private set; }

    // The processor time at the end of the thread.
    private long _finalTime;

    /// <summary>
    /// Processor time of the task in nanoseconds, split into application and kernel. The sum is exact: what the host charges the thread.
    /// The share of the application is the time spent in it, as Linux scales its own samples.
    /// </summary>
    public (long User, long System) CpuTime
    {
        get
        {
            int thread = HostThread;
            long total = thread == 0 ? _finalTime : HostTime.OfThread(thread);
            if (total < 0)
            {
                total = _finalTime;
            }

            long user = Math.Min(ApplicationTime, total);
            return (user, total - user);
        }
    }

    private void FreezeCpuTime()
    {
        _finalTime = HostTime.OfThread(HostThread);
        HostThread = 0;
    }
}
