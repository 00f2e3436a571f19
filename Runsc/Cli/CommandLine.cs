using System;
using System.Collections.Generic;
using System.CommandLine;
using System.CommandLine.Invocation;
using System.IO;
using System.Linq;
using System.Reflection;
using Runsc.Common;

namespace Runsc.Cli;

/// <summary>The command line: parse, run, and one line about what went wrong.</summary>
internal static class CommandLine
{
    /// <summary>Version of the OCI runtime specification.</summary>
    public const string SpecVersion = "1.2.0";

    public static string ProgramVersion => Assembly.GetExecutingAssembly().GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "unknown";

    /// <summary>Status of every failure that is not the application's.</summary>
    public const int Failure = 128;

    private static readonly ParserConfiguration s_parsing = new() { EnablePosixBundling = false, ResponseFileTokenReplacer = null };

    public static int Run(string[] arguments)
    {
        List<string> line = [];
        arguments = ReplaceHelp(arguments);
        RootCommand root = MakeRoot(() => line);
        string? log = GlobalOptions.LogFile(arguments);
        try
        {
            line = GoStyle.Normalize(root, arguments);
            ParseResult result = root.Parse(line, s_parsing);

            // Help, version and completion have actions of their own, and do not mind errors.
            if (result.Errors.Count > 0 && result.Action is not (System.CommandLine.Help.HelpAction or VersionAction) && !IsSuggestion(arguments))
            {
                throw new RunscException(Describe(result));
            }

            return result.Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
        }
        catch (RunscException error)
        {
            ErrorReport.Write(error.Message, log);
            return error.ExitCode;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            ErrorReport.Write(error.Message, log);
            return Failure;
        }
        catch (Exception error)
        {
            ErrorReport.Write($"internal error: {error}", log);
            return Failure;
        }
    }

    internal static RootCommand MakeRoot(Func<IReadOnlyList<string>> line)
    {
        RootCommand root = new("Runs OCI containers, each on an application kernel of its own.")
        {
            RunCommand.Make(), CreateCommand.Make(), LifecycleCommands.MakeStart(), StateCommands.MakeState(), LifecycleCommands.MakeKill(), LifecycleCommands.MakeDelete(),
            StateCommands.MakeList(), StateCommands.MakePs(), ExecCommand.Make(line), LifecycleCommands.MakeWait(), LifecycleCommands.MakePause(), LifecycleCommands.MakeResume(),
            EventsCommand.Make(), UpdateCommand.Make(), PortForwardCommand.Make(), ReadCommand.Make(), TarCommand.Make(), DebugCommand.Make(), DebugCommand.MakeUsage(),
            SpecCommand.Make(), DoCommand.Make(), FeaturesCommand.Make(), InstallCommand.MakeInstall(), InstallCommand.MakeUninstall(), CompletionCommand.Make(),
        };
        GlobalOptions.AddTo(root);
        foreach (VersionOption version in root.Options.OfType<VersionOption>())
        {
            version.Action = new VersionAction();
        }

        return root;
    }

    /// <summary>`help` and `help COMMAND` as --help.</summary>
    private static string[] ReplaceHelp(string[] arguments) =>
        arguments.Length > 0 && arguments[0] == "help" ? [.. arguments.AsSpan(1, System.Math.Min(arguments.Length - 1, 1)), "--help"] : arguments;

    private static bool IsSuggestion(string[] arguments) => arguments.Length > 0 && arguments[0].StartsWith("[suggest", StringComparison.Ordinal);

    /// <summary>The first thing that is wrong, lower case and without a full stop.</summary>
    private static string Describe(ParseResult result)
    {
        Command command = result.CommandResult.Command;
        if (command is RootCommand)
        {
            return result.UnmatchedTokens.Count > 0 ? $"unknown command \"{result.UnmatchedTokens[0]}\"" : "a command is needed (runsc --help lists them)";
        }

        if (result.UnmatchedTokens.Count > 0)
        {
            return $"{command.Name}: unexpected argument \"{result.UnmatchedTokens[0]}\"";
        }

        foreach (Argument argument in command.Arguments)
        {
            if (argument.Arity.MinimumNumberOfValues > (result.GetResult(argument)?.Tokens.Count ?? 0))
            {
                return $"{command.Name}: {argument.Name} is missing";
            }
        }

        string text = result.Errors[0].Message.Trim().TrimEnd('.');
        return $"{command.Name}: {char.ToLowerInvariant(text[0])}{text[1..]}";
    }

    private sealed class VersionAction : SynchronousCommandLineAction
    {
        public override int Invoke(ParseResult parseResult)
        {
            Console.Out.WriteLine($"runsc version {ProgramVersion}");
            Console.Out.WriteLine($"spec: {SpecVersion}");
            return 0;
        }
    }
}
