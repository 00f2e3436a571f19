using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text.Json.Nodes;
using Runsc.Tests.Support;
using Xunit;

namespace Runsc.Tests.Docker;

/// <summary>A test with a Docker daemon.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class DockerFactAttribute : FactAttribute
{
    public DockerFactAttribute() => Skip = DockerEngine.Missing;
}

/// <summary>What people do with Docker every day.</summary>
[Collection("sandbox")]
public sealed class DockerTests(DockerEngine engine) : IClassFixture<DockerEngine>
{
    private static string Name() => "c" + Guid.NewGuid().ToString("N")[..12];

    private static void Check(CommandResult result, int status, string output)
    {
        Assert.True(result.Status == status, result.ToString());
        Assert.Equal(output, result.Output);
    }

    [DockerFact]
    public void Run_OutputAndStatus()
    {
        Check(engine.Run([], "echo", "hello"), 0, "hello\n");
        Check(engine.Run([], "sh", "-c", "echo out; echo err >&2; exit 7"), 7, "out\n");
        Check(engine.Run([], "sh", "-c", "sh -c 'kill -9 $$'; exit $?"), 137, "");
        Assert.Equal(127, engine.Run([], "no-such-program").Status);
        Assert.Equal(127, engine.Run([], "/no/such/program").Status);
        Assert.Equal(126, engine.Run([], "/bin/data").Status);
        Assert.Contains("runsc", engine.Run([], "uname", "-r").Output, StringComparison.Ordinal);
    }

    [DockerFact]
    public void Run_ReadsStandardInput()
    {
        CommandResult result = CommandRunner.Run("/bin/sh", ["-c", $"seq 1000 | docker --host {engine.Host} run -i --rm --network=none bb wc -l"]);
        Check(result, 0, "1000\n");
    }

    [DockerFact]
    public void Run_ProcessOptions()
    {
        Check(engine.Run(["-e", "A=b c", "-w", "/tmp", "-u", "user"], "sh", "-c", "echo \"$A\" $PWD $(id -u):$(id -g)"), 0, "b c /tmp 1000:1000\n");
        Check(engine.Run(["--hostname", "web", "--add-host", "db:10.0.0.9"], "sh", "-c", "hostname; grep db /etc/hosts"), 0, "web\n10.0.0.9\tdb\n");
        Check(engine.Run(["--entrypoint", "/bin/echo"], "x"), 0, "x\n");
        Check(engine.Run(["--ulimit", "nofile=100:200"], "sh", "-c", "ulimit -n; ulimit -Hn"), 0, "100\n200\n");
        Check(engine.Run(["--init"], "sh", "-c", "[ $$ != 1 ] && cat /proc/1/comm"), 0, "docker-init\n");
        Assert.NotEqual(0, engine.Run(["--cap-drop", "CHOWN"], "chown", "user", "/tmp").Status);
        Assert.Equal(0, engine.Run([], "chown", "user", "/tmp").Status);
        Check(engine.Run(["--security-opt", "no-new-privileges"], "grep", "NoNewPrivs", "/proc/self/status"), 0, "NoNewPrivs:\t1\n");
        Check(engine.Run(["--device", "/dev/null:/dev/nothing"], "sh", "-c", "echo x > /dev/nothing; wc -c < /dev/nothing"), 0, "0\n");
    }

    [DockerFact]
    public void Run_Files()
    {
        string folder = Directory.CreateTempSubdirectory("runsc-volume-").FullName;
        File.WriteAllText(Path.Combine(folder, "in"), "from the host\n");
        Check(engine.Run(["-v", folder + ":/v"], "sh", "-c", "cat /v/in; echo back > /v/out"), 0, "from the host\n");
        Assert.Equal("back\n", File.ReadAllText(Path.Combine(folder, "out")));
        Assert.NotEqual(0, engine.Run(["-v", folder + ":/v:ro"], "touch", "/v/x").Status);
        Check(engine.Run(["--mount", $"type=bind,source={folder},target=/deep/er,readonly"], "cat", "/deep/er/in"), 0, "from the host\n");
        Assert.NotEqual(0, engine.Run(["--read-only"], "touch", "/x").Status);
        Check(engine.Run(["--read-only", "--tmpfs", "/run:size=1m,mode=700"], "sh", "-c", "touch /run/x && stat -c %a /run"), 0, "700\n");
        Check(engine.Run(["--shm-size", "3m"], "sh", "-c", "df -k /dev/shm | tail -1 | awk '{print $2}'"), 0, "3072\n");
        engine.Do("volume", "create", "shared");
        Check(engine.Run(["-v", "shared:/s"], "sh", "-c", "echo one > /s/f"), 0, "");
        Check(engine.Run(["-v", "shared:/s"], "cat", "/s/f"), 0, "one\n");
        Directory.Delete(folder, recursive: true);
    }

