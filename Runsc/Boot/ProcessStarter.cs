using System;
using System.Collections.Generic;
using System.Text;
using Runsc.Linux;
using Runsc.Sentry.Auth;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Kernel.Signals;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Loader;
using Runsc.Sentry.Vfs;

namespace Runsc.Boot;

/// <summary>A process that comes from outside: a container's first one, or one that `exec` adds.</summary>
internal sealed class ProcessRequest
{
    /// <summary>The program's path; null: the first argument, looked for in PATH.</summary>
    public string? Program { get; init; }

    public required IReadOnlyList<string> Arguments { get; init; }

    public required IReadOnlyList<string> Environment { get; init; }

    public string WorkingDirectory { get; init; } = "/";

    public required Credentials Credentials { get; init; }

    public uint Umask { get; init; } = 0x12;

    /// <summary>Descriptors 0, 1, 2, …; null for one that stays closed. References pass to the process.</summary>
    public required IReadOnlyList<FileDescription?> Files { get; set; }

    /// <summary>Soft and hard limits by RLIMIT_* number.</summary>
    public IReadOnlyDictionary<int, (ulong Soft, ulong Hard)> Limits { get; init; } = new Dictionary<int, (ulong, ulong)>();

    /// <summary>Mounts that it sees.</summary>
    public required MountNamespace Mounts { get; init; }

    /// <summary>Whose process ids it gets.</summary>
    public string Container { get; init; } = "";

    /// <summary>The container that it belongs to.</summary>
    public string Home { get; init; } = "";

    /// <summary>The first process of its container, with process ids of the container's own.</summary>
    public bool IsInit { get; init; }

    public int OomScoreAdjust { get; init; }

    /// <summary>Sets what is the task's own, such as its scheduling, before the program is loaded.</summary>
    public Action<Task>? Configure { get; init; }

    /// <summary>Gets the controlling terminal, before the first instruction. Called with the new process's task.</summary>
    public Action<Task>? SetUpTerminal { get; set; }
}

/// <summary>Starts processes that no other process has forked.</summary>
internal static class ProcessStarter
{
    /// <summary>
    /// Finds the program in PATH, loads it, and lets it run. On failure nothing is left, and <paramref name="message"/> says why in the words
    /// that callers of OCI runtimes look for.
    /// </summary>
    public static ThreadGroup? Start(SentryKernel kernel, ProcessRequest request, out string message)
    {
        Task task = Make(kernel, request);
        ThreadGroup group = task.ThreadGroup;
        Errno error = EnterWorkingDirectory(task, request.WorkingDirectory, out message);
        LoadedProgram? program = null;
        if (error == Errno.None)
        {
            error = Load(task, request, out program, out message);
        }

        if (error != Errno.None)
        {
            task.Discard();
            return null;
        }

        lock (kernel.TaskLock)
        {
            if (!kernel.TryAddTaskLocked(task, request.IsInit ? 1 : 0))
            {
                message = "cannot start the process: too many tasks";
                error = Errno.EAGAIN;
            }
            else
            {
                group.Id = task.ThreadId;
                group.ProcessGroup = new ProcessGroup(group.Id, new Session(group.Id));
                group.ProcessGroup.AddLocked(group);
                group.Tasks.Add(task);
                if (request.IsInit && request.Container.Length == 0)
                {
                    kernel.Init = group;
                }
            }
        }

        if (error != Errno.None)
        {
            program!.Executable.DecRef();
            program.Memory.DecUsers();
            task.Discard();
            return null;
        }

        task.Become(program!);
        request.SetUpTerminal?.Invoke(task);
        task.Start();
        return group;
    }

    /// <summary>Could the program be started? The message that <see cref="Start"/> would give when it is not there or not executable; else null.</summary>
    public static string? Probe(SentryKernel kernel, ProcessRequest request)
    {
        Task task = Make(kernel, request);
        Errno error = EnterWorkingDirectory(task, request.WorkingDirectory, out string message);
        if (error == Errno.None)
        {
            error = FindProgram(task, request, out _, out FileDescription? file, out message);
            file?.DecRef();
        }

        task.Discard();
        return error == Errno.None ? null : message;
    }

