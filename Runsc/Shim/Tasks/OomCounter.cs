using System;
using System.Globalization;
using System.IO;

namespace Runsc.Shim.Tasks;

/// <summary>
/// How often a process was killed because memory was used up: by the host's kernel in a control group (memory.events in v2, memory.oom_control in v1), or by the
/// Sentry in a container of a pod.
/// </summary>
internal sealed class OomCounter
{
    private string? _file, _inside;
    private ulong _seen;

    /// <summary>Finds the group of a process; without one nothing of it is ever seen.</summary>
    /// <param name="process">On the host.</param>
    /// <param name="inside">The file where the runtime says the same of the container alone; it need not be there.</param>
    public void Attach(int process, string inside)
    {
        _inside = inside;
        try
        {
            _file = Find(File.ReadAllText($"/proc/{process}/cgroup"), "/sys/fs/cgroup");
            _seen = Read(_file);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            _file = null;
        }
    }

    /// <summary>Has it happened since the last call?</summary>
    public bool Check()
    {
        ulong now = Read(_file) + Read(_inside), before = _seen;
        _seen = Math.Max(now, before);
        return now > before;
    }

    /// <summary>The file that counts for a /proc/PID/cgroup; null for the root group.</summary>
    internal static string? Find(string groups, string top)
    {
        foreach (string line in groups.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            string[] parts = line.Split(':', 3);
            if (parts.Length != 3 || parts[2] == "/")
            {
                continue;
            }

            string? file =
                parts[1].Length == 0 ? $"{top}{parts[2]}/memory.events"
                : Array.IndexOf(parts[1].Split(','), "memory") >= 0 ? $"{top}/memory{parts[2]}/memory.oom_control"
                : null;
            if (file is not null && File.Exists(file))
            {
                return file;
            }
        }

        return null;
    }

    private static ulong Read(string? file)
    {
        try
        {
            foreach (string line in file is null ? [] : File.ReadAllLines(file))
            {
                if (line.StartsWith("oom_kill ", StringComparison.Ordinal) && ulong.TryParse(line.AsSpan(9), NumberStyles.None, CultureInfo.InvariantCulture, out ulong count))
                {
                    return count;
                }
            }
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // The group is gone: what was seen stays.
        }

        return 0;
    }
}
