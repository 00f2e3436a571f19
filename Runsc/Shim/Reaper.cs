using System;
using System.Collections.Generic;
using System.Threading;
using System.Threading.Tasks;
using Runsc.Host.Processes;

namespace Runsc.Shim;

/// <summary>
/// Waits for all children of the shim: those that it starts, and, since it is a subreaper, those whose parents have ended (sandboxes, gofers, agents of exec).
/// Nobody else in this process may wait for children.
/// </summary>
internal sealed class Reaper
{
    private const int MaxUnclaimed = 1024;

    /// <summary>Guards all below; pulsed for each new child, since without children there is nothing to wait for.</summary>
    private readonly object _mu = new();

    /// <summary>Who waits for which process.</summary>
    private readonly Dictionary<int, TaskCompletionSource<int>> _waiters = [];

    /// <summary>Exits that nobody has asked for yet: the id of a sandbox is known only after `create`, when it may have ended already.</summary>
    private readonly Dictionary<int, int> _unclaimed = [];
    private readonly Queue<int> _order = new();

    /// <summary>Children that were started since the last look.</summary>
    private bool _isNew;

    public void Start() => new Thread(Run, 256 << 10) { IsBackground = true, Name = "reaper" }.Start();

    /// <summary>Starts a child under the lock, so that its end cannot be seen before its waiter is there.</summary>
    /// <param name="spawn">Returns a process id or −errno.</param>
    /// <param name="ended">Completes with the wait status as wait4(2) stores it.</param>
    public int Spawn(Func<int> spawn, out Task<int> ended)
    {
        TaskCompletionSource<int> source = new(TaskCreationOptions.RunContinuationsAsynchronously);
        int process;
        lock (_mu)
        {
            process = spawn();
            if (process > 0)
            {
                _unclaimed.Remove(process);
                _waiters[process] = source;
                _isNew = true;
                Monitor.Pulse(_mu);
            }
        }

        ended = source.Task;
        return process;
    }

    /// <summary>The end of a process that is, or becomes, a child of the shim.</summary>
    public Task<int> Claim(int process)
    {
        lock (_mu)
        {
            if (_unclaimed.Remove(process, out int status))
            {
                return Task.FromResult(status);
            }

            if (!_waiters.TryGetValue(process, out TaskCompletionSource<int>? source))
            {
                _waiters[process] = source = new(TaskCreationOptions.RunContinuationsAsynchronously);
            }

            return source.Task;
        }
    }

    private void Run()
    {
        while (true)
        {
            // The child stays a zombie until the lock is held: its number cannot be given to another before the end is booked.
            int process = HostProcess.AwaitChild();
            lock (_mu)
            {
                if (process < 0)
                {
                    while (!_isNew)
                    {
                        Monitor.Wait(_mu);
                    }

                    _isNew = false;
                    continue;
                }

                if (HostProcess.Wait(process, out int status) != process)
                {
                    continue;
                }

                if (_waiters.Remove(process, out TaskCompletionSource<int>? source))
                {
                    source.SetResult(status);
                    continue;
                }

                _unclaimed[process] = status;
                _order.Enqueue(process);
                if (_order.Count > MaxUnclaimed)
                {
                    _unclaimed.Remove(_order.Dequeue());
                }
            }
        }
    }
}
