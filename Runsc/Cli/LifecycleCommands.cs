using System;
using System.CommandLine;
using System.Text.Json;
using Runsc.Common;
using Runsc.Container;

namespace Runsc.Cli;

/// <summary>Commands that change a container that is there: start, kill, delete, wait, pause, resume.</summary>
internal static class LifecycleCommands
{
    public static Command MakeStart() => Simple("start", "run the process of a created container", (manager, id) => manager.Start(id));

    public static Command MakePause() => Simple("pause", "stop all processes of a container", (manager, id) => manager.Pause(id));

    public static Command MakeResume() => Simple("resume", "let a paused container go on", (manager, id) => manager.Resume(id));

    public static Command MakeKill()
    {
        Argument<string> id = Commands.Id();
        Argument<string> signal = new("SIGNAL") { Description = "name or number (default TERM)", Arity = ArgumentArity.ZeroOrOne };
        Option<bool> all = new("--all", "-a") { Description = "all processes of the container" };
        Option<int> process = new("--pid") { Description = "another process than the first, by its number inside", HelpName = "PID" };
        Command command = new("kill", "send a signal to a container's process") { id, signal, all, process };
        command.SetAction(result =>
        {
            int number = SignalNames.Parse(result.GetValue(signal) ?? "TERM");
            if (result.GetValue(all) && result.GetValue(process) != 0)
            {
                throw new RunscException("kill: --all and --pid exclude each other");
            }

            Commands.Manager(result).Kill(result.GetRequiredValue(id), number, result.GetValue(process), result.GetValue(all));
            return 0;
        });
        return command;
    }

    public static Command MakeDelete()
    {
        Argument<string[]> ids = new("ID") { Description = "ids of containers", Arity = ArgumentArity.OneOrMore };
        Option<bool> force = new("--force", "-f") { Description = "in any state; one that does not exist is no error" };
        Command command = new("delete", "remove containers that have ended") { ids, force };
        command.SetAction(result =>
        {
            ContainerManager manager = Commands.Manager(result);
            RunscException? first = null;
            foreach (string id in result.GetRequiredValue(ids))
            {
                try
                {
                    manager.Delete(id, result.GetValue(force));
                }
                catch (RunscException error)
                {
                    first ??= error;
                }
            }

            return first is null ? 0 : throw first;
        });
        return command;
    }

    public static Command MakeWait()
    {
        Argument<string> id = Commands.Id();
        Option<int> process = new("--pid") { Description = "a process by its number inside", HelpName = "PID" };
        Option<int> rootProcess = new("--rootpid") { Description = "as --pid", HelpName = "PID" };
        Command command = new("wait", "wait for the end of a container and print its exit status") { id, process, rootProcess };
        command.SetAction(result =>
        {
            string given = result.GetRequiredValue(id);
            int number = result.GetValue(process) != 0 ? result.GetValue(process) : result.GetValue(rootProcess);
            ContainerManager manager = Commands.Manager(result);
            string whole = manager.States.Load(given).Id;
            WaitOutput output = new() { Id = whole, ExitStatus = manager.Wait(whole, number) };
            Console.Out.WriteLine(JsonSerializer.Serialize(output, StateJson.Default.WaitOutput));
            return 0;
        });
        return command;
    }

    private static Command Simple(string name, string description, Action<ContainerManager, string> action)
    {
        Argument<string> id = Commands.Id();
        Command command = new(name, description) { id };
        command.SetAction(result =>
        {
            action(Commands.Manager(result), result.GetRequiredValue(id));
            return 0;
        });
        return command;
    }
}
