using System.Collections.Generic;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Memory;

namespace Runsc.Sentry.Kernel;

/// <summary>The tasks of the sandbox. Ids are unique within a container: whoever looks for one says whose.</summary>
internal sealed partial class SentryKernel
{
    // Tasks by the container that they belong to. Guarded by TaskLock.
    private readonly Dictionary<string, int> _homeCounts = [];

    /// <summary>
    /// Lock held: TaskLock. Gives a task the next free id of its container, or the one that is wanted. False when that is taken, or when there
    /// are too many tasks.
    /// </summary>
    public bool TryAddTaskLocked(Task task, int wanted = 0)
    {
        string container = task.ThreadGroup.Container;
        if (!_spaces.TryGetValue(container, out PidSpace? space))
        {
            space = new PidSpace();
            _spaces.Add(container, space);
        }

        string home = task.ThreadGroup.Home;
        int count = _homeCounts.GetValueOrDefault(home);
        if (_taskCount >= MaxTasks || (TaskLimits.TryGetValue(home, out long limit) && count >= limit) || !space.TryAdd(task, wanted))
        {
            return false;
        }

        _homeCounts[home] = count + 1;
        _taskCount++;
        return true;
    }

    /// <summary>Lock held: TaskLock. The task's number is free.</summary>
    public void RemoveTaskLocked(Task task)
    {
        string container = task.ThreadGroup.Container;
        if (_spaces.TryGetValue(container, out PidSpace? space) && space.Remove(task))
        {
            _taskCount--;
            string home = task.ThreadGroup.Home;
            int left = _homeCounts[home] - 1;
            if (left == 0)
            {
                _ = _homeCounts.Remove(home);
            }
            else
            {
                _homeCounts[home] = left;
            }

            if (space.Count == 0 && container.Length > 0)
            {
                _ = _spaces.Remove(container);
            }
        }
    }

    /// <summary>Lock held: TaskLock. A leader's id goes over to the thread that called execve.</summary>
    public void RenameTaskLocked(Task task, int id) => _spaces[task.ThreadGroup.Container].Rename(task, id);

    /// <summary>Lock held: TaskLock. The task of a container with an id, zombies included; or null.</summary>
    public Task? FindTaskLocked(int id, string container = "") => _spaces.TryGetValue(container, out PidSpace? space) ? space.Find(id) : null;

    /// <summary>Lock held: TaskLock. Tasks that are there, zombies included.</summary>
    public int TaskCountLocked => _taskCount;

    /// <summary>Lock held: TaskLock. Tasks of a real user, for RLIMIT_NPROC.</summary>
    public int CountTasksOfLocked(uint user)
    {
        int count = 0;
        foreach (PidSpace space in _spaces.Values)
        {
            foreach (Task task in space.Tasks)
            {
                count += !task.HasExited && task.Credentials.RealUid == user ? 1 : 0;
            }
        }

        return count;
    }

    /// <summary>Lock held: TaskLock. The init process of a container; null before its start.</summary>
    public ThreadGroup? FindInitLocked(string container)
    {
        foreach (Task task in TasksOfLocked(container))
        {
            if (task.ThreadGroup.IsInit)
            {
                return task.ThreadGroup;
            }
        }

        return null;
    }

    /// <summary>Lock held: TaskLock. The process group of a container with an id; null when it has no members.</summary>
    public ProcessGroup? FindProcessGroupLocked(int id, string container = "")
    {
        foreach (Task task in TasksOfLocked(container))
        {
            if (task.ThreadGroup.ProcessGroup.Id == id)
            {
                return task.ThreadGroup.ProcessGroup;
            }
        }

        return null;
    }

    /// <summary>Lock held: TaskLock. All tasks of the sandbox in no order.</summary>
    internal IEnumerable<Task> AllTasksLocked()
    {
        foreach (PidSpace space in _spaces.Values)
        {
            foreach (Task task in space.Tasks)
            {
                yield return task;
            }
        }
    }

    private IEnumerable<Task> TasksOfLocked(string container) => _spaces.TryGetValue(container, out PidSpace? space) ? space.Tasks : [];

    /// <summary>Lock held: TaskLock. All tasks of the sandbox in order of their ids.</summary>
    public List<Task> SnapshotTasksLocked()
    {
        List<Task> tasks = new(_taskCount);
        foreach (PidSpace space in _spaces.Values)
        {
            tasks.AddRange(space.Tasks);
        }

        return Sort(tasks);
    }

    /// <summary>Lock held: TaskLock. The tasks of a container in order of their ids.</summary>
    public List<Task> SnapshotTasksLocked(string container) => Sort([.. TasksOfLocked(container)]);

    private static List<Task> Sort(List<Task> tasks)
    {
        tasks.Sort((a, b) => a.ThreadId.CompareTo(b.ThreadId));
        return tasks;
    }

    /// <summary>The account of a container; null for the root container and for those without one. Takes the task lock.</summary>
    public MemoryAccount? AccountOf(string home)
    {
        if (home.Length == 0)
        {
            return null;
        }

        lock (TaskLock)
        {
            return MemoryReapers.GetValueOrDefault(home)?.Account;
        }
    }

    /// <summary>Lock held: TaskLock. The processes that belong to a container, whosever process ids they have.</summary>
    public IEnumerable<ThreadGroup> GroupsOfHomeLocked(string home)
    {
        foreach (PidSpace space in _spaces.Values)
        {
            foreach (Task task in space.Tasks)
            {
                if (task.ThreadGroup.Leader == task && task.ThreadGroup.Home == home)
                {
                    yield return task.ThreadGroup;
                }
            }
        }
    }

    /// <summary>All processes of the sandbox in order of their ids.</summary>
    public List<ThreadGroup> SnapshotGroups()
    {
        lock (TaskLock)
        {
            return GroupsOf(SnapshotTasksLocked());
        }
    }

    /// <summary>The processes of a container in order of their ids.</summary>
    public List<ThreadGroup> SnapshotGroups(string container)
    {
        lock (TaskLock)
        {
            return GroupsOf(SnapshotTasksLocked(container));
        }
    }

    private static List<ThreadGroup> GroupsOf(List<Task> tasks)
    {
        List<ThreadGroup> groups = [];
        foreach (Task task in tasks)
        {
            if (task.ThreadGroup.Leader == task)
            {
                groups.Add(task.ThreadGroup);
            }
        }

        return groups;
    }
}
