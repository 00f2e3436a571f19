using System;
using System.Collections.Generic;
using System.IO;
using System.Text.Json;
using System.Text.RegularExpressions;
using Runsc.Common;
using Runsc.Control;
using Runsc.Host.Syscalls;
using Runsc.Linux;

namespace Runsc.Container;

/// <summary>
/// The directory of all containers (--root): one directory for each, with state.json and a lock file beside it; and one for each sandbox, with its
/// sandbox.json and the control socket. Whoever changes one of them holds its lock, the sandbox's before the container's; a lock ends with its process,
/// so a killed command leaves none.
/// </summary>
internal sealed partial class StateDirectory(string root)
{
    [GeneratedRegex(@"^[\w+.-]{1,255}$", RegexOptions.ECMAScript)]
    private static partial Regex IdPattern();

    /// <exception cref="RunscException">The id is not one.</exception>
    public static void CheckId(string id)
    {
        if (!IdPattern().IsMatch(id) || id is "." or "..")
        {
            throw new RunscException($"invalid container id \"{id}\": letters, digits, '_', '+', '-' and '.' only");
        }
    }

    public string PathOf(string id) => Path.Combine(root, id);

    // No container's id has a colon.
    private const string SandboxPrefix = "sandbox:";

    private string SandboxPath(string key) => Path.Combine(root, SandboxPrefix + key);

    /// <summary>The control socket of a sandbox.</summary>
    public string SocketOf(string key) => Path.Combine(SandboxPath(key), "control.sock");

    /// <summary>Gets the wait status of the container's first process; empty while it runs, and for good when the sandbox was killed.</summary>
    public string ExitFileOf(string id) => Path.Combine(root, id, "exit");

    /// <summary>A further container of a sandbox: how many of its processes were killed because its own limit of memory was reached, as memory.events of cgroups(7) says it.</summary>
    public string MemoryEventsOf(string id) => Path.Combine(root, id, StartInfo.MemoryEvents);

    private string StateFile(string id) => Path.Combine(root, id, "state.json");

