using System;
using System.Collections.Generic;
using System.IO;
using System.Threading;
using System.Threading.Tasks;
using Runsc.Tests.Support;
using Xunit;

namespace Runsc.Tests.Runtime;

/// <summary>What people do with ctr, with any runtime behind the shim. Names of containers are unique within a class.</summary>
/// <param name="containerd">The daemon.</param>
/// <param name="name">Of the runtime.</param>
/// <param name="options">The shim's, in TOML.</param>
public abstract class ShimScenarios(ContainerdFixture containerd, string name, string options)
{
    private const string Loop = "trap 'exit 3' TERM; echo ready; while :; do sleep 0.1; done";

    private List<string> With(string command, params string[] arguments) =>
        [command, "--runtime", "io.containerd.runsc.v1", "--runtime-config-path", containerd.Options(name, options), "--snapshotter", "native", .. arguments];

    private CommandResult Run(string id, string script, string? input = null) =>
        containerd.Ctr(With("run", "--rm", ContainerdFixture.Image, $"{name}-{id}", "/bin/sh", "-c", script), input);

    private string Detached(string id, string script)
    {
        CommandResult result = containerd.Ctr(With("run", "--detach", ContainerdFixture.Image, $"{name}-{id}", "/bin/sh", "-c", script));
        Assert.True(result.Status == 0, $"{result}\n{containerd.Log}");
        return $"{name}-{id}";
    }

    private string StatusOf(string id)
    {
        foreach (string line in containerd.Ctr(["task", "list"]).Output.Split('\n'))
        {
            string[] columns = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (columns.Length == 3 && columns[0] == id)
            {
                return columns[2];
            }
        }

        return "none";
    }

    private void Await(string id, string status)
    {
        string seen = "";
        for (int i = 0; i < 300 && (seen = StatusOf(id)) != status; i++)
        {
            Thread.Sleep(100);
        }

        Assert.Equal(status, seen);
    }

    private void Remove(string id)
    {
        containerd.Ctr(["task", "kill", "--signal", "KILL", id]);
        Await(id, "STOPPED");
        Assert.Equal(0, containerd.Ctr(["task", "delete", id]).Status);
        CommandResult deleted = containerd.Ctr(["container", "delete", id]);
        Assert.True(deleted.Status == 0, deleted.ToString());
        Assert.False(Directory.Exists(Path.Combine(containerd.StateDirectory, "default", id)), $"the state of {id} is left");
    }

    protected void OutputAndStatusCore()
    {
        CommandResult result = Run("output", "echo to output; echo to error >&2; exit 7");
        Assert.True(result is { Status: 7, Output: "to output\n", Error: "to error\n" }, $"{result}\n{containerd.Log}");
    }

    protected void StandardInputCore()
    {
        string text = string.Join('\n', System.Linq.Enumerable.Range(0, 20_000)) + "\n";

        // ctr closes the input of its exec at the end of its own, but not that of its run.
        CommandResult result = Run("input", $"head -c {text.Length}", text);
        Assert.True(result.Status == 0 && result.Output == text, $"status {result.Status}, {result.Output.Length} of {text.Length} characters: {result.Error}");
    }

    protected void ProgramNotThereCore()
    {
        CommandResult result = containerd.Ctr(With("run", "--rm", ContainerdFixture.Image, $"{name}-nothing", "/bin/not-there"));
        Assert.Equal(1, result.Status);
        Assert.Contains("no such file or directory", result.Error, StringComparison.Ordinal);
        Assert.DoesNotContain($"{name}-nothing", containerd.Ctr(["task", "list"]).Output, StringComparison.Ordinal);
        containerd.Ctr(["container", "delete", $"{name}-nothing"]);
    }

    protected void ExecCore()
    {
        string id = Detached("exec", Loop);
        CommandResult first = containerd.Ctr(["task", "exec", "--exec-id", "one", id, "/bin/sh", "-c", "echo inside; exit 5"]);
        Assert.True(first is { Status: 5, Output: "inside\n" }, $"{first}\n{containerd.Log}");
        CommandResult piped = containerd.Ctr(["task", "exec", "--exec-id", "two", id, "cat"], "through\n");
        Assert.True(piped is { Status: 0, Output: "through\n" }, piped.ToString());
        CommandResult missing = containerd.Ctr(["task", "exec", "--exec-id", "three", id, "/bin/not-there"]);
        Assert.NotEqual(0, missing.Status);
        Assert.Contains("no such file or directory", missing.Error, StringComparison.Ordinal);
        Assert.Equal("RUNNING", StatusOf(id));
        Remove(id);
    }

