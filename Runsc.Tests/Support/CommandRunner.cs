using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Threading.Tasks;

namespace Runsc.Tests.Support;

/// <summary>What a command left: its status as a shell shows it, and its output.</summary>
internal sealed record CommandResult(int Status, string Output, string Error)
{
    public override string ToString() => $"status {Status}\n--- stdout\n{Output}\n--- stderr\n{Error}";
}

internal static class CommandRunner
{
    /// <summary>A command still running then hangs: it is killed, and the test fails with what it wrote until then.</summary>
    private static readonly TimeSpan s_hang = TimeSpan.FromMinutes(5);

    public static CommandResult Run(string program, IEnumerable<string> arguments, string? input = null, string? directory = null)
    {
        ProcessStartInfo start = new(program)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = directory ?? "/",
        };
        foreach (string argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        using Process process = Process.Start(start) ?? throw new InvalidOperationException($"cannot start {program}");
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        Task<string> error = process.StandardError.ReadToEndAsync();
        if (input is not null)
        {
            process.StandardInput.Write(input);
        }

        process.StandardInput.Close();
        if (!process.WaitForExit(s_hang))
        {
            process.Kill(entireProcessTree: true);
            throw new TimeoutException($"{program} {string.Join(' ', arguments)} hangs; its output so far:\n{output.Result}\n{error.Result}");
        }

        return new CommandResult(process.ExitCode, output.Result, error.Result);
    }

    /// <summary>Runs a shell command on the host and expects success.</summary>
    public static string Shell(string command)
    {
        CommandResult result = Run("/bin/sh", ["-c", command]);
        return result.Status == 0 ? result.Output : throw new InvalidOperationException($"{command}: {result}");
    }
}
