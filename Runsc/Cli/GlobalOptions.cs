using System;
using System.Collections.Generic;
using System.CommandLine;
using System.IO;
using Runsc.Common;
using Runsc.Config;
using Runsc.Container.Namespaces;
using Runsc.Host.Processes;

namespace Runsc.Cli;

/// <summary>Flags before the command. Those that are not given come from the configuration file, then from the defaults.</summary>
internal static class GlobalOptions
{
    private static readonly Option<string> s_config = new("--config") { Description = $"configuration file in TOML (default {RunscConfig.DefaultFile})", HelpName = "FILE" };

    private static readonly Option[] s_settings =
    [
        Text("--root", "directory for the state of containers", "DIR"),
        Text("--log", "file to which errors are appended, a line of JSON each", "FILE"),
        Words("--log-format", "format of the log", "text", "json"),
        Switch("--debug", "log what the sandbox does"),
        Text("--debug-log", "file for debug lines, or directory if it ends with a slash; %ID% and %COMMAND% are replaced", "PATH"),
        Switch("--strace", "log the application's system calls"),
        Text("--strace-syscalls", "only these calls, with commas between", "NAMES"),
        Switch("--log-packets", "log the packets of the sandbox's interfaces, a line each"),
        Text("--pcap-log", "file for the packets of the sandbox's interfaces, for tcpdump; %ID% is replaced", "FILE"),
        Words("--platform", "how application code is run: by virtualization, or, without /dev/kvm, by trapping its system calls", "kvm", "systrap"),
        Words("--network", "network of the container: its namespace's interfaces on our own TCP/IP (the default), loopback only, or the host's sockets", "sandbox", "none", "host"),
        Words("--file-access", "who else changes the root's files: nobody, or others on the host", "exclusive", "shared"),
        Words("--overlay2", "where changes of files go", "none", "root:memory", "all:memory", "root:self", "all:self"),
        Switch("--ignore-cgroups", "do not use control groups"),
        Switch("--rootless", "for users other than root"),
        Switch("--systemd-cgroup", "linux.cgroupsPath is SLICE:PREFIX:NAME"),
        Switch("--allow-flag-override", "annotations dev.gvisor.flag.* may set any flag"),
    ];

    /// <summary>What callers of other runtimes pass and has no meaning here.</summary>
    private static readonly Option[] s_ignored = [Text("--criu", "accepted and ignored", "PATH")];

    public static void AddTo(RootCommand root)
    {
        root.Add(s_config);
        foreach (Option option in s_settings)
        {
            root.Add(option);
        }

        foreach (Option option in s_ignored)
        {
            option.Hidden = true;
            root.Add(option);
        }
    }

    /// <summary>The file of --log, also when the rest of the line is wrong.</summary>
    public static string? LogFile(IReadOnlyList<string> arguments)
    {
        for (int i = 0; i < arguments.Count && arguments[i].StartsWith('-'); i++)
        {
            string flag = arguments[i].TrimStart('-');
            if (flag.StartsWith("log=", StringComparison.Ordinal))
            {
                return flag[4..];
            }

            if (flag == "log" && i + 1 < arguments.Count)
            {
                return arguments[i + 1];
            }

            // A flag without an equals sign takes the next word, unless it is a switch.
            bool takesNext = !flag.Contains('=', StringComparison.Ordinal) && Array.Exists(s_settings, option => option.Name[2..] == flag && option.ValueType != typeof(bool));
            i += takesNext || flag == "config" ? 1 : 0;
        }

        return null;
    }

    /// <summary>Shims ask for errors in JSON, people do not.</summary>
    public static bool IsCalledByShim(ParseResult result)
    {
        RunscConfig config = Read(result);
        return config.LogFormat == "json" && config.Log is not null;
    }

    /// <exception cref="RunscException">A value is not one, or the file cannot be read.</exception>
    public static RunscConfig Read(ParseResult result)
    {
        RunscConfig config = new() { Root = DefaultRoot() };
        string? file = result.GetValue(s_config);
        foreach ((string name, string value) in RunscConfig.ReadFile(file))
        {
            ConfigValues.Set(config, name, value, file ?? RunscConfig.DefaultFile);
        }

        foreach (Option option in s_settings)
        {
            if (result.GetResult(option) is { Tokens.Count: > 0 } given)
            {
                ConfigValues.Set(config, option.Name[2..], given.Tokens[^1].Value, "");
            }
        }

        config.Root = Path.GetFullPath(config.Root);
        config.Check();
        return config;
    }

    private static string DefaultRoot()
    {
        string? own = Environment.GetEnvironmentVariable("XDG_RUNTIME_DIR");
        return RootlessIds.IsHostRoot() ? new RunscConfig().Root
            : !string.IsNullOrEmpty(own) ? Path.Combine(own, "runsc")
            : $"/tmp/runsc-{HostProcess.EffectiveUser}";
    }

    private static Option<string> Text(string name, string description, string help) => new(name) { Description = description, HelpName = help };

    private static Option<bool> Switch(string name, string description) => new(name) { Description = description };

    // The values are checked with the file's; here they serve help and completion.
    private static Option<string> Words(string name, string description, params string[] words)
    {
        Option<string> option = new(name) { Description = description, HelpName = string.Join('|', words) };
        option.CompletionSources.Add(words);
        return option;
    }
}
