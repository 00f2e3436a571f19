using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Threading;
using Runsc.Tests.Support;
using Xunit;

namespace Runsc.Tests.Runtime;

/// <summary>A test with pods that needs containerd, its CRI and the network plugins of CNI.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class PodFactAttribute : FactAttribute
{
    public PodFactAttribute() => Skip = PodFixture.PodsMissing;
}

/// <summary><see cref="PodFactAttribute"/> with data.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class PodTheoryAttribute : TheoryAttribute
{
    public PodTheoryAttribute() => Skip = PodFixture.PodsMissing;
}

/// <summary>A containerd with the CRI as Kubernetes has it: pods on a bridge, runtimes "runsc" and, for comparison, "runc".</summary>
public sealed class PodFixture : ContainerdFixture
{
    private const string Space = "runsc-pods";
    private const string Plugins = "/usr/lib/cni";

    public PodFixture()
        : base(Space)
    {
        if (PodsMissing is null)
        {
            Client = new CriClient(Socket);
        }
    }

    internal static string? PodsMissing { get; } = Missing ?? TestEnvironment.SandboxMissing
        ?? (File.Exists($"{Plugins}/bridge") ? null : "containernetworking-plugins is not installed")
        ?? (OnPath("runc") ? null : "runc is not installed");

    internal CriClient? Client { get; }

    /// <summary>A folder for what a test needs on the host's side.</summary>
    internal string Scratch(string name) => Directory.CreateDirectory(Path.Combine(Folder, "scratch", name)).FullName;

    internal CriPod Pod(string name, string handler, int hostPort = 0)
    {
        try
        {
            return Client!.RunPod(name, Scratch("logs-" + name), handler, hostPort);
        }
        catch (CriException refused)
        {
            throw new InvalidOperationException($"{refused.Message}\n{Log}", refused);
        }
    }

    /// <summary>A command in the namespace where the pods' bridge is.</summary>
    internal static CommandResult Outside(params string[] command) => CommandRunner.Run("nsenter", [$"--net=/run/netns/{Space}", .. command]);

    protected override string PodConfiguration()
    {
        Directory.CreateDirectory(Path.Combine(Folder, "net.d"));
        File.WriteAllText(Path.Combine(Folder, "net.d", "pods.conflist"), $$$"""
            {"cniVersion":"0.4.0","name":"pods","plugins":[
              {"type":"bridge","bridge":"pods0","isGateway":true,
               "ipam":{"type":"host-local","dataDir":"{{{Folder}}}/addresses","ranges":[[{"subnet":"10.88.77.0/24"}]],"routes":[{"dst":"0.0.0.0/0"}]}},
              {"type":"portmap","capabilities":{"portMappings":true}}]}
            """);
        return $"""
            [plugins."io.containerd.grpc.v1.cri"]
              restrict_oom_score_adj = true
              sandbox_image = "{Image}"
              [plugins."io.containerd.grpc.v1.cri".cni]
                bin_dir = "{Plugins}"
                conf_dir = "{Folder}/net.d"
              [plugins."io.containerd.grpc.v1.cri".containerd]
                snapshotter = "native"
              [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runsc]
                runtime_type = "io.containerd.runsc.v1"
                pod_annotations = ["dev.gvisor.*"]
                [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runsc.options]
                  TypeUrl = "io.containerd.runsc.v1.options"
                  ConfigPath = "{Options("pods", $"grouping = true\n[runsc_config]\nplatform = \"{TestEnvironment.Platform}\"")}"
              [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
                runtime_type = "io.containerd.runc.v2"
            """;
    }

    protected override void Dispose(bool disposing)
    {
        Client?.Dispose();
        base.Dispose(disposing);
    }
}

/// <summary>Pods by the calls that the kubelet makes. What a test expects holds for runc, too, which shows that it is right.</summary>
[Collection("sandbox")]
public sealed class PodTests(PodFixture engine) : IClassFixture<PodFixture>
{
    private const string Loop = "trap 'exit 7' TERM; echo up; while :; do sleep 0.1; done";

    private static void Await(Func<bool> condition, string what)
    {
        for (int i = 0; i < 600; i++)
        {
            if (condition())
            {
                return;
            }

            Thread.Sleep(100);
        }

        throw new TimeoutException(what);
    }