    protected void ExecKilledCore()
    {
        string id = Detached("killed", Loop);
        Task<CommandResult> waiting = Task.Run(() => containerd.Ctr(["task", "exec", "--exec-id", "sleeper", id, "/bin/sh", "-c", "sleep 1000"]));
        CommandResult killed = new(1, "", "");
        for (int i = 0; i < 300 && killed.Status != 0; i++)
        {
            Thread.Sleep(100);
            killed = containerd.Ctr(["task", "kill", "--exec-id", "sleeper", "--signal", "KILL", id]);
        }

        Assert.True(killed.Status == 0, killed.ToString());
        Assert.Equal(137, waiting.Result.Status);
        Assert.Equal("RUNNING", StatusOf(id));
        Remove(id);
    }

    protected void TerminalCore()
    {
        // script(1) gives ctr a terminal.
        string run = $"ctr --address {Path.GetDirectoryName(containerd.StateDirectory)}/containerd.sock {string.Join(' ', With("run", "--rm", "--tty", ContainerdFixture.Image, $"{name}-terminal"))}";
        CommandResult result = CommandRunner.Run("script", ["-qec", $"stty rows 33 cols 99; {run} /bin/sh -c 'sleep 1; stty size; test -t 0 && echo terminal'", "/dev/null"]);
        Assert.True(result.Output.Contains("33 99", StringComparison.Ordinal) && result.Output.Contains("terminal", StringComparison.Ordinal), $"{result}\n{containerd.Log}");
    }

    protected void PauseCore()
    {
        string id = Detached("pause", Loop);
        Assert.Equal(0, containerd.Ctr(["task", "pause", id]).Status);
        Assert.Equal("PAUSED", StatusOf(id));
        Assert.Equal(0, containerd.Ctr(["task", "resume", id]).Status);
        Assert.Equal("RUNNING", StatusOf(id));
        Remove(id);
    }

    protected void SignalsCore()
    {
        string id = Detached("signals", Loop);
        Await(id, "RUNNING");
        CommandResult running = containerd.Ctr(["task", "delete", id]);
        Assert.NotEqual(0, running.Status);
        Assert.Equal("RUNNING", StatusOf(id));
        Thread.Sleep(500);
        Assert.Equal(0, containerd.Ctr(["task", "kill", "--signal", "TERM", id]).Status);
        Await(id, "STOPPED");
        Assert.Contains("exit code 3", containerd.Ctr(["task", "delete", id]).Error, StringComparison.Ordinal);
        Assert.Equal(0, containerd.Ctr(["container", "delete", id]).Status);
    }

    protected void ProcessesAndMetricsCore()
    {
        string id = Detached("processes", Loop);
        CommandResult processes = containerd.Ctr(["task", "ps", id]);
        Assert.True(processes.Status == 0 && processes.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Length >= 2, processes.ToString());
        CommandResult metrics = containerd.Ctr(["task", "metrics", id]);
        Assert.True(metrics.Status == 0, $"{metrics}\n{containerd.Log}");
        Assert.Contains(id, metrics.Output, StringComparison.Ordinal);
        Remove(id);
    }

    protected void ContainerdRestartedCore()
    {
        string id = Detached("restart", Loop);
        containerd.Kill();
        containerd.Start();
        Assert.Equal("RUNNING", StatusOf(id));
        CommandResult exec = containerd.Ctr(["task", "exec", "--exec-id", "after", id, "/bin/sh", "-c", "echo again; exit 2"]);
        Assert.True(exec is { Status: 2, Output: "again\n" }, $"{exec}\n{containerd.Log}");
        containerd.Kill();
        Thread.Sleep(300);
        containerd.Start();
        Remove(id);
    }

    protected void ShimKilledCore()
    {
        string id = Detached("shim", Loop);
        string bundle = $"{Path.GetDirectoryName(containerd.StateDirectory)}/state/io.containerd.runtime.v2.task/default/{id}";
        string socket = File.ReadAllText(bundle + "/address")["unix://".Length..];
        int process = Assert.Single(ProcessesWith($"\0-socket\0{socket}\0"));
        CommandRunner.Shell($"kill -KILL {process}");
        for (int i = 0; i < 300 && Directory.Exists(bundle); i++)
        {
            Thread.Sleep(100);
        }

        Assert.False(Directory.Exists(bundle), $"the bundle is left: {containerd.Log}");
        Assert.False(File.Exists(socket), "the shim's socket is left");
        Assert.False(Directory.Exists(Path.Combine(containerd.StateDirectory, "default", id)), "the state is left");
        Assert.DoesNotContain(bundle, File.ReadAllText("/proc/self/mountinfo"), StringComparison.Ordinal);
        containerd.Ctr(["task", "delete", "--force", id]);
        Assert.Equal(0, containerd.Ctr(["container", "delete", id]).Status);
    }

