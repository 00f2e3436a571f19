using System;
using System.CommandLine;
using System.IO;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Runsc.Common;

namespace Runsc.Cli;

/// <summary>install, uninstall: this binary's entry in the Docker daemon's configuration. Everything else in the file stays as it is.</summary>
internal static class InstallCommand
{
    public static Command MakeInstall()
    {
        Option<string> file = File(), runtime = Runtime(), driver = new("--cgroupdriver") { Description = "native.cgroupdriver of exec-opts", HelpName = "cgroupfs|systemd" };
        Option<bool> experimental = new("--experimental") { Description = "switch the daemon's experimental features on" };
        Option<bool> clobber = new("--clobber") { Description = "replace an entry that is there (default true)", DefaultValueFactory = _ => true };
        Argument<string[]> arguments = new("ARGUMENTS") { Description = "flags for the runtime, after --", Arity = ArgumentArity.ZeroOrMore };
        Command command = new("install", "add this binary to the Docker daemon's runtimes") { file, runtime, driver, experimental, clobber, arguments };
        command.SetAction(result =>
        {
            string path = PathOf(result, file), name = result.GetValue(runtime) ?? "runsc";
            JsonObject root = Read(path);
            JsonObject runtimes = Child(path, root, "runtimes");
            if (runtimes.ContainsKey(name) && !result.GetValue(clobber))
            {
                throw new RunscException($"{path}: runtime \"{name}\" is there already");
            }

            JsonObject entry = new() { ["path"] = Environment.ProcessPath ?? throw new RunscException("cannot find the path of this program") };
            JsonArray list = [];
            foreach (string argument in result.GetValue(arguments) ?? [])
            {
                list.Add((JsonNode?)argument);
            }

            if (list.Count > 0)
            {
                entry["runtimeArgs"] = list;
            }

            runtimes[name] = entry;
            if (result.GetValue(experimental))
            {
                root["experimental"] = true;
            }

            if (result.GetValue(driver) is string wanted)
            {
                SetDriver(path, root, wanted);
            }

            Write(path, root);
            Console.Out.WriteLine($"added runtime \"{name}\" to {path}; the daemon must be reloaded");
            return 0;
        });
        return command;
    }

    public static Command MakeUninstall()
    {
        Option<string> file = File(), runtime = Runtime();
        Command command = new("uninstall", "remove this binary from the Docker daemon's runtimes") { file, runtime };
        command.SetAction(result =>
        {
            string path = PathOf(result, file), name = result.GetValue(runtime) ?? "runsc";
            JsonObject root = Read(path);
            JsonObject runtimes = Child(path, root, "runtimes");
            if (!runtimes.Remove(name))
            {
                throw new RunscException($"{path}: there is no runtime \"{name}\"");
            }

            if (runtimes.Count == 0)
            {
                root.Remove("runtimes");
            }

            Write(path, root);
            Console.Out.WriteLine($"removed runtime \"{name}\" from {path}; the daemon must be reloaded");
            return 0;
        });
        return command;
    }

    private static Option<string> File()
    {
        Option<string> file = new("--config_file") { Description = "the daemon's configuration (default /etc/docker/daemon.json)", HelpName = "FILE" };
        file.Aliases.Add("--config-file");
        return file;
    }

    private static Option<string> Runtime() => new("--runtime") { Description = "name of the entry (default runsc)", HelpName = "NAME" };

    private static string PathOf(ParseResult result, Option<string> file) => Path.GetFullPath(result.GetValue(file) ?? "/etc/docker/daemon.json");

    private static JsonObject Read(string path)
    {
        try
        {
            string text = System.IO.File.Exists(path) ? System.IO.File.ReadAllText(path) : "";
            return text.Trim().Length == 0 ? [] : JsonNode.Parse(text) as JsonObject ?? throw new RunscException($"{path}: is not an object");
        }
        catch (JsonException error)
        {
            throw new RunscException($"{path}: is not valid JSON (line {(error.LineNumber ?? 0) + 1})");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new RunscException($"cannot read {path}: {error.Message}");
        }
    }

    private static JsonObject Child(string path, JsonObject root, string name)
    {
        if (root[name] is null)
        {
            root[name] = new JsonObject();
        }

        return root[name] as JsonObject ?? throw new RunscException($"{path}: {name} is not an object");
    }

    private static void SetDriver(string path, JsonObject root, string driver)
    {
        if (driver is not ("cgroupfs" or "systemd"))
        {
            throw new RunscException($"install: --cgroupdriver: \"{driver}\" is not cgroupfs or systemd");
        }

        const string key = "native.cgroupdriver=";
        if (root["exec-opts"] is null)
        {
            root["exec-opts"] = new JsonArray();
        }

        JsonArray options = root["exec-opts"] as JsonArray ?? throw new RunscException($"{path}: exec-opts is not a list");
        for (int i = options.Count - 1; i >= 0; i--)
        {
            if (options[i]?.GetValueKind() == JsonValueKind.String && options[i]!.GetValue<string>().StartsWith(key, StringComparison.Ordinal))
            {
                options.RemoveAt(i);
            }
        }

        options.Add((JsonNode?)(key + driver));
    }

    /// <summary>In one step, the old content beside it under the name with a tilde.</summary>
    private static void Write(string path, JsonObject root)
    {
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            string text = root.ToJsonString(new JsonSerializerOptions { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, TypeInfoResolver = JsonNodeTypes.Default }) + "\n";
            if (System.IO.File.Exists(path))
            {
                if (System.IO.File.ReadAllText(path) == text)
                {
                    return;
                }

                System.IO.File.Copy(path, path + "~", overwrite: true);
            }

            string temporary = path + ".new";
            System.IO.File.WriteAllText(temporary, text);
            System.IO.File.SetUnixFileMode(temporary, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead);
            System.IO.File.Move(temporary, path, overwrite: true);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new RunscException($"cannot write {path}: {error.Message}");
        }
    }
}

[System.Text.Json.Serialization.JsonSerializable(typeof(JsonObject))]
[System.Text.Json.Serialization.JsonSerializable(typeof(string))]
[System.Text.Json.Serialization.JsonSerializable(typeof(bool))]
internal sealed partial class JsonNodeTypes : System.Text.Json.Serialization.JsonSerializerContext;
