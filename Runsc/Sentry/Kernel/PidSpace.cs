using System.Collections.Generic;
using Runsc.Sentry.Kernel.Tasks;

namespace Runsc.Sentry.Kernel;

/// <summary>The task ids of one container: each has its own, from 1 (pid_namespaces(7)). Guarded by the kernel's task lock.</summary>
internal sealed class PidSpace
{
    private readonly Dictionary<int, Task> _tasks = [];

    // Number 1 is for init, which asks for it.
    private int _nextId = 2;
    private bool _idsAreReused;

    public int Count => _tasks.Count;

    public IEnumerable<Task> Tasks => _tasks.Values;

    public Task? Find(int id) => _tasks.GetValueOrDefault(id);

    /// <summary>The next free id, or the one that is wanted; false when that is taken.</summary>
    public bool TryAdd(Task task, int wanted)
    {
        if (wanted != 0 && _tasks.ContainsKey(wanted))
        {
            return false;
        }

        int id = wanted;
        while (id == 0)
        {
            id = IsFree(_nextId) ? _nextId : 0;
            _nextId++;
            if (_nextId > SentryKernel.MaxId)
            {
                _nextId = SentryKernel.FirstReusedId;
                _idsAreReused = true;
            }
        }

        _tasks.Add(id, task);
        task.ThreadId = id;
        return true;
    }

    // Ids of sessions and process groups outlive the processes that gave them (setsid(2)).
    private bool IsFree(int id)
    {
        if (!_idsAreReused || _tasks.ContainsKey(id))
        {
            return !_tasks.ContainsKey(id);
        }

        foreach (Task task in _tasks.Values)
        {
            ThreadGroup group = task.ThreadGroup;
            if (group.ProcessGroup.Id == id || group.Session.Id == id)
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>False when the id is another task's by now.</summary>
    public bool Remove(Task task) => _tasks.TryGetValue(task.ThreadId, out Task? present) && present == task && _tasks.Remove(task.ThreadId);

    public void Rename(Task task, int id)
    {
        _ = _tasks.Remove(task.ThreadId);
        _tasks[id] = task;
        task.ThreadId = id;
    }
}
