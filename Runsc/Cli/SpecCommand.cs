using System.CommandLine;
using System.IO;
using System.Text.Json;
using Runsc.Common;
using Runsc.Oci;

namespace Runsc.Cli;

/// <summary>spec: a config.json to start from.</summary>
internal static class SpecCommand
{
    public static Command Make()
    {
        Argument<string[]> words = new("COMMAND") { Description = "program and its arguments, after -- (default sh)", Arity = ArgumentArity.ZeroOrMore };
        Option<string> bundle = Commands.Bundle(), cwd = new("--cwd") { Description = "working directory of the process", HelpName = "DIR" };
        Command command = new("spec", "write a sample config.json") { words, bundle, cwd };
        Commands.AddIgnored(command, ["--rootless"], ["--netns"]);
        command.SetAction(result =>
        {
            string file = Path.Combine(Commands.BundleOf(result, bundle), "config.json");
            string[] given = result.GetValue(words) ?? [];
            Spec spec = DefaultSpec.Create(given.Length > 0 ? [.. given] : ["sh"], "rootfs", readOnly: true, terminal: given.Length == 0);
            spec.Process!.Cwd = result.GetValue(cwd) ?? spec.Process.Cwd;
            try
            {
                using FileStream stream = new(file, FileMode.CreateNew, FileAccess.Write);
                stream.Write(JsonSerializer.SerializeToUtf8Bytes(spec, SpecJson.Default.Spec));
                stream.Write("\n"u8);
            }
            catch (IOException) when (File.Exists(file))
            {
                throw new RunscException($"{file} is there already");
            }
            catch (System.Exception error) when (error is IOException or System.UnauthorizedAccessException)
            {
                throw new RunscException($"cannot write {file}: {error.Message}");
            }

            return 0;
        });
        return command;
    }
}
