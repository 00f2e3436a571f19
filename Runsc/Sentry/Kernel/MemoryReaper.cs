using System;
using System.Threading;
using Runsc.Common;
using Runsc.Linux;
using Runsc.Sentry.Kernel.Signals;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Memory;

namespace Runsc.Sentry.Kernel;

/// <summary>
/// The out-of-memory killer of a container with a memory account: kills its largest process when a page was refused. Works on a thread of its own,
/// because whoever needs the page may hold locks.
/// </summary>
internal sealed class MemoryReaper
{
    private readonly SentryKernel _kernel;
    private readonly string _container;
    private readonly Action<long> _onKill;
    private long _kills;
    private volatile bool _ends;

    /// <param name="kernel">Whose processes they are.</param>
    /// <param name="container">Its name.</param>
    /// <param name="account">What its threads pay with.</param>
    /// <param name="onKill">Told how many processes have been killed, with the task lock held.</param>
    public MemoryReaper(SentryKernel kernel, string container, MemoryAccount account, Action<long> onKill)
    {
        (_kernel, _container, Account, _onKill) = (kernel, container, account, onKill);
        new Thread(Run, 256 << 10) { IsBackground = true, Name = "memory" }.Start();
    }

    public MemoryAccount Account { get; }

    /// <summary>The container has gone.</summary>
    public void End()
    {
        _ends = true;
        Account.Pressed.Set();
        _kernel.Memory.RemoveAccount(Account);
    }

    private void Run()
    {
        while (true)
        {
            Account.Pressed.WaitOne();
            if (_ends)
            {
                return;
            }

            lock (_kernel.TaskLock)
            {
                KillLargestLocked();
            }
        }
    }

    /// <summary>Lock held: TaskLock. One at a time: what is being killed gives its memory back first. Which one is as in proc(5), oom_score_adj.</summary>
    private void KillLargestLocked()
    {
        ThreadGroup? worst = null;
        long most = 0;
        foreach (ThreadGroup group in _kernel.GroupsOfHomeLocked(_container))
        {
            if (group.IsZombie || group.OomScoreAdjust == Misc.OOM_SCORE_ADJ_MIN)
            {
                continue;
            }

            if (group.IsExiting)
            {
                return;
            }

            long badness = (long)(group.Leader.Memory.ResidentBytes / MemoryFile.PageSize) + (group.OomScoreAdjust * (Account.Limit / 1000));
            if (worst is null || badness > most)
            {
                (worst, most) = (group, badness);
            }
        }

        if (worst is not null)
        {
            Log.Warning($"process {worst.Id} ({worst.Leader.Name}) of container {_container} is killed: its limit of {Account.Limit * (long)MemoryFile.PageSize} bytes of memory is reached");
            _ = worst.SendLocked(SignalInfo.Kernel(Signal.SIGKILL), null, fromOutside: true);
            _onKill(++_kills);
        }
    }
}