    [PodTheory]
    [InlineData("runsc")]
    [InlineData("runc")]
    public void Containers_OfAPod_ShareWhatAPodShares(string handler)
    {
        using CriPod pod = engine.Pod("shared-" + handler, handler);
        string server = pod.Start(new CriContainer("server", "httpd", "-f", "-p", "80", "-h", "/etc"));
        string client = pod.Start(new CriContainer("client", "sh", "-c", Loop));
        Assert.Equal($"shared-{handler}\n", pod.Shell(server, "hostname").Output);
        Assert.Equal("search pods.test\nnameserver 10.9.8.7\n", pod.Shell(client, "cat /etc/resolv.conf").Output);

        Await(() => pod.Shell(client, "wget -qO- http://127.0.0.1/passwd").Output == "root:x:0:0:root:/:/bin/sh\n", "the server does not answer its neighbour");
        Assert.Equal("root:x:0:0:root:/:/bin/sh\n", PodFixture.Outside("busybox", "wget", "-qO-", $"http://{pod.Address}/passwd").Output);

        pod.Shell(server, "echo of the server > /dev/shm/note; echo mine > /tmp/note");
        Assert.Equal("of the server\n", pod.Shell(client, "cat /dev/shm/note").Output);
        Assert.Equal(1, pod.Shell(client, "cat /tmp/note").Status);
        Assert.Equal("httpd\n", pod.Shell(server, "cat /proc/1/comm").Output);
        Assert.Equal("sh\n", pod.Shell(client, "cat /proc/1/comm").Output);
        string watcher = pod.Start(new CriContainer("watcher", "sh", "-c", Loop) { SharesProcesses = true });
        Assert.Equal("sleep\n", pod.Shell(watcher, "cat /proc/1/comm").Output);
        Assert.DoesNotContain("httpd", pod.Shell(watcher, "cat /proc/[0-9]*/comm").Output, StringComparison.Ordinal);
    }

    [PodTheory]
    [InlineData("runsc")]
    [InlineData("runc")]
    public void Command_InAContainer_HasItsOutputsItsStatusAndATimeOut(string handler)
    {
        using CriPod pod = engine.Pod("exec-" + handler, handler);
        string id = pod.Start(new CriContainer("main", "sh", "-c", Loop));
        CommandResult result = pod.Shell(id, "echo to output; echo to error >&2; exit 3");
        Assert.True(result is { Status: 3, Output: "to output\n", Error: "to error\n" }, result.ToString());
        Assert.Contains("executable file not found in $PATH", Assert.Throws<CriException>(() => pod.Exec(id, ["not-there"])).Message, StringComparison.Ordinal);
        Assert.Contains("timeout 1s exceeded", Assert.Throws<CriException>(() => pod.Exec(id, ["sleep", "1000"], timeout: 1)).Message, StringComparison.Ordinal);
        Assert.Equal(new CriStatus(CriState.Running, 0, ""), pod.StatusOf(id));
    }

    [PodTheory]
    [InlineData("runsc")]
    [InlineData("runc")]
    public void Container_OfAPod_IsStoppedReplacedAndRemovedAlone(string handler)
    {
        using CriPod pod = engine.Pod("life-" + handler, handler);
        string first = pod.Create(new CriContainer("first", "true"));
        Assert.Equal(CriState.Created, pod.StatusOf(first).State);
        pod.Remove(first);
        string second = pod.Start(new CriContainer("second", "sh", "-c", Loop)), other = pod.Start(new CriContainer("other", "sh", "-c", Loop));
        string logs = engine.Scratch("logs-life-" + handler);
        Await(() => File.ReadAllText($"{logs}/second.log").EndsWith(" stdout F up\n", StringComparison.Ordinal), "nothing in the log");
        pod.Stop(second, 20);
        Assert.Equal(new CriStatus(CriState.Exited, 7, "Error"), pod.StatusOf(second));
        pod.Remove(second);
        string third = pod.Start(new CriContainer("third", "sh", "-c", "exit 0"));
        Await(() => pod.StatusOf(third) == new CriStatus(CriState.Exited, 0, "Completed"), "the third does not end");
        Assert.Equal(CriState.Running, pod.StatusOf(other).State);
        Assert.True(pod.IsReady);
        Assert.True(pod.Use(other) is { Processor: > 0, Memory: > 0 });
    }

    [PodTheory]
    [InlineData("runsc")]
    [InlineData("runc")]
    public void SecurityContext_Holds(string handler)
    {
        using CriPod pod = engine.Pod("user-" + handler, handler);
        string scratch = engine.Scratch("volume-" + handler), logs = engine.Scratch("logs-user-" + handler);
        CommandRunner.Shell($"chmod 777 {scratch}");
        string id = pod.Start(new CriContainer("confined", "sh", "-c", """
            id -u; id -G
            grep -E 'Cap(Eff|Bnd)|NoNewPrivs|Seccomp:' /proc/self/status
            touch /file 2>/dev/null || echo read-only
            echo written > /volume/file
            echo $KEY in $PWD
            exit 9
            """)
        { ConfinedUser = 1000, Mount = ("/volume", scratch), WorkingDirectory = "/etc", Environment = new Dictionary<string, string> { ["KEY"] = "value" } });
        Await(() => pod.StatusOf(id).State == CriState.Exited, "the container does not end");
        Assert.Equal(9, pod.StatusOf(id).ExitCode);
        Assert.Equal("written\n", File.ReadAllText(scratch + "/file"));
        string[] lines = [.. File.ReadAllLines(logs + "/confined.log").Select(line => line[(line.IndexOf(" F ", StringComparison.Ordinal) + 3)..])];
        Assert.Equal(["1000", "0 5 6", "CapEff:\t0000000000000000", "CapBnd:\t0000000000000400", "NoNewPrivs:\t1", "Seccomp:\t2", "read-only", "value in /etc"], lines);
    }