    /// <summary>Takes a container's lock, waiting for it.</summary>
    public FileLock Lock(string id)
    {
        Directory.CreateDirectory(root, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        return FileLock.TryTake(Path.Combine(root, id + ".lock"), Fcntl.O_RDWR | Fcntl.O_CREAT)!;
    }

    /// <summary>Makes the directory of a new container.</summary>
    /// <exception cref="RunscException">The id is in use.</exception>
    public void Create(ContainerState state)
    {
        string directory = PathOf(state.Id);
        if (Directory.Exists(directory))
        {
            throw new RunscException($"container with id \"{state.Id}\" already exists");
        }

        Directory.CreateDirectory(directory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        Save(state);
    }

    public void Save(ContainerState state)
    {
        string file = StateFile(state.Id), temporary = file + ".new";
        File.WriteAllBytes(temporary, JsonSerializer.SerializeToUtf8Bytes(state, StateJson.Default.ContainerState));
        File.Move(temporary, file, overwrite: true);
    }

    /// <summary>The container with an id, or with a unique beginning of it.</summary>
    /// <exception cref="RunscException">There is none, or more than one.</exception>
    public ContainerState Load(string id)
    {
        CheckId(id);
        if (TryRead(id) is ContainerState exact)
        {
            return exact;
        }

        List<string> matches = [];
        foreach (string name in Ids())
        {
            if (name.StartsWith(id, StringComparison.Ordinal))
            {
                matches.Add(name);
            }
        }

        if (matches.Count > 1)
        {
            throw new RunscException($"container id \"{id}\" is ambiguous: {string.Join(", ", matches)}");
        }

        return (matches.Count == 1 ? TryRead(matches[0]) : null) ?? throw new RunscException($"container \"{id}\" does not exist");
    }

    public ContainerState? TryRead(string id)
    {
        try
        {
            return JsonSerializer.Deserialize(File.ReadAllBytes(StateFile(id)), StateJson.Default.ContainerState);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or JsonException)
        {
            return null;
        }
    }

    public List<string> Ids()
    {
        List<string> ids = [];
        if (Directory.Exists(root))
        {
            foreach (string directory in Directory.EnumerateDirectories(root))
            {
                // Others may keep something of their own here.
                string id = Path.GetFileName(directory);
                if (File.Exists(StateFile(id)))
                {
                    ids.Add(id);
                }
            }
        }

        ids.Sort(StringComparer.Ordinal);
        return ids;
    }

    /// <summary>Removes what is left of a container.</summary>
    public void Remove(string id) => RemoveDirectory(PathOf(id));

    private static void RemoveDirectory(string directory)
    {
        try
        {
            Directory.Delete(directory, recursive: true);
        }
        catch (DirectoryNotFoundException)
        {
        }
    }

    /// <summary>Makes the directory of a new sandbox.</summary>
    public void CreateSandbox(SandboxState sandbox)
    {
        Directory.CreateDirectory(SandboxPath(sandbox.Key), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        SaveSandbox(sandbox);
    }

    public void SaveSandbox(SandboxState sandbox)
    {
        string file = Path.Combine(SandboxPath(sandbox.Key), "sandbox.json");
        File.WriteAllBytes(file + ".new", JsonSerializer.SerializeToUtf8Bytes(sandbox, StateJson.Default.SandboxState));
        File.Move(file + ".new", file, overwrite: true);
    }

    /// <summary>null when it is gone.</summary>
    public SandboxState? TryReadSandbox(string key)
    {
        try
        {
            return JsonSerializer.Deserialize(File.ReadAllBytes(Path.Combine(SandboxPath(key), "sandbox.json")), StateJson.Default.SandboxState);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or JsonException)
        {
            return null;
        }
    }

    public void RemoveSandbox(string key) => RemoveDirectory(SandboxPath(key));

    /// <summary>Takes a sandbox's lock, waiting for it; null when the sandbox is gone.</summary>
    public FileLock? LockSandbox(string key) => FileLock.TryTake(SandboxPath(key), Fcntl.O_RDONLY | Fcntl.O_DIRECTORY);

    /// <summary>Sandboxes that are there, in no order.</summary>
    public List<SandboxState> Sandboxes()
    {
        List<SandboxState> sandboxes = [];
        foreach (string directory in Directory.Exists(root) ? Directory.EnumerateDirectories(root, SandboxPrefix + "*") : [])
        {
            if (TryReadSandbox(Path.GetFileName(directory)[SandboxPrefix.Length..]) is SandboxState sandbox)
            {
                sandboxes.Add(sandbox);
            }
        }

        return sandboxes;
    }

    /// <summary>The containers of a sandbox, ended ones too.</summary>
    public List<ContainerState> ContainersOf(string key)
    {
        List<ContainerState> containers = [];
        foreach (string id in Ids())
        {
            if (TryRead(id) is ContainerState state && state.Sandbox == key)
            {
                containers.Add(state);
            }
        }

        return containers;
    }
}

/// <summary>A held lock on a file (flock(2)).</summary>
internal sealed class FileLock : IDisposable
{
    private const int LOCK_EX = 2;

    private readonly string _path;
    private int _fd;

    private FileLock(string path, int fd)
    {
        _path = path;
        _fd = fd;
    }

    /// <summary>Takes the lock of a file, waiting for it; null when there is no such file.</summary>
    /// <param name="path">A file or directory that goes with what the lock guards, or one that stays.</param>
    /// <param name="flags">How it is opened, O_*; with O_CREAT it is made.</param>
    /// <exception cref="RunscException">It cannot be opened.</exception>
    public static FileLock? TryTake(string path, int flags)
    {
        byte[] name = [.. System.Text.Encoding.UTF8.GetBytes(path), 0];
        while (true)
        {
            int fd = HostFile.OpenAt(Fcntl.AT_FDCWD, name, flags | Fcntl.O_CLOEXEC, 0x180);
            if (fd < 0)
            {
                return fd == -(int)Errno.ENOENT ? null : throw new RunscException($"cannot open {path}: errno {-fd}");
            }

            while (HostFile.FLock(fd, LOCK_EX) == -(int)Errno.EINTR)
            {
            }

            // Whoever had it before may have removed the file: then this lock guards nothing.
            if (HostFile.Stat(fd, out StatBuffer held) == 0 && HostFile.StatAt(Fcntl.AT_FDCWD, name, 0, out StatBuffer named) == 0 && held.Inode == named.Inode)
            {
                return new FileLock(path, fd);
            }

            HostFile.Close(fd);
        }
    }

    /// <summary>The container is gone: its lock file goes too.</summary>
    public void RemoveFile() => File.Delete(_path);

    public void Dispose()
    {
        if (_fd >= 0)
        {
            HostFile.Close(_fd);
            _fd = -1;
        }
    }
}