    private static Task Make(SentryKernel kernel, ProcessRequest request)
    {
        Session session = new(0);
        ThreadGroup group = new(kernel)
        {
            ProcessGroup = new ProcessGroup(0, session),
            Actions = new SignalActions(),
            StartTime = kernel.Clock.Monotonic,
            IsInit = request.IsInit,
            IsProtected = request.IsInit,
            KeepAfterExit = true,
            Container = request.Container,
            Home = request.Home,
            OomScoreAdjust = request.OomScoreAdjust,
        };
        foreach ((int resource, (ulong soft, ulong hard)) in request.Limits)
        {
            group.Limits.Set(resource, soft, hard);
        }

        FdTable files = new();
        for (int fd = 0; fd < request.Files.Count; fd++)
        {
            if (request.Files[fd] is FileDescription file)
            {
                files.Replace(fd, file, closeOnExec: false);
            }
        }

        VfsPath root = request.Mounts.GetRootPath();
        root.IncRef();
        FsContext fs = new(root, root, request.Umask);
        Task task = new(kernel, group, new Sentry.Memory.MemoryManager(kernel.Platform, kernel.Memory), files, fs, request.Mounts, request.Credentials) { StartTime = kernel.Clock.Monotonic };
        group.Leader = task;
        request.Configure?.Invoke(task);
        return task;
    }

    private static Errno EnterWorkingDirectory(Task task, string directory, out string message)
    {
        message = "";
        byte[] path = Encoding.UTF8.GetBytes(directory.Length == 0 ? "/" : directory);
        VfsPath start = task.Fs.GetWorkingDirectory();
        Errno error = PathWalker.Resolve(task, start, path, WalkFlags.FollowLast, out VfsPath place);
        start.DecRef();
        if (error == Errno.None && !place.Dentry.Inode!.IsDirectory)
        {
            place.DecRef();
            error = Errno.ENOTDIR;
        }

        if (error != Errno.None)
        {
            message = $"cannot enter the working directory \"{directory}\": {ErrorText.Of(error)}";
            return error;
        }

        task.Fs.SetWorkingDirectory(place);
        return Errno.None;
    }

    private static Errno Load(Task task, ProcessRequest request, out LoadedProgram? program, out string message)
    {
        program = null;
        string name = request.Program ?? request.Arguments[0];
        Errno error = FindProgram(task, request, out byte[] path, out FileDescription? file, out message);
        if (error != Errno.None)
        {
            return error;
        }

        List<byte[]> arguments = [], environment = [];
        foreach (string argument in request.Arguments)
        {
            arguments.Add(Encoding.UTF8.GetBytes(argument));
        }

        foreach (string variable in request.Environment)
        {
            environment.Add(Encoding.UTF8.GetBytes(variable));
        }

        error = task.Kernel.Loader(task, file!, path, arguments, environment, out program);
        file!.DecRef();
        if (error != Errno.None)
        {
            message = $"exec: \"{name}\": {ErrorText.Of(error)}";
        }

        return error;
    }

    private static Errno FindProgram(Task task, ProcessRequest request, out byte[] path, out FileDescription? file, out string message)
    {
        string name = request.Program ?? request.Arguments[0];
        Errno error = FindProgram(task, name, request.Environment, out path, out file);
        string reason = error == Errno.ENOENT && !name.Contains('/') ? "executable file not found in $PATH" : ErrorText.Of(error);
        message = error == Errno.None ? "" : $"error finding executable \"{name}\": exec: \"{name}\": {reason}";
        return error;
    }

    /// <summary>As execvp(3): a name with a slash is a path, others are looked for in PATH of the environment.</summary>
    private static Errno FindProgram(Task task, string name, IReadOnlyList<string> environment, out byte[] path, out FileDescription? file)
    {
        file = null;
        if (name.Contains('/'))
        {
            path = Encoding.UTF8.GetBytes(name);
            return ElfLoader.OpenExecutable(task, path, out file);
        }

        path = [];
        if (name.Length == 0)
        {
            return Errno.ENOENT;
        }

        string search = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        foreach (string variable in environment)
        {
            if (variable.StartsWith("PATH=", StringComparison.Ordinal))
            {
                search = variable[5..];
            }
        }

        Errno result = Errno.ENOENT;
        foreach (string directory in search.Split(':'))
        {
            path = Encoding.UTF8.GetBytes(directory.Length == 0 ? name : $"{directory.TrimEnd('/')}/{name}");
            Errno error = ElfLoader.OpenExecutable(task, path, out file);
            if (error == Errno.None)
            {
                return Errno.None;
            }

            result = error == Errno.EACCES ? error : result;
        }

        return result;
    }
}