    [PodTheory]
    [InlineData("runsc")]
    [InlineData("runc")]
    public void MemoryLimit_OfAContainer_KillsItsLargestProcessOnly(string handler)
    {
        const long Limit = 64 << 20;
        using CriPod pod = engine.Pod("memory-" + handler, handler);
        string other = pod.Start(new CriContainer("other", "sh", "-c", Loop));
        string id = pod.Start(new CriContainer("greedy", "sh", "-c", "dd if=/dev/zero of=/dev/null bs=200M count=1 2>/dev/null; echo $?; exit 5") { MemoryLimit = Limit });
        Await(() => pod.StatusOf(id).State == CriState.Exited, "the container does not end");
        Assert.Equal(new CriStatus(CriState.Exited, 5, "OOMKilled"), pod.StatusOf(id));
        string logs = engine.Scratch("logs-memory-" + handler);
        Assert.Contains(" stdout F 137\n", File.ReadAllText($"{logs}/greedy.log"), StringComparison.Ordinal);
        Assert.Equal("0\n", pod.Shell(other, "dd if=/dev/zero of=/dev/null bs=200M count=1 2>/dev/null; echo $?").Output);

        // What is given back can be used again, what was shared with a process that has gone, too; a higher limit holds at once.
        string frugal = pod.Start(new CriContainer("frugal", "sh", "-c", Loop) { MemoryLimit = Limit });
        const string Use = "dd if=/dev/zero of=/dev/null bs=40M count=2 2>/dev/null; echo $?";
        for (int i = 0; i < 3; i++)
        {
            Assert.Equal("0\n", pod.Shell(frugal, Use).Output);
        }

        Assert.Equal("137\n", pod.Shell(frugal, "dd if=/dev/zero of=/dev/null bs=100M count=1 2>/dev/null; echo $?").Output);
        pod.Update(frugal, 4 * Limit);
        Assert.Equal("0\n", pod.Shell(frugal, "dd if=/dev/zero of=/dev/null bs=100M count=1 2>/dev/null; echo $?").Output);
        Assert.Equal(CriState.Running, pod.StatusOf(frugal).State);
    }

    [PodFact]
    public void HostPort_LeadsIntoThePod()
    {
        using CriPod pod = engine.Pod("port", "runsc", hostPort: 8088);
        string id = pod.Start(new CriContainer("server", "httpd", "-f", "-p", "80", "-h", "/etc"));
        Await(() => pod.Shell(id, "wget -qO- http://127.0.0.1/passwd").Status == 0, "the server does not come up");
        CommandResult result = PodFixture.Outside("busybox", "wget", "-qO-", "http://10.88.77.1:8088/passwd");
        Assert.True(result is { Status: 0, Output: "root:x:0:0:root:/:/bin/sh\n" }, result.ToString());
    }

    [PodFact]
    public void Containerd_KilledAndStarted_FindsThePod()
    {
        using CriPod pod = engine.Pod("restart", "runsc");
        string id = pod.Start(new CriContainer("main", "sh", "-c", Loop));
        engine.Kill();
        engine.Start();
        Await(() =>
        {
            try
            {
                return pod.IsReady;
            }
            catch (Exception error) when (error is CriException or System.Net.Http.HttpRequestException)
            {
                return false;
            }
        }, "the pod is not found again");
        Assert.Equal("again\n", pod.Shell(id, "echo again").Output);
        pod.Stop(id, 20);
        Assert.Equal(7, pod.StatusOf(id).ExitCode);
    }

    [PodFact]
    public void Pod_Removed_LeavesNothing()
    {
        string id;
        using (CriPod pod = engine.Pod("leaves", "runsc"))
        {
            id = pod.Id;
            pod.Start(new CriContainer("one", "sh", "-c", Loop));
            pod.Start(new CriContainer("two", "sleep", "1000"));
            Assert.True(Directory.Exists($"{engine.StateDirectory}/k8s.io/{id}"));
        }

        Assert.DoesNotContain(Directory.EnumerateFileSystemEntries($"{engine.StateDirectory}/k8s.io"), path => path.Contains(id, StringComparison.Ordinal));
        Assert.DoesNotContain(id, File.ReadAllText("/proc/self/mountinfo"), StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateDirectories("/sys/fs/cgroup", id, SearchOption.AllDirectories));
        Assert.Equal("", CommandRunner.Run("pgrep", ["-f", id]).Output);
    }
}
