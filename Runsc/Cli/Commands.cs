using System.Collections.Generic;
using System.CommandLine;
using System.CommandLine.Completions;
using System.IO;
using Runsc.Config;
using Runsc.Container;

namespace Runsc.Cli;

/// <summary>Symbols that several commands share.</summary>
internal static class Commands
{
    /// <summary>The id of a container that exists: whole, or a unique beginning. Completion knows the ids of the default state directory.</summary>
    public static Argument<string> Id()
    {
        Argument<string> id = NewId();
        id.CompletionSources.Add(KnownIds);
        return id;
    }

    public static Argument<string> NewId() => new("ID") { Description = "id of the container", Arity = ArgumentArity.ExactlyOne };

    public static Option<string> Bundle() => new("--bundle", "-b") { Description = "directory with config.json (default: the current one)", HelpName = "DIR" };

    public static Option<string> PidFile() => new("--pid-file") { Description = "file for the process id on the host", HelpName = "FILE" };

    public static Option<string> ConsoleSocket() => new("--console-socket") { Description = "socket to which the terminal is sent", HelpName = "PATH" };

    public static Option<int> PreserveFds() => new("--preserve-fds") { Description = "so many descriptors beside the standard ones are passed on", HelpName = "N" };

    public static Option<bool> Detach() => new("--detach", "-d") { Description = "do not wait for the end" };

    /// <summary>Flags of runc that change nothing here.</summary>
    public static void AddIgnored(Command command, string[] switches, string[] values)
    {
        foreach (string name in switches)
        {
            command.Add(new Option<bool>(name) { Hidden = true });
        }

        foreach (string name in values)
        {
            command.Add(new Option<string>(name) { Hidden = true });
        }
    }

    public static ContainerManager Manager(ParseResult result) => new(GlobalOptions.Read(result));

    /// <summary>Standard input, output and error of this process, and the descriptors of --preserve-fds after them.</summary>
    public static List<int> OwnDescriptors(int preserved)
    {
        List<int> descriptors = [];
        for (int fd = 0; fd < 3 + preserved; fd++)
        {
            descriptors.Add(fd);
        }

        return descriptors;
    }

    public static string BundleOf(ParseResult result, Option<string> bundle) => Path.GetFullPath(result.GetValue(bundle) ?? Directory.GetCurrentDirectory());

    private static IEnumerable<CompletionItem> KnownIds(CompletionContext context)
    {
        foreach (string id in new StateDirectory(new RunscConfig().Root).Ids())
        {
            yield return new CompletionItem(id);
        }
    }
}
