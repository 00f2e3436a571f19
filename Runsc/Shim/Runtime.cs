using System;
using System.Collections;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Text;
using System.Text.Json;
using System.Threading;
using System.Threading.Tasks;
using Runsc.Common;
using Runsc.Host.Processes;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.Shim.Rpc;

namespace Runsc.Shim;

/// <summary>A line of the runtime's log, as far as it is read.</summary>
internal sealed class LogLine
{
    [System.Text.Json.Serialization.JsonPropertyName("level")]
    public string Level { get; set; } = "";

    [System.Text.Json.Serialization.JsonPropertyName("msg")]
    public string Msg { get; set; } = "";
}

/// <summary>
/// The runtime, called as a command. A process for each step, rather than calls within the shim, since a shim lives as long as a pod and serves several
/// requests at once: a command that fails or is killed takes nothing along, descriptors of one container cannot reach another's processes, and
/// what an operator does by hand with `runsc` is exactly what the shim does.
/// </summary>
internal sealed class Runtime(Reaper reaper, ShimOptions options, string ns, string bundle)
{
    private static int s_logs;

    private readonly string _binary = options.BinaryName.Length > 0 ? Find(options.BinaryName) : Environment.ProcessPath!;

    /// <summary>Is it this program (under whatever path), and not another runtime with the same commands?</summary>
    public bool IsOwn { get; } = options.BinaryName.Length == 0 || Path.GetFileName(options.BinaryName).StartsWith("runsc", StringComparison.Ordinal);

    /// <summary>Where the runtime keeps the state of this namespace's containers.</summary>
    public string StateRoot { get; } = Path.Combine(options.Root, ns);

    /// <summary>Runs a command to its end; its standard output. Standard input comes from text, or is empty.</summary>
    /// <exception cref="RpcException">It has failed; the message is the runtime's.</exception>
    public string Run(IReadOnlyList<string> command, string? input = null)
    {
        int output = Memory(), given = Memory();
        try
        {
            byte[] bytes = Encoding.UTF8.GetBytes(input ?? "");
            if (bytes.Length > 0 && HostFile.PWrite(given, bytes, 0) != bytes.Length)
            {
                throw new RunscException("cannot pass the input of the runtime");
            }

            Run(command, given, output, Null(), true);
            return ReadAll(output);
        }
        finally
        {
            _ = HostFile.Close(output);
            _ = HostFile.Close(given);
        }
    }

    /// <summary>Runs a command with these standard descriptors, which stay the caller's, to its end.</summary>
    public void Run(IReadOnlyList<string> command, int input, int output, int error) => Run(command, input, output, error, false);

    private void Run(IReadOnlyList<string> command, int input, int output, int error, bool closeError)
    {
        string log = Path.Combine(bundle, $"log.{Interlocked.Increment(ref s_logs)}.json");
        try
        {
            int status = Begin(command, log, input, output, error).GetAwaiter().GetResult();
            if (status != 0)
            {
                string message = LastError(log) ?? ((status & 0x7f) != 0 ? $"killed by signal {status & 0x7f}" : $"exit status {status >> 8}");
                throw RuntimeProblem.Describe(command[0], message);
            }
        }
        finally
        {
            if (closeError)
            {
                _ = HostFile.Close(error);
            }

            File.Delete(log);
        }
    }

    private Task<int> Begin(IReadOnlyList<string> command, string log, int input, int output, int error)
    {
        List<string> arguments = [_binary, "--root", StateRoot, "--log", log, "--log-format", "json"];
        if (options.SystemdCgroup)
        {
            arguments.Add("--systemd-cgroup");
        }

        foreach ((string name, string value) in options.Flags)
        {
            arguments.Add($"--{name}={value}");
        }

        arguments.AddRange(command);
        int process = reaper.Spawn(() => HostProcess.Spawn(_binary, arguments, OwnEnvironment(), input, output, error), out Task<int> ended);
        Log.Debug($"{string.Join(' ', arguments)}: process {process}");
        return process > 0 ? ended : throw new RunscException($"cannot start {_binary}: errno {-process}");
    }

    /// <summary>This process's environment, for programs that it starts.</summary>
    public static List<string> OwnEnvironment()
    {
        List<string> environment = [];
        foreach (DictionaryEntry variable in Environment.GetEnvironmentVariables())
        {
            environment.Add($"{variable.Key}={variable.Value}");
        }

        return environment;
    }

    private static string Find(string name)
    {
        if (name.Contains('/', StringComparison.Ordinal))
        {
            return name;
        }

        foreach (string directory in (Environment.GetEnvironmentVariable("PATH") ?? "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin").Split(':'))
        {
            if (directory.Length > 0 && File.Exists(Path.Combine(directory, name)))
            {
                return Path.Combine(directory, name);
            }
        }

        throw new RunscException($"{name}: executable file not found in $PATH");
    }

    /// <summary>The message of the last error of a log.</summary>
    internal static string? LastError(string log)
    {
        string? message = null;
        try
        {
            foreach (string line in File.ReadLines(log))
            {
                if (line.StartsWith('{') && JsonSerializer.Deserialize(line, ShimJson.Default.LogLine) is { Level: "error" or "fatal" } entry)
                {
                    message = entry.Msg;
                }
            }
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or JsonException)
        {
            Log.Debug($"{log}: {error.Message}");
        }

        return message;
    }

    private static int Memory()
    {
        int fd = HostMemory.CreateFile("runsc-shim\0"u8, Mman.MFD_CLOEXEC);
        return fd >= 0 ? fd : throw new RunscException($"memfd: errno {-fd}");
    }

    private static int Null()
    {
        int fd = HostFile.OpenAt(Fcntl.AT_FDCWD, "/dev/null\0"u8, Fcntl.O_RDWR | Fcntl.O_CLOEXEC);
        return fd >= 0 ? fd : throw new RunscException($"/dev/null: errno {-fd}");
    }

    private static string ReadAll(int file)
    {
        StringBuilder text = new();
        byte[] buffer = new byte[16 << 10];
        Decoder decoder = Encoding.UTF8.GetDecoder();
        char[] characters = new char[buffer.Length];
        for (long at = 0, n; (n = HostFile.PRead(file, buffer, at)) > 0; at += n)
        {
            text.Append(characters, 0, decoder.GetChars(buffer, 0, (int)n, characters, 0));
        }

        return text.ToString();
    }

    /// <summary>The number in a pid file.</summary>
    public static int ReadPid(string file)
    {
        try
        {
            return int.Parse(File.ReadAllText(file).AsSpan().Trim(), NumberStyles.None, CultureInfo.InvariantCulture);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or FormatException or OverflowException)
        {
            throw new RunscException($"{file}: {error.Message}");
        }
    }
}
