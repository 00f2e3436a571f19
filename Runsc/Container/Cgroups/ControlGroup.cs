using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Threading;
using Runsc.Common;
using Runsc.Oci;

namespace Runsc.Container.Cgroups;

/// <summary>A container's control group on the host: all processes of its sandbox are in it.</summary>
internal abstract class ControlGroup(IReadOnlyDictionary<string, string> paths)
{
    private const int RemoveMilliseconds = 2000;

    /// <summary>
    /// Each task inside has a thread of the Sentry, and one or two of the platform's: the limit of tasks itself is the application kernel's
    /// to keep, this one stands around all of them.
    /// </summary>
    public const long ThreadsForTask = 3, ThreadsOfSandbox = 512;

    /// <summary>Directories: by v1 controller, or one under "" for v2.</summary>
    public IReadOnlyDictionary<string, string> Paths { get; } = paths;

    /// <summary>The group that a specification names, which need not be there yet; null when the host has no control groups.</summary>
    /// <param name="mounts">The host's hierarchies.</param>
    /// <param name="path">linux.cgroupsPath: absolute, relative to this process's group, or "slice:prefix:name" for systemd.</param>
    /// <param name="id">The container's id, for when no path is given.</param>
    /// <param name="systemd">The path is systemd's.</param>
    /// <exception cref="RunscException">The path is not one.</exception>
    public static ControlGroup? For(CgroupMounts mounts, string? path, string id, bool systemd)
    {
        if (!mounts.IsPresent)
        {
            return null;
        }

        path = systemd ? SystemdPath.Expand(path, id) : string.IsNullOrEmpty(path) ? id : path;
        if (Array.IndexOf(path.Split('/'), "..") >= 0 || path.Trim('/').Length == 0)
        {
            throw new RunscException($"linux.cgroupsPath: \"{path}\" is not a path of a control group");
        }

        Dictionary<string, string> paths = new(StringComparer.Ordinal);
        if (mounts.IsUnifiedOnly)
        {
            paths[""] = Join(mounts.Unified!, mounts.OwnGroup(""), path);
            return new ControlGroupV2(paths);
        }

        foreach ((string controller, string mount) in mounts.Controllers)
        {
            paths[controller] = Join(mount, mounts.OwnGroup(controller), path);
        }

        return new ControlGroupV1(paths);
    }

    /// <summary>A group that a container's state has kept; null for none.</summary>
    public static ControlGroup? Load(IReadOnlyDictionary<string, string> paths) =>
        paths.Count == 0 ? null : paths.ContainsKey("") ? new ControlGroupV2(paths) : new ControlGroupV1(paths);

    private static string Join(string mount, string own, string path) =>
        Path.GetFullPath(path[0] == '/' ? mount + path : $"{mount}/{own.Trim('/')}/{path}");

    /// <summary>Makes the directories that are not there.</summary>
    /// <exception cref="RunscException">It cannot.</exception>
    public abstract void Create();

    /// <summary>Sets limits; what is not given stays.</summary>
    /// <exception cref="RunscException">Names the file and the value.</exception>
    public abstract void Apply(ResourcesSpec resources);

    public abstract CgroupStats ReadStats();

    /// <summary>How often the kernel has killed here for want of memory.</summary>
    public abstract long ReadOomKills();

    /// <summary>The memory limit in bytes; null for none.</summary>
    public abstract long? ReadMemoryLimit();

    /// <summary>Moves a process with all its threads into the group.</summary>
    public void Add(int process)
    {
        string text = process.ToString(CultureInfo.InvariantCulture);
        foreach (string directory in Directories())
        {
            Write(Path.Combine(directory, "cgroup.procs"), text);
        }
    }

    /// <summary>Processes that are in the group.</summary>
    public List<int> Processes()
    {
        HashSet<int> processes = [];
        foreach (string directory in Directories())
        {
            foreach (string line in (TryRead(Path.Combine(directory, "cgroup.procs")) ?? "").Split('\n', StringSplitOptions.RemoveEmptyEntries))
            {
                if (int.TryParse(line, NumberStyles.None, CultureInfo.InvariantCulture, out int process) && process > 0)
                {
                    processes.Add(process);
                }
            }
        }

        return [.. processes];
    }

    /// <summary>Removes the directories; those that others still use stay.</summary>
    public void Remove()
    {
        foreach (string directory in Directories())
        {
            for (int waited = 0; ; waited += 10)
            {
                try
                {
                    Directory.Delete(directory, recursive: false);
                    break;
                }
                catch (DirectoryNotFoundException)
                {
                    break;
                }
                catch (Exception error) when (error is IOException or UnauthorizedAccessException)
                {
                    // Busy until the last process has been reaped.
                    if (waited >= RemoveMilliseconds || Processes().Count > 0 && waited >= RemoveMilliseconds / 2)
                    {
                        Log.Warning($"{directory} is left: {error.Message}");
                        break;
                    }

                    Thread.Sleep(10);
                }
            }
        }
    }

    /// <summary>Controllers that are mounted together have one directory.</summary>
    protected IEnumerable<string> Directories() => new HashSet<string>(Paths.Values, StringComparer.Ordinal);

    protected static void MakeDirectory(string directory)
    {
        try
        {
            Directory.CreateDirectory(directory);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new RunscException($"cannot make the control group {directory}: {error.Message}");
        }
    }

    /// <exception cref="RunscException">Names the file and the value.</exception>
    protected static void Write(string file, string value)
    {
        try
        {
            using FileStream stream = new(file, FileMode.Open, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0);
            stream.Write(System.Text.Encoding.ASCII.GetBytes(value));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new RunscException($"cannot write {value.Trim()} to {file}: {error.Message}");
        }
    }

    protected static string? TryRead(string file)
    {
        try
        {
            return File.ReadAllText(file).Trim();
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    protected static ulong ReadNumber(string file) => ParseNumber(TryRead(file));

    /// <summary>"max" and −1 are the largest number; what is not there is 0.</summary>
    internal static ulong ParseNumber(string? text) =>
        text is "max" or "-1" ? ulong.MaxValue : ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out ulong number) ? number : 0;

    /// <summary>A file of "name number" lines.</summary>
    internal static Dictionary<string, ulong> ReadTable(string file)
    {
        Dictionary<string, ulong> table = new(StringComparer.Ordinal);
        foreach (string line in (TryRead(file) ?? "").Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            string[] words = line.Split(' ', 2);
            if (words.Length == 2)
            {
                table[words[0]] = ParseNumber(words[1]);
            }
        }

        return table;
    }

    protected static string Text(IFormattable number) => number.ToString(null, CultureInfo.InvariantCulture);

    /// <summary>The outer limit of threads for a limit of tasks; see <see cref="ThreadsForTask"/>.</summary>
    protected static string ThreadLimit(long tasks) => tasks <= 0 || tasks > (1 << 22) ? "max" : Text((tasks * ThreadsForTask) + ThreadsOfSandbox);
}