    private static List<int> ProcessesWith(string words)
    {
        List<int> found = [];
        foreach (string directory in Directory.EnumerateDirectories("/proc"))
        {
            try
            {
                if (int.TryParse(Path.GetFileName(directory), out int process) && File.ReadAllText(directory + "/cmdline").Contains(words, StringComparison.Ordinal))
                {
                    found.Add(process);
                }
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                // It has just ended.
            }
        }

        return found;
    }

    protected void OutputToAFileCore()
    {
        string log = Path.Combine(containerd.StateDirectory, "..", $"{name}.log");
        CommandResult result = containerd.Ctr(With("run", "--detach", "--log-uri", $"file://{Path.GetFullPath(log)}", ContainerdFixture.Image, $"{name}-log", "/bin/sh", "-c", "echo into the file; sleep 1000"));
        Assert.True(result.Status == 0, $"{result}\n{containerd.Log}");
        for (int i = 0; i < 300 && (!File.Exists(log) || new FileInfo(log).Length == 0); i++)
        {
            Thread.Sleep(100);
        }

        Assert.Equal("into the file\n", File.ReadAllText(log));
        Remove($"{name}-log");
    }

    /// <summary>Containers of a pod, by the annotations of the CRI: one shim, a status for each.</summary>
    protected void PodCore()
    {
        string pod = $"{name}-pod";
        List<string> Member(string type, bool detach, string member, string script)
        {
            List<string> words = With("run", "--annotation", $"io.kubernetes.cri.container-type={type}", "--annotation", $"io.kubernetes.cri.sandbox-id={pod}", detach ? "--detach" : "--rm");
            words.AddRange([ContainerdFixture.Image, member, "/bin/sh", "-c", script]);
            return words;
        }

        CommandResult first = containerd.Ctr(Member("sandbox", true, pod, Loop));
        Assert.True(first.Status == 0, $"{first}\n{containerd.Log}");
        CommandResult second = containerd.Ctr(Member("container", true, pod + "-2", Loop));
        Assert.True(second.Status == 0, $"{second}\n{containerd.Log}");
        CommandResult third = containerd.Ctr(Member("container", false, pod + "-3", "echo third; exit 6"));
        Assert.True(third is { Status: 6, Output: "third\n" }, $"{third}\n{containerd.Log}");
        string states = $"{Path.GetDirectoryName(containerd.StateDirectory)}/state/io.containerd.runtime.v2.task/default";
        Assert.Equal(File.ReadAllText($"{states}/{pod}/address"), File.ReadAllText($"{states}/{pod}-2/address"));
        CommandResult exec = containerd.Ctr(["task", "exec", "--exec-id", "one", pod + "-2", "/bin/sh", "-c", "echo in two; exit 2"]);
        Assert.True(exec is { Status: 2, Output: "in two\n" }, $"{exec}\n{containerd.Log}");
        Thread.Sleep(500);
        Assert.Equal(0, containerd.Ctr(["task", "kill", "--signal", "TERM", pod + "-2"]).Status);
        Await(pod + "-2", "STOPPED");
        Assert.Equal("RUNNING", StatusOf(pod));
        Assert.Contains("exit code 3", containerd.Ctr(["task", "delete", pod + "-2"]).Error, StringComparison.Ordinal);
        Assert.Equal(0, containerd.Ctr(["container", "delete", pod + "-2"]).Status);
        Remove(pod);
    }

    protected void EventsCore()
    {
        using System.Diagnostics.Process listener = new()
        {
            StartInfo = new System.Diagnostics.ProcessStartInfo("ctr", ["--address", $"{Path.GetDirectoryName(containerd.StateDirectory)}/containerd.sock", "events"]) { RedirectStandardOutput = true },
        };
        List<string> lines = [];
        listener.OutputDataReceived += (_, line) =>
        {
            lock (lines)
            {
                lines.Add(line.Data ?? "");
            }
        };
        listener.Start();
        listener.BeginOutputReadLine();
        string id = $"{name}-events";
        List<string> topics = [];
        for (int i = 0; i < 10 && !topics.Contains("/tasks/delete"); i++)
        {
            Thread.Sleep(300);
            lock (lines)
            {
                lines.Clear();
            }

            Run("events", "exit 9");
            Thread.Sleep(300);
            lock (lines)
            {
                topics = [.. System.Linq.Enumerable.Select(System.Linq.Enumerable.Where(lines, line => line.Contains(id, StringComparison.Ordinal) && line.Contains("/tasks/", StringComparison.Ordinal)),
                    line => System.Linq.Enumerable.First(line.Split(' '), word => word.StartsWith("/tasks/", StringComparison.Ordinal)))];
            }
        }

        listener.Kill();
        Assert.Equal(["/tasks/create", "/tasks/start", "/tasks/exit", "/tasks/delete"], topics);
    }
}
