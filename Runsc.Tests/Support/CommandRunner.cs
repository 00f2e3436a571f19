using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Text;
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

    /// <summary>For the last output of a program that was killed.</summary>
    private static readonly TimeSpan s_rest = TimeSpan.FromSeconds(5);

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
        Reader output = new(process.StandardOutput), error = new(process.StandardError);
        Task writing = Feed(process, input);
        if (!process.WaitForExit(s_hang))
        {
            process.Kill(entireProcessTree: true);
            output.Await(s_rest);
            error.Await(s_rest);
            throw new TimeoutException($"{program} {string.Join(' ', arguments)} hangs; its output so far:\n{output.Text}\n{error.Text}");
        }

        if (!output.Await(s_hang) || !error.Await(s_hang) || !writing.Wait(s_hang))
        {
            throw new TimeoutException($"{program} {string.Join(' ', arguments)} ended, but something it left keeps its output open; so far:\n{output.Text}\n{error.Text}");
        }

        return new CommandResult(process.ExitCode, output.Text, error.Text);
    }

    private static async Task Feed(Process process, string? input)
    {
        try
        {
            if (input is not null)
            {
                await process.StandardInput.WriteAsync(input);
            }

            process.StandardInput.Close();
        }
        catch (IOException)
        {
            // The program ended, or closed its input, before it read all.
        }
    }

    /// <summary>Takes what a program writes as it comes, so that it is there when the program hangs.</summary>
    private sealed class Reader
    {
        private readonly StringBuilder _text = new();
        private readonly Task _task;

        public Reader(StreamReader stream) => _task = ReadAsync(stream);

        public string Text
        {
            get
            {
                lock (_text)
                {
                    return _text.ToString();
                }
            }
        }

        public bool Await(TimeSpan limit) => _task.Wait(limit);

        private async Task ReadAsync(StreamReader stream)
        {
            char[] buffer = new char[4096];
            int count;
            while ((count = await stream.ReadAsync(buffer)) > 0)
            {
                lock (_text)
                {
                    _text.Append(buffer, 0, count);
                }
            }
        }
    }

    /// <summary>Runs a shell command on the host and expects success.</summary>
    public static string Shell(string command)
    {
        CommandResult result = Run("/bin/sh", ["-c", command]);
        return result.Status == 0 ? result.Output : throw new InvalidOperationException($"{command}: {result}");
    }
}
