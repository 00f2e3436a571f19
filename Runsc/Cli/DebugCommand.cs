using System;
using System.CommandLine;
using System.IO;
using System.Text;
using Runsc.Common;
using Runsc.Container;
using Runsc.Control;

namespace Runsc.Cli;

/// <summary>debug: looks into a live sandbox, and changes what it logs. usage: what memory it uses.</summary>
internal static class DebugCommand
{
    public static Command Make()
    {
        Argument<string> id = Commands.Id();
        Option<bool> stacks = new("--stacks") { Description = "what each task does" }, ps = new("--ps") { Description = "processes" };
        Option<string> strace = new("--strace") { Description = "all, off, or names of system calls with commas between", HelpName = "WHAT" };
        Option<string> level = new("--log-level") { Description = "what is logged from now on", HelpName = "debug|info|warning|error" };
        level.CompletionSources.Add("debug", "info", "warning", "error");
        Command command = new("debug", "look into a live sandbox") { id, stacks, ps, strace, level };
        command.SetAction(result =>
        {
            ContainerManager manager = Commands.Manager(result);
            ContainerState state = manager.States.Load(result.GetRequiredValue(id));
            if (result.GetValue(stacks))
            {
                Write(manager.Call(state, new ControlRequest { Command = "stacks" }).Text ?? "");
            }

            if (result.GetValue(ps))
            {
                Write(StateCommands.ProcessTable(manager.Processes(state.Id)));
            }

            // A sandbox that has no log yet writes to this command's standard error.
            if (result.GetValue(strace) is string what)
            {
                manager.Call(state, new ControlRequest { Command = "strace", Text = what }, [2]);
            }

            if (result.GetValue(level) is string name)
            {
                string whole = name == "warn" ? "warning" : name;
                if (whole is not ("debug" or "info" or "warning" or "error"))
                {
                    throw new RunscException($"debug: --log-level: \"{name}\" is not debug, info, warning or error");
                }

                manager.Call(state, new ControlRequest { Command = "log", Text = whole }, [2]);
            }

            return 0;
        });
        return command;
    }

    public static Command MakeUsage()
    {
        Argument<string> id = Commands.Id();
        Option<bool> full = new("--full") { Description = "with the host's figures for the sandbox's processes" };
        Command command = new("usage", "print the memory that a sandbox uses, in JSON") { id, full };
        command.SetAction(result =>
        {
            ContainerManager manager = Commands.Manager(result);
            ContainerState state = manager.States.Load(result.GetRequiredValue(id));
            long applications = manager.Call(state, new ControlRequest { Command = "usage" }).Memory;
            long sentry = Resident(state.SandboxPid), gofer = Resident(state.GoferPid);
            Write(result.GetValue(full)
                ? $"{{\"Applications\":{applications},\"Sentry\":{sentry},\"Gofer\":{gofer},\"Total\":{sentry + gofer}}}\n"
                : $"{{\"Applications\":{applications},\"Total\":{sentry + gofer}}}\n");
            return 0;
        });
        return command;
    }

    /// <summary>Bytes of a process's own share of memory (smaps_rollup), or 0.</summary>
    private static long Resident(int process)
    {
        try
        {
            foreach (string line in File.ReadLines($"/proc/{process}/smaps_rollup"))
            {
                if (line.StartsWith("Pss:", StringComparison.Ordinal))
                {
                    return long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], System.Globalization.CultureInfo.InvariantCulture) << 10;
                }
            }
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            Log.Debug($"memory of process {process}: {error.Message}");
        }

        return 0;
    }

    private static void Write(string text)
    {
        using Stream output = Console.OpenStandardOutput();
        output.Write(Encoding.UTF8.GetBytes(text));
    }
}
