using System;
using System.Collections.Generic;
using System.CommandLine;
using System.Globalization;
using System.Text;
using System.Threading;
using Runsc.Common;
using Runsc.Container;
using Runsc.Container.Console;
using Runsc.Host.Processes;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.Oci;

namespace Runsc.Cli;

/// <summary>
/// exec: another process in a running container. Detached, this command starts itself again as an agent that stays until the process has ended:
/// its process id is what --pid-file gets and its exit status is the process's, which is what callers wait for.
/// </summary>
internal static class ExecCommand
{
    private const int CallerMilliseconds = 10_000, GraceMilliseconds = 100;

    private static readonly Argument<string> s_id = Commands.Id();
    private static readonly Argument<string[]> s_words = new("COMMAND") { Description = "program and its arguments", Arity = ArgumentArity.ZeroOrMore };
    private static readonly Option<string> s_process = new("--process", "-p") { Description = "file with the OCI process in JSON, instead of a command", HelpName = "FILE" };
    private static readonly Option<string> s_cwd = new("--cwd") { Description = "working directory", HelpName = "DIR" };
    private static readonly Option<string[]> s_env = new("--env", "-e") { Description = "NAME=VALUE; may be given again", HelpName = "NAME=VALUE" };
    private static readonly Option<string> s_user = new("--user", "-u") { Description = "user and group by number", HelpName = "UID[:GID]" };
    private static readonly Option<string[]> s_groups = new("--additional-gids", "-g") { Description = "another group by number; may be given again", HelpName = "GID" };
    private static readonly Option<string[]> s_caps = new("--cap", "-c") { Description = "another capability; may be given again", HelpName = "CAP_NAME" };
    private static readonly Option<bool> s_tty = new("--tty", "-t") { Description = "give the process a terminal" };
    private static readonly Option<bool> s_noNewPrivs = new("--no-new-privs") { Description = "the process gains no rights by execve" };
    private static readonly Option<bool> s_detach = Commands.Detach();
    private static readonly Option<string> s_pidFile = Commands.PidFile();
    private static readonly Option<string> s_internalPidFile = new("--internal-pid-file") { Description = "file for the process id inside", HelpName = "FILE" };
    private static readonly Option<string> s_console = Commands.ConsoleSocket();
    private static readonly Option<int> s_preserve = Commands.PreserveFds();

    private static readonly Option<bool> s_ignorePaused = new("--ignore-paused") { Description = "also in a paused container" };

    /// <summary>Given to the agent: a pipe for one line, empty when the process runs, else why not.</summary>
    private static readonly Option<int?> s_agent = new("--agent-fd") { Hidden = true };

    public static Command Make(Func<IReadOnlyList<string>> commandLine)
    {
        Command command = new("exec", "run another process in a container")
        {
            s_id, s_words, s_process, s_cwd, s_env, s_user, s_groups, s_caps, s_tty, s_noNewPrivs, s_detach, s_pidFile, s_internalPidFile, s_console, s_preserve, s_ignorePaused, s_agent,
        };
        Commands.AddIgnored(command, [], ["--process-label", "--apparmor", "--cgroup"]);
        command.SetAction(result => result.GetValue(s_agent) is int pipe ? RunAgent(result, pipe)
            : result.GetValue(s_detach) ? Detach(result, commandLine())
            : Attached(result, null));
        return command;
    }

    /// <summary>Starts the process and waits for it.</summary>
    private static int Attached(ParseResult result, Action? started)
    {
        ContainerManager manager = Commands.Manager(result);
        ContainerState state = manager.States.Load(result.GetRequiredValue(s_id));
        ProcessSpec request = Describe(result, state);
        MoveTo(request.ExecCPUAffinity?.Initial);
        string? socket = result.GetValue(s_console);
        if (started is not null && request.Terminal && socket is null)
        {
            throw new RunscException("a detached process with a terminal needs --console-socket");
        }

        List<int> descriptors = Commands.OwnDescriptors(result.GetValue(s_preserve));
        using ConsolePair? console = request.Terminal ? new ConsolePair(request.ConsoleSize) : null;
        if (console is not null)
        {
            descriptors[0] = descriptors[1] = descriptors[2] = console.Replica;
        }

        int process = manager.Execute(state.Id, request, [.. descriptors], result.GetValue(s_ignorePaused));
        console?.CloseReplica();
        if (console is not null && socket is not null)
        {
            console.SendTo(socket);
        }

        if (result.GetValue(s_internalPidFile) is string file)
        {
            ContainerManager.WritePidFile(file, process);
        }

        started?.Invoke();
        if (started is not null && console is not null)
        {
            // The caller may read its pipes to their end.
            LeaveCaller();
        }

        using SignalForwarder? forwarder = started is null ? new SignalForwarder(signal => manager.Kill(state.Id, signal, process, all: false)) : null;
        using TerminalRelay? relay = console is not null && socket is null ? new TerminalRelay(console.Master, _ => { }) : null;
        return manager.WaitForProcess(state.Id, process);
    }

    /// <summary>Keeps this thread, which asks for the process and waits for it, to a list of the host's processors; null or empty: to none.</summary>
    private static unsafe void MoveTo(string? list)
    {
        if (!string.IsNullOrEmpty(list) && CpuList.TryParse(list, out ulong processors) && HostFile.Syscall(SysNo.sched_setaffinity, 0, sizeof(ulong), (nint)(&processors)) < 0)
        {
            throw new RunscException($"execCPUAffinity.initial: cannot run on the processors {list}");
        }
    }

