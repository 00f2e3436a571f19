using System;
using System.Collections.Generic;
using System.CommandLine;
using System.IO;
using System.Text.Json;
using Runsc.Config;
using Runsc.Container;
using Runsc.Host.Syscalls;
using Runsc.Oci;

namespace Runsc.Cli;

/// <summary>do: a command in a throw-away sandbox over the host's root, of which it changes nothing.</summary>
internal static class DoCommand
{
    public static Command Make()
    {
        Argument<string[]> words = new("COMMAND") { Description = "program and its arguments", Arity = ArgumentArity.OneOrMore };
        Option<string> root = new("--root") { Description = "directory that becomes the root (default /)", HelpName = "DIR" };
        Option<string> cwd = new("--cwd") { Description = "working directory inside (default: the current one)", HelpName = "DIR" };
        Command command = new("do", "run a command in a sandbox over the host's files") { words, root, cwd };
        Commands.AddIgnored(command, ["--quiet", "--force-overlay"], ["--ip"]);
        command.SetAction(result =>
        {
            RunscConfig config = GlobalOptions.Read(result);
            config.Overlay2 = "root:memory";
            string id = $"runsc-do-{Guid.NewGuid():N}"[..18];
            string top = Path.GetFullPath(result.GetValue(root) ?? "/");
            Spec spec = DefaultSpec.Create([.. result.GetRequiredValue(words)], top, readOnly: false, terminal: HostTerminal.IsTerminal(0) && HostTerminal.IsTerminal(1));
            spec.Process!.Cwd = result.GetValue(cwd) ?? (top == "/" ? Directory.GetCurrentDirectory() : "/");
            spec.Process.Env = Environment();
            List<string> all = CapabilityNames.All;
            spec.Process.Capabilities = new CapabilitiesSpec { Bounding = all, Effective = all, Permitted = all };
            spec.Process.NoNewPrivileges = false;
            spec.Hostname = "runsc-do";
            if (config.Network == "host")
            {
                spec.Linux!.Namespaces!.RemoveAll(space => space.Type == "network");
            }

            string bundle = Directory.CreateTempSubdirectory("runsc-do-").FullName;
            try
            {
                // exec reads it.
                File.WriteAllBytes(Path.Combine(bundle, "config.json"), JsonSerializer.SerializeToUtf8Bytes(spec, SpecJson.Default.Spec));
                return new Launch(new ContainerManager(config)) { Id = id, Bundle = bundle, Spec = spec }.RunAttached(keep: false);
            }
            finally
            {
                Directory.Delete(bundle, recursive: true);
            }
        });
        return command;
    }

    private static List<string> Environment()
    {
        List<string> environment = [];
        foreach (System.Collections.DictionaryEntry variable in System.Environment.GetEnvironmentVariables())
        {
            environment.Add($"{variable.Key}={variable.Value}");
        }

        return environment;
    }
}