    [DockerFact]
    public void Detached_LogsExecAndStop()
    {
        string name = Name();
        engine.Do("run", "-d", "--network=none", "--name", name, "--stop-signal", "USR1", "bb", "sh", "-c", "trap 'echo bye; exit 3' USR1; echo up; while :; do sleep 0.1; done");
        DockerEngine.Await(() => engine.Do("logs", name) == "up", "the container does not come up");
        Check(engine.Docker("exec", name, "sh", "-c", "echo in; exit 4"), 4, "in\n");
        Check(engine.Docker("exec", "-u", "1000:1000", "-w", "/tmp", "-e", "X=y", name, "sh", "-c", "echo $(id -u) $PWD $X"), 0, "1000 /tmp y\n");

        // Docker 20.10 ends with 126 then, whatever the runtime; later ones with 127.
        CommandResult missing = engine.Docker("exec", name, "no-such-program");
        Assert.True(missing.Status is 126 or 127, missing.ToString());
        Assert.Contains("executable file not found in $PATH", missing.Output + missing.Error, StringComparison.Ordinal);
        engine.Do("exec", "-d", name, "sh", "-c", "echo later > /tmp/later");
        DockerEngine.Await(() => engine.Docker("exec", name, "cat", "/tmp/later").Output == "later\n", "exec -d does not run");
        Assert.Contains("PID", engine.Do("top", name), StringComparison.Ordinal);
        Assert.Contains(name, engine.Do("stats", "--no-stream", name), StringComparison.Ordinal);
        string renamed = Name();
        engine.Do("rename", name, renamed);
        engine.Do("pause", renamed);
        Assert.Equal("true", engine.Do("inspect", "-f", "{{.State.Paused}}", renamed));
        engine.Do("unpause", renamed);
        engine.Do("update", "--memory", "300m", "--memory-swap", "300m", renamed);
        Assert.StartsWith("MemTotal:         307200 kB\n", engine.Do("exec", renamed, "cat", "/proc/meminfo"), StringComparison.Ordinal);
        engine.Do("stop", "-t", "20", renamed);
        Assert.Equal("3", engine.Do("wait", renamed));
        Assert.EndsWith("bye", engine.Do("logs", renamed), StringComparison.Ordinal);
        engine.Do("rm", renamed);
    }

    [DockerFact]
    public void Kill_AndRestartPolicy()
    {
        string name = Name();
        engine.Do("run", "-d", "--network=none", "--name", name, "bb", "sleep", "1000");
        engine.Do("kill", "-s", "KILL", name);
        Assert.Equal("137", engine.Do("wait", name));
        engine.Do("rm", "-f", name);

        name = Name();
        engine.Do("run", "-d", "--network=none", "--name", name, "--restart=on-failure:3", "bb", "sh", "-c", "exit 9");
        DockerEngine.Await(() => engine.Do("inspect", "-f", "{{.RestartCount}} {{.State.Status}}", name) == "3 exited", "the container is not restarted three times");
        engine.Do("rm", "-f", name);
    }

    [DockerFact]
    public void CopyCommitAndDiff()
    {
        string name = Name(), folder = Directory.CreateTempSubdirectory("runsc-copy-").FullName;
        engine.Do("run", "-d", "--network=none", "--name", name, "bb", "sh", "-c", "echo mine > /root/made; sleep 1000");
        DockerEngine.Await(() => engine.Docker("exec", name, "cat", "/root/made").Status == 0, "the file is not made");
        engine.Do("cp", name + ":/root/made", folder + "/made");
        Assert.Equal("mine\n", File.ReadAllText(folder + "/made"));
        File.WriteAllText(folder + "/given", "yours\n");
        engine.Do("cp", folder + "/given", name + ":/root/given");
        Check(engine.Docker("exec", name, "cat", "/root/given"), 0, "yours\n");
        Assert.Contains("A /root/made", engine.Do("diff", name), StringComparison.Ordinal);
        string image = "made-" + name;
        engine.Do("commit", name, image);
        Check(engine.Docker("run", "--rm", "--network=none", image, "cat", "/root/made"), 0, "mine\n");
        engine.Do("rm", "-f", name);
        engine.Do("rmi", image);
        Directory.Delete(folder, recursive: true);
    }