    /// <summary>The agent of a detached exec: says when the process runs, then stays with it.</summary>
    private static int RunAgent(ParseResult result, int pipe)
    {
        _ = HostFile.SetCloseOnExec(pipe, true);
        _ = HostProcess.NewSession();
        long caller = HostFile.Syscall(SysNo.getppid);
        try
        {
            int status = Attached(result, () => Tell("\n"));
            OutliveCaller(caller);
            return status;
        }
        catch (RunscException error)
        {
            Tell(error.Message.ReplaceLineEndings(" ") + "\n");
            return error.ExitCode;
        }

        void Tell(string line)
        {
            _ = HostFile.Write(pipe, Encoding.UTF8.GetBytes(line));
            _ = HostFile.Close(pipe);
        }
    }

    /// <summary>
    /// A shim learns the agent's number from a file once the command has ended; an end of the agent that comes before is lost on it, and it would
    /// wait for ever.
    /// </summary>
    private static void OutliveCaller(long caller)
    {
        for (int waited = 0; HostFile.Syscall(SysNo.getppid) == caller && waited < CallerMilliseconds; waited += 2)
        {
            Thread.Sleep(2);
        }

        Thread.Sleep(GraceMilliseconds);
    }

    private static void LeaveCaller()
    {
        int nothing = HostFile.OpenAt(Fcntl.AT_FDCWD, "/dev/null\0"u8, Fcntl.O_RDWR | Fcntl.O_CLOEXEC);
        for (int fd = 0; fd < 3 && nothing >= 0; fd++)
        {
            _ = HostFile.Syscall(SysNo.dup3, nothing, fd);
        }

        _ = HostFile.Close(nothing);
    }

    private static int Detach(ParseResult result, IReadOnlyList<string> commandLine)
    {
        if (HostFile.Pipe(out int read, out int write) < 0)
        {
            throw new RunscException("cannot make a pipe");
        }

        int program = HostFile.OpenAt(Fcntl.AT_FDCWD, "/proc/self/exe\0"u8, Fcntl.O_RDONLY);
        _ = HostFile.SetCloseOnExec(write, false);
        List<string> arguments = ["runsc-exec"], environment = [];
        foreach (string word in commandLine)
        {
            arguments.Add(word);
            if (word == "exec" && !arguments.Contains("--agent-fd"))
            {
                arguments.Add("--agent-fd");
                arguments.Add(write.ToString(CultureInfo.InvariantCulture));
            }
        }

        foreach (System.Collections.DictionaryEntry variable in Environment.GetEnvironmentVariables())
        {
            environment.Add($"{variable.Key}={variable.Value}");
        }

        int agent = HostProcess.Start(program, arguments, environment, 0);
        _ = HostFile.Close(write);
        _ = HostFile.Close(program);
        if (agent < 0)
        {
            throw new RunscException($"cannot start the agent of the process: errno {-agent}");
        }

        string line = ReadLine(read);
        _ = HostFile.Close(read);
        if (line != "\n")
        {
            _ = HostProcess.Wait(agent, out _);
            throw new RunscException(line.Length == 0 ? "the agent of the process has ended at its start" : line.TrimEnd('\n'));
        }

        if (result.GetValue(s_pidFile) is string file)
        {
            ContainerManager.WritePidFile(file, agent);
        }

        return 0;
    }

    private static string ReadLine(int pipe)
    {
        byte[] buffer = new byte[4096];
        int length = 0;
        while (length < buffer.Length)
        {
            long n = HostFile.Read(pipe, buffer.AsSpan(length));
            if (n <= 0 && n != -(long)Errno.EINTR)
            {
                break;
            }

            length += (int)Math.Max(n, 0);
        }

        return Encoding.UTF8.GetString(buffer, 0, length);
    }

    /// <summary>The process: from --process, or the container's own with the command's changes.</summary>
    private static ProcessSpec Describe(ParseResult result, ContainerState state)
    {
        string[] words = result.GetValue(s_words) ?? [];
        ProcessSpec process;
        if (result.GetValue(s_process) is string file)
        {
            process = SpecLoader.LoadProcess(file);
            process.Terminal |= result.GetValue(s_tty);
        }
        else
        {
            process = state.Spec?.Process ?? throw new RunscException($"the state of container \"{state.Id}\" has no specification");
            process.Args = words.Length > 0 ? [.. words] : throw new RunscException("exec: a command or --process is needed");
            process.Terminal = result.GetValue(s_tty);
            process.NoNewPrivileges |= result.GetValue(s_noNewPrivs);
            process.Cwd = result.GetValue(s_cwd) ?? process.Cwd;
            process.Env = [.. process.Env ?? [], .. result.GetValue(s_env) ?? []];
        }

        UserSpec user = process.User ??= new UserSpec();
        if (result.GetValue(s_user) is string given)
        {
            string[] parts = given.Split(':');
            user.Uid = Number("--user", parts[0]);
            user.Gid = parts.Length > 1 ? Number("--user", parts[1]) : user.Gid;
        }

        foreach (string group in result.GetValue(s_groups) ?? [])
        {
            (user.AdditionalGids ??= []).Add(Number("--additional-gids", group));
        }

        string[] more = result.GetValue(s_caps) ?? [];
        if (more.Length > 0)
        {
            _ = CapabilityNames.ToMask([.. more], "--cap");
            CapabilitiesSpec sets = process.Capabilities ??= new CapabilitiesSpec();
            sets.Bounding = [.. sets.Bounding ?? [], .. more];
            sets.Effective = [.. sets.Effective ?? [], .. more];
            sets.Permitted = [.. sets.Permitted ?? [], .. more];
        }

        return process;
    }

    private static uint Number(string flag, string text) =>
        uint.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out uint number) ? number : throw new RunscException($"{flag}: \"{text}\" is not a number");
}
