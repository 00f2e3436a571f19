using System.CommandLine;
using System.IO;
using Runsc.Container;
using Runsc.Oci;

namespace Runsc.Cli;

/// <summary>run: create and start; then wait and delete, unless it is detached.</summary>
internal static class RunCommand
{
    public static Command Make()
    {
        Argument<string> id = Commands.NewId();
        Option<string> bundle = Commands.Bundle(), pidFile = Commands.PidFile(), console = Commands.ConsoleSocket();
        Option<int> preserve = Commands.PreserveFds();
        Option<bool> detach = Commands.Detach(), keep = new("--keep") { Description = "do not delete the container when it has ended" };
        Command command = new("run", "create and start a container, and wait for its end") { id, bundle, pidFile, console, preserve, detach, keep };
        Commands.AddIgnored(command, ["--no-pivot", "--no-new-keyring", "--no-subreaper"], ["--user-log"]);
        command.SetAction(result =>
        {
            ContainerManager manager = Commands.Manager(result);
            string directory = Commands.BundleOf(result, bundle);
            StateDirectory.CheckId(result.GetRequiredValue(id));
            Launch launch = new(manager)
            {
                Id = result.GetRequiredValue(id),
                Bundle = directory,
                Spec = SpecLoader.LoadBundle(directory),
                PidFile = result.GetValue(pidFile) is string path ? Path.GetFullPath(path) : null,
                ConsoleSocket = result.GetValue(console),
                PreserveFds = result.GetValue(preserve),
            };
            if (!result.GetValue(detach))
            {
                return launch.RunAttached(result.GetValue(keep));
            }

            launch.CreateDetached();
            try
            {
                manager.Start(launch.Id);
            }
            catch
            {
                manager.Delete(launch.Id, force: true);
                throw;
            }

            return 0;
        });
        return command;
    }
}
