using System;
using System.Collections.Generic;
using System.IO;
using System.Text.Json;
using System.Text.RegularExpressions;
using Runsc.Common;
using Runsc.Host.Syscalls;
using Runsc.Linux;

namespace Runsc.Container;

/// <summary>
/// The directory of all containers (--root): one directory for each, with state.json, the control socket, and a lock file beside it.
/// Whoever changes a container holds its lock; a lock ends with its process, so a killed command leaves none.
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

    public string SocketOf(string id) => Path.Combine(root, id, "control.sock");

    /// <summary>Gets the wait status of the container's first process; empty while it runs, and for good when the sandbox was killed.</summary>
    public string ExitFileOf(string id) => Path.Combine(root, id, "exit");

    private string StateFile(string id) => Path.Combine(root, id, "state.json");

    /// <summary>Takes a container's lock, waiting for it.</summary>
    public ContainerLock Lock(string id)
    {
        Directory.CreateDirectory(root, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        return new ContainerLock(Path.Combine(root, id + ".lock"));
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
    public void Remove(string id)
    {
        try
        {
            Directory.Delete(PathOf(id), recursive: true);
        }
        catch (DirectoryNotFoundException)
        {
        }
    }
}

/// <summary>A held lock file. The file goes with the container.</summary>
internal sealed class ContainerLock : IDisposable
{
    private readonly string _path;
    private int _fd;

    public ContainerLock(string path)
    {
        _path = path;
        byte[] name = [.. System.Text.Encoding.UTF8.GetBytes(path), 0];
        const int LOCK_EX = 2;
        while (true)
        {
            _fd = HostFile.OpenAt(Fcntl.AT_FDCWD, name, Fcntl.O_RDWR | Fcntl.O_CREAT | Fcntl.O_CLOEXEC, 0x180);
            if (_fd < 0)
            {
                throw new RunscException($"cannot open {path}: errno {-_fd}");
            }

            while (HostFile.FLock(_fd, LOCK_EX) == -(int)Errno.EINTR)
            {
            }

            // Whoever had it before may have removed the file: then this lock guards nothing.
            if (HostFile.Stat(_fd, out StatBuffer held) == 0 && HostFile.StatAt(Fcntl.AT_FDCWD, name, 0, out StatBuffer named) == 0 && held.Inode == named.Inode)
            {
                return;
            }

            HostFile.Close(_fd);
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
