using System.CommandLine;
using System.IO;
using Runsc.Container;
using Runsc.Oci;

namespace Runsc.Cli;

/// <summary>create: a container whose first process waits for `start`.</summary>
internal static class CreateCommand
{
    public static Command Make()
    {
        Argument<string> id = Commands.NewId();
        Option<string> bundle = Commands.Bundle(), pidFile = Commands.PidFile(), console = Commands.ConsoleSocket();
        Option<int> preserve = Commands.PreserveFds();
        Command command = new("create", "create a container; its process runs after `start`") { id, bundle, pidFile, console, preserve };
        Commands.AddIgnored(command, ["--no-pivot", "--no-new-keyring"], ["--user-log"]);
        command.SetAction(result =>
        {
            ContainerManager manager = Commands.Manager(result);
            string directory = Commands.BundleOf(result, bundle);
            StateDirectory.CheckId(result.GetRequiredValue(id));
            new Launch(manager)
            {
                Id = result.GetRequiredValue(id),
                Bundle = directory,
                Spec = SpecLoader.LoadBundle(directory),
                PidFile = result.GetValue(pidFile) is string path ? Path.GetFullPath(path) : null,
                ConsoleSocket = result.GetValue(console),
                PreserveFds = result.GetValue(preserve),
            }.CreateDetached();
            return 0;
        });
        return command;
    }
}