    [DockerFact]
    public void Build_AndHealth()
    {
        string folder = Directory.CreateTempSubdirectory("runsc-build-").FullName, image = "built-" + Name();
        File.WriteAllText(folder + "/Dockerfile", "FROM bb\nRUN echo built > /built && mkdir /d\nWORKDIR /d\nCOPY Dockerfile /d/\nHEALTHCHECK --interval=1s CMD test -f /built\nCMD [\"sh\", \"-c\", \"cat /built; pwd; sleep 1000\"]\n");
        CommandResult result = CommandRunner.Run("/bin/sh", ["-c", $"DOCKER_BUILDKIT=0 docker --host {engine.Host} build --network=none -t {image} {folder}"]);
        Assert.True(result.Status == 0, result.ToString());
        string name = Name();
        engine.Do("run", "-d", "--network=none", "--name", name, image);
        DockerEngine.Await(() => engine.Do("inspect", "-f", "{{.State.Health.Status}}", name) == "healthy", "the container does not become healthy");
        Assert.Equal("built\n/d", engine.Do("logs", name));
        engine.Do("rm", "-f", name);
        engine.Do("rmi", image);
        Directory.Delete(folder, recursive: true);
    }

    [DockerFact]
    public void Limits_AreKept()
    {
        // The memory of the container is the sandbox's.
        string name = Name();
        CommandResult result = engine.Docker("run", "--name", name, "--network=none", "--memory", "128m", "--memory-swap", "128m", "bb", "sh", "-c", "head -c 400m /dev/zero | tail");
        Assert.True(result.Status == 137, result.ToString());
        Assert.Equal("true", engine.Do("inspect", "-f", "{{.State.OOMKilled}}", name));
        engine.Do("rm", "-f", name);
        result = engine.Run(["--pids-limit", "20"], "sh", "-c", "for i in $(seq 40); do sleep 5 & done; echo done; kill $(jobs -p)");
        Assert.Contains("fork", result.Error, StringComparison.Ordinal);
    }

    [DockerFact]
    public void Crash_OfTheSandbox_IsReported()
    {
        string name = Name();
        engine.Do("run", "-d", "--network=none", "--name", name, "bb", "sleep", "1000");
        CommandRunner.Shell("kill -9 " + engine.Do("inspect", "-f", "{{.State.Pid}}", name));
        Assert.Equal("137", engine.Do("wait", name));
        engine.Do("rm", name);
    }

    [DockerFact]
    public void Crash_OfTheDaemon_KeepsTheContainers()
    {
        string name = Name();
        engine.Do("run", "-d", "--network=none", "--name", name, "bb", "sleep", "1000");
        engine.CrashAndRestart();
        Assert.Equal("true", engine.Do("inspect", "-f", "{{.State.Running}}", name));
        Check(engine.Docker("exec", name, "echo", "still here"), 0, "still here\n");
        engine.Do("rm", "-f", name);
    }

    [DockerFact]
    public void Many_AtOnce_LeaveNothing()
    {
        List<string> names = [.. Enumerable.Range(0, 20).Select(_ => Name())];
        names.AsParallel().WithDegreeOfParallelism(5).ForAll(name => engine.Do("run", "-d", "--network=none", "--name", name, "bb", "sleep", "1000"));
        List<int> sandboxes = [.. names.Select(name => int.Parse(engine.Do("inspect", "-f", "{{.State.Pid}}", name)))];
        List<string> ids = [.. names.Select(name => engine.Do("inspect", "-f", "{{.Id}}", name))];
        names.AsParallel().WithDegreeOfParallelism(5).ForAll(name => engine.Do("rm", "-f", name));
        Assert.All(sandboxes, process => Assert.False(Directory.Exists($"/proc/{process}")));
        string mounts = File.ReadAllText("/proc/mounts");
        Assert.All(ids, id => Assert.DoesNotContain(id, mounts, StringComparison.Ordinal));
        foreach (string id in ids)
        {
            Assert.Equal("", CommandRunner.Run("/usr/bin/find", ["/sys/fs/cgroup", "/run/docker", "/var/run/docker", "-name", "*" + id + "*"]).Output);
        }
    }

    [DockerFact]
    public void Terminal_HasASize()
    {
        CommandResult result = CommandRunner.Run("/usr/bin/script", ["-qec", $"stty rows 31 cols 97; docker --host {engine.Host} run -it --rm --network=none bb sh -c 'sleep 1; tty; stty size'", "/dev/null"]);
        Assert.Contains("/dev/", result.Output, StringComparison.Ordinal);
        Assert.Contains("31 97", result.Output, StringComparison.Ordinal);
    }

    [DockerFact]
    public void Inspect_IsSound()
    {
        string name = Name();
        engine.Do("run", "-d", "--network=none", "--name", name, "bb", "sleep", "1000");
        JsonNode state = JsonNode.Parse(engine.Do("inspect", name))![0]!;
        Assert.Equal("runsc", (string)state["HostConfig"]!["Runtime"]!);
        Assert.Equal("running", (string)state["State"]!["Status"]!);
        engine.Do("rm", "-f", name);
    }
}
