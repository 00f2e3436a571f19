using System;
using System.IO;
using System.Linq;
using System.Text.Json.Nodes;
using System.Threading;
using Runsc.Tests.Support;
using Xunit;

namespace Runsc.Tests.Runtime;

/// <summary>The commands of the published binary on containers that live: what callers of OCI runtimes rely on.</summary>
[Collection("sandbox")]
public sealed class LifecycleTests
{
    private static void Process(Sandbox sandbox, params string[] arguments) => sandbox.Config["process"]!["args"] = new JsonArray([.. arguments.Select(word => (JsonNode?)word)]);

    private static JsonObject Hook(string script) => new() { ["path"] = "/bin/sh", ["args"] = new JsonArray("sh", "-c", script) };

    /// <summary>create by a shell that ends, as a caller of the runtime does not: the sandbox goes to init, or to us.</summary>
    private static CommandResult Create(Sandbox sandbox, params string[] options)
    {
        sandbox.WriteConfig();
        string words = string.Join(' ', (string[])["--root", sandbox.State, .. sandbox.Flags, "create", "--bundle", sandbox.Bundle, .. options, sandbox.Id]);
        return CommandRunner.Run("/bin/sh", ["-c", $"{TestEnvironment.Binary} {words} > {sandbox.Directory}/out 2> {sandbox.Directory}/err < /dev/null; s=$?; cat {sandbox.Directory}/err >&2; exit $s"]);
    }

    private static string Status(Sandbox sandbox) => (string)JsonNode.Parse(sandbox.Runsc(["state", sandbox.Id]).Output)!["status"]!;

    private static void Await(Sandbox sandbox, string status)
    {
        for (int i = 0; Status(sandbox) != status; i++)
        {
            Assert.True(i < 600, $"the container does not become {status}");
            Thread.Sleep(50);
        }
    }

    private static void Good(CommandResult result) => Assert.True(result.Status == 0, result.ToString());

    [SandboxFact]
    public void Life_FromCreateToDelete()
    {
        using Sandbox sandbox = new();
        Process(sandbox, "sh", "-c", "echo running; sleep 1000");
        string pidFile = Path.Combine(sandbox.Directory, "pid");
        Good(Create(sandbox, "--pid-file", pidFile));
        JsonNode state = JsonNode.Parse(sandbox.Runsc(["state", sandbox.Id]).Output)!;
        Assert.Equal("created", (string)state["status"]!);
        Assert.Equal(File.ReadAllText(pidFile), ((int)state["pid"]!).ToString());
        Assert.Equal(sandbox.Bundle, (string)state["bundle"]!);
        Good(sandbox.Runsc(["start", sandbox.Id]));
        Assert.Equal(128, sandbox.Runsc(["start", sandbox.Id]).Status);
        Await(sandbox, "running");
        Assert.Contains(sandbox.Id, sandbox.Runsc(["list"]).Output, StringComparison.Ordinal);
        Assert.Equal(sandbox.Id, (string)JsonNode.Parse(sandbox.Runsc(["list", "--format", "json"]).Output)![0]!["id"]!);
        Assert.StartsWith("[1", sandbox.Runsc(["ps", "--format", "json", sandbox.Id]).Output, StringComparison.Ordinal);

        // The shell may still be about to start it.
        for (int i = 0; !sandbox.Runsc(["ps", sandbox.Id]).Output.Contains("sleep", StringComparison.Ordinal); i++)
        {
            Assert.True(i < 600, sandbox.Runsc(["ps", sandbox.Id]).Output);
            Thread.Sleep(50);
        }

        CommandResult refused = sandbox.Runsc(["delete", sandbox.Id]);
        Assert.Equal(128, refused.Status);
        Assert.Contains("not stopped", refused.Error, StringComparison.Ordinal);
        Good(sandbox.Runsc(["kill", sandbox.Id, "SIGKILL"]));
        Await(sandbox, "stopped");
        Assert.Equal(137, (int)JsonNode.Parse(sandbox.Runsc(["wait", sandbox.Id]).Output)!["exitStatus"]!);
        Assert.Contains("container not running", sandbox.Runsc(["kill", sandbox.Id, "TERM"]).Error, StringComparison.Ordinal);
        Good(sandbox.Runsc(["delete", sandbox.Id]));
        Assert.Contains("does not exist", sandbox.Runsc(["state", sandbox.Id]).Error, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFileSystemEntries(sandbox.State));
        Assert.Equal("running\n", File.ReadAllText(Path.Combine(sandbox.Directory, "out")));
    }

    [SandboxFact]
    public void Exec_DetachedAndAttached()
    {
        using Sandbox sandbox = new();
        Process(sandbox, "sleep", "1000");
        Good(Create(sandbox));
        Good(sandbox.Runsc(["start", sandbox.Id]));
        CommandResult result = sandbox.Runsc(["exec", "--user", "5:6", "--cwd", "/tmp", "--env", "A=b", sandbox.Id, "sh", "-c", "echo $(id -u) $(id -g) $PWD $A; exit 9"]);
        Assert.Equal((9, "5 6 /tmp b\n"), (result.Status, result.Output));
        result = sandbox.Runsc(["exec", sandbox.Id, "no-such-program"]);
        Assert.Equal(128, result.Status);
        Assert.Contains("executable file not found in $PATH", result.Error, StringComparison.Ordinal);

        string process = Path.Combine(sandbox.Directory, "process.json"), pidFile = Path.Combine(sandbox.Directory, "exec.pid"), inside = Path.Combine(sandbox.Directory, "inside.pid");
        File.WriteAllText(process, """{"args": ["sh", "-c", "exit 5"], "cwd": "/", "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0}}""");
        string words = string.Join(' ', (string[])["--root", sandbox.State, .. sandbox.Flags, "exec", "--process", process, "--detach", "--pid-file", pidFile, "--internal-pid-file", inside, sandbox.Id]);
        Good(CommandRunner.Run("/bin/sh", ["-c", $"{TestEnvironment.Binary} {words}"]));
        Assert.True(int.Parse(File.ReadAllText(pidFile)) > 1);
        Assert.True(int.Parse(File.ReadAllText(inside)) > 1);

        string Affinity(string json, string command)
        {
            File.WriteAllText(process, "{\"args\": [\"sh\", \"-c\", \"" + command + "\"], \"cwd\": \"/\", \"env\": [\"PATH=/bin\"], \"execCPUAffinity\": " + json + "}");
            CommandResult run = sandbox.Runsc(["exec", "--process", process, sandbox.Id]);
            return run.Output + run.Error;
        }

        const string allowed = "grep Cpus_allowed_list /proc/self/status";
        Assert.Equal("Cpus_allowed_list:\t0\n", Affinity("""{"initial": "0", "final": "0,63"}""", allowed));
        Assert.Equal(Affinity("{}", allowed), Affinity("""{"initial": "0", "final": ""}""", allowed));
        Assert.Contains("execCPUAffinity.final: 63: the sandbox has only the processors 0", Affinity("""{"final": "63"}""", allowed), StringComparison.Ordinal);
        Assert.Contains("execCPUAffinity.initial: cannot run on the processors 63", Affinity("""{"initial": "63"}""", allowed), StringComparison.Ordinal);

        Good(sandbox.Runsc(["pause", sandbox.Id]));
        Assert.Equal("paused", Status(sandbox));
        Assert.Contains("paused container", sandbox.Runsc(["exec", sandbox.Id, "true"]).Error, StringComparison.Ordinal);
        Good(sandbox.Runsc(["resume", sandbox.Id]));
        Good(sandbox.Runsc(["exec", sandbox.Id, "true"]));
        Good(sandbox.Runsc(["delete", "--force", sandbox.Id]));
    }

    [SandboxFact]
    public void Signals_ByAllNames()
    {
        using Sandbox sandbox = new();
        Process(sandbox, "sh", "-c", "trap 'echo one' USR1; trap 'echo real' RTMIN+3; trap 'exit 44' TERM; echo up; while :; do sleep 0.05; done");
        Good(Create(sandbox));
        Good(sandbox.Runsc(["start", sandbox.Id]));
        string output = Path.Combine(sandbox.Directory, "out");
        AwaitText(output, "up");
        Good(sandbox.Runsc(["kill", sandbox.Id, "10"]));
        AwaitText(output, "one");
        Good(sandbox.Runsc(["kill", sandbox.Id, "TERM"]));
        Await(sandbox, "stopped");
        Assert.Equal(44, (int)JsonNode.Parse(sandbox.Runsc(["wait", sandbox.Id]).Output)!["exitStatus"]!);
    }

    /// <summary>A closed standard descriptor is /dev/null inside, and not a file of the runtime that got its number.</summary>
    [SandboxFact]
    public void ClosedInputAndOutput_AreNull()
    {
        using Sandbox sandbox = new();
        Process(sandbox, "sh", "-c", "cat; echo $?; stat -L -c %t:%T /proc/self/fd/0; echo lost >&2");
        sandbox.WriteConfig();
        string words = string.Join(' ', (string[])["--root", sandbox.State, .. sandbox.Flags, "run", "--bundle", sandbox.Bundle, sandbox.Id]);
        CommandResult result = CommandRunner.Run("/bin/sh", ["-c", $"{TestEnvironment.Binary} {words} <&- 2>&-"]);
        Assert.Equal((0, "0\n1:3\n", ""), (result.Status, result.Output, result.Error));
        result = CommandRunner.Run("/bin/sh", ["-c", $"{TestEnvironment.Binary} {words} >&-"]);
        Assert.Equal((0, "lost\n"), (result.Status, result.Error));
    }

    private static void AwaitText(string file, string text)
    {
        for (int i = 0; !File.ReadAllText(file).Contains(text, StringComparison.Ordinal); i++)
        {
            Assert.True(i < 600, $"\"{text}\" does not come: {File.ReadAllText(file)}");
            Thread.Sleep(50);
        }
    }

    [SandboxFact]
    public void Hooks_RunAtTheirMoments()
    {
        using Sandbox sandbox = new();
        string trace = Path.Combine(sandbox.Directory, "trace");
        Process(sandbox, "sh", "-c", "cat /started");
        JsonObject hooks = [];
        foreach (string kind in (string[])["prestart", "createRuntime", "createContainer", "poststart", "poststop"])
        {
            hooks[kind] = new JsonArray(Hook($"grep -o '\"status\":\"[a-z]*\"' | tr '\\n' ' ' >> {trace}; echo {kind} >> {trace}"));
        }

        hooks["startContainer"] = new JsonArray(Hook("grep -o '\"status\":\"[a-z]*\"' > /started"));
        sandbox.Config["hooks"] = hooks;
        sandbox.WriteConfig();
        CommandResult result = sandbox.Runsc(["run", "--bundle", sandbox.Bundle, sandbox.Id]);
        Assert.Equal((0, "\"status\":\"created\"\n"), (result.Status, result.Output));
        Assert.Equal(
            ["\"status\":\"creating\" prestart", "\"status\":\"creating\" createRuntime", "\"status\":\"creating\" createContainer", "\"status\":\"running\" poststart", "\"status\":\"stopped\" poststop"],
            File.ReadAllLines(trace));
    }

    [SandboxTheory]
    [InlineData("prestart")]
    [InlineData("createRuntime")]
    [InlineData("createContainer")]
    [InlineData("startContainer")]
    public void Hook_ThatFails_LeavesNothing(string kind)
    {
        using Sandbox sandbox = new();
        sandbox.Config["hooks"] = new JsonObject { [kind] = new JsonArray(Hook("exit 6")) };
        sandbox.WriteConfig();
        CommandResult result = sandbox.Runsc(["run", "--bundle", sandbox.Bundle, sandbox.Id]);
        Assert.Equal(128, result.Status);
        Assert.Contains($"{kind} hook /bin/sh: exit status 6", result.Error, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFileSystemEntries(sandbox.State));
    }

    [SandboxFact]
    public void Specification_IsCarriedOutInside()
    {
        using Sandbox sandbox = new();
        JsonObject process = sandbox.Config["process"]!.AsObject();
        process["user"] = new JsonObject { ["uid"] = 7, ["gid"] = 8, ["umask"] = 63, ["additionalGids"] = new JsonArray(10, 9) };
        process["scheduler"] = new JsonObject { ["policy"] = "SCHED_OTHER", ["nice"] = 4 };
        process["oomScoreAdj"] = 77;
        process["cwd"] = "/made/here";
        sandbox.Config["domainname"] = "example.org";
        sandbox.Config["linux"]!["maskedPaths"] = new JsonArray("/etc/secret", "/proc/sys", "/none");
        sandbox.Config["linux"]!["readonlyPaths"] = new JsonArray("/tmp");
        sandbox.Config["linux"]!["devices"] = new JsonArray(new JsonObject { ["path"] = "/dev/void", ["type"] = "c", ["major"] = 1, ["minor"] = 3, ["fileMode"] = 438 });
        File.WriteAllText(Path.Combine(sandbox.Root, "etc/secret"), "secret");
        CommandResult result = sandbox.Run(
        [
            "sh", "-c",
            "id -u; id -g; id -G; umask; cut -d ' ' -f 19 /proc/self/stat; cat /proc/self/oom_score_adj; pwd; cat /proc/sys/kernel/domainname 2>/dev/null; wc -c < /etc/secret; ls /proc/sys | wc -l; touch /tmp/x 2>/dev/null || echo ro; echo x > /dev/void && echo void",
        ]);
        Assert.Equal("7\n8\n8 9 10\n0077\n4\n77\n/made/here\n0\n0\nro\nvoid\n", result.Output);
    }

    [SandboxFact]
    public void SeccompAndSysctls_AreCarriedOutInside()
    {
        using Sandbox sandbox = new();
        JsonNode linux = sandbox.Config["linux"]!;
        linux["seccomp"] = JsonNode.Parse("""
            {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"], "syscalls": [
                {"names": ["mkdir", "mkdirat", "no_such_call"], "action": "SCMP_ACT_ERRNO", "errnoRet": 30},
                {"names": ["kill"], "action": "SCMP_ACT_KILL_PROCESS", "args": [{"index": 1, "value": 12, "op": "SCMP_CMP_EQ"}]}]}
            """);
        linux["sysctl"] = new JsonObject { ["kernel.shmmax"] = "123456", ["kernel.msgmax"] = "9000", ["kernel.sem"] = "250 32000 32 128", ["fs.mqueue.msg_max"] = "20", ["kernel.domainname"] = "example.org" };
        linux["personality"] = new JsonObject { ["domain"] = "LINUX32" };
        string[] script =
        [
            "sh", "-c",
            "grep -w Seccomp /proc/self/status; mkdir /tmp/x 2>&1 | grep -o 'Read-only file system'; sh -c 'kill -USR2 $$'; echo $?; cd /proc/sys; cat kernel/shmmax kernel/msgmax kernel/sem fs/mqueue/msg_max kernel/domainname; uname -m",
        ];
        Assert.Equal("Seccomp:\t2\nRead-only file system\n159\n123456\n9000\n250\t32000\t32\t128\n20\nexample.org\ni686\n", sandbox.Run(script).Output);

        Process(sandbox, "sleep", "1000");
        Good(Create(sandbox));
        Good(sandbox.Runsc(["start", sandbox.Id]));
        Assert.Contains("Read-only", sandbox.Runsc(["exec", sandbox.Id, "sh", "-c", "mkdir /tmp/y"]).Error, StringComparison.Ordinal);
        Good(sandbox.Runsc(["delete", "--force", sandbox.Id]));

        linux["seccomp"]!["defaultAction"] = "SCMP_ACT_NOTIFY";
        Assert.Contains("linux.seccomp: SCMP_ACT_NOTIFY: notifications are not supported", Create(sandbox).Error, StringComparison.Ordinal);
        linux.AsObject().Remove("seccomp");
        linux["sysctl"] = new JsonObject { ["kernel.shm_rmid_forced"] = "1" };
        Assert.Contains("cannot set kernel.shm_rmid_forced", Create(sandbox).Error, StringComparison.Ordinal);
    }

    /// <summary>Of the Sentry, or of the process that stands for the container on the host.</summary>
    [SandboxTheory]
    [InlineData("sandboxPid")]
    [InlineData("pid")]
    public void Crash_OfTheSandbox_IsKilled(string process)
    {
        using Sandbox sandbox = new();
        Process(sandbox, "sleep", "1000");
        Good(Create(sandbox));
        Good(sandbox.Runsc(["start", sandbox.Id]));
        int sentry = (int)JsonNode.Parse(File.ReadAllText(Path.Combine(sandbox.State, sandbox.Id, "state.json")))!["sandboxPid"]!;
        CommandRunner.Shell($"kill -9 {(int)JsonNode.Parse(File.ReadAllText(Path.Combine(sandbox.State, sandbox.Id, "state.json")))![process]!}");
        Await(sandbox, "stopped");
        Assert.Equal(137, (int)JsonNode.Parse(sandbox.Runsc(["wait", sandbox.Id]).Output)!["exitStatus"]!);
        Good(sandbox.Runsc(["delete", sandbox.Id]));


        // Or it waits for its new parent to take note of its end.
        Assert.True(!File.Exists($"/proc/{sentry}/stat") || File.ReadAllText($"/proc/{sentry}/stat").Contains(") Z ", StringComparison.Ordinal));
    }

    [SandboxFact]
    public void Debug_LooksInside()
    {
        using Sandbox sandbox = new();
        Process(sandbox, "sleep", "1000");
        File.WriteAllText(Path.Combine(sandbox.Root, "etc/file"), "0123456789");
        Good(Create(sandbox));
        Good(sandbox.Runsc(["start", sandbox.Id]));
        Assert.Contains("sleep", sandbox.Runsc(["debug", "--stacks", sandbox.Id]).Output, StringComparison.Ordinal);
        Assert.Contains("sleep", sandbox.Runsc(["debug", "--ps", sandbox.Id]).Output, StringComparison.Ordinal);
        Assert.Equal("345", sandbox.Runsc(["read", "--offset", "3", "--size", "3", sandbox.Id, "/etc/file"]).Output);
        Assert.Contains("no such file", sandbox.Runsc(["read", sandbox.Id, "/etc/none"]).Error, StringComparison.Ordinal);
        Assert.True((long)JsonNode.Parse(sandbox.Runsc(["usage", sandbox.Id]).Output)!["Total"]! > 0);
        JsonNode stats = JsonNode.Parse(sandbox.Runsc(["events", "--stats", sandbox.Id]).Output)!;
        Assert.Equal(1, (int)stats["data"]!["pids"]!["current"]!);
    }

    /// <summary>What the host mounts below a volume later is seen inside as its propagation says.</summary>
    [SandboxTheory]
    [InlineData("rprivate", "")]
    [InlineData("rslave", "seen\n")]
    [InlineData("rshared", "seen\n")]
    public void Mounts_OfTheHost_ArePropagated(string propagation, string expected)
    {
        using Sandbox sandbox = new();
        string volume = Path.Combine(sandbox.Directory, "volume");
        CommandRunner.Shell($"mkdir -p {volume}/sub && mount --bind {volume} {volume} && mount --make-shared {volume}");
        sandbox.Config["mounts"]!.AsArray().Add(new JsonObject { ["destination"] = "/volume", ["type"] = "bind", ["source"] = volume, ["options"] = new JsonArray("rbind", propagation) });
        Process(sandbox, "sleep", "1000");
        try
        {
            Good(Create(sandbox));
            Good(sandbox.Runsc(["start", sandbox.Id]));
            Assert.Equal("", sandbox.Runsc(["exec", sandbox.Id, "sh", "-c", "ls /volume/sub"]).Output);
            CommandRunner.Shell($"mount -t tmpfs none {volume}/sub && touch {volume}/sub/seen");
            Assert.Equal(expected, sandbox.Runsc(["exec", sandbox.Id, "sh", "-c", "ls /volume/sub"]).Output);

            // The sandbox has a descriptor of what it has looked at, as a process there would have.
            CommandRunner.Shell($"umount -l {volume}/sub");
            Assert.Equal("", sandbox.Runsc(["exec", sandbox.Id, "sh", "-c", "ls /volume/sub"]).Output);
            Good(sandbox.Runsc(["delete", "--force", sandbox.Id]));
        }
        finally
        {
            CommandRunner.Shell($"umount -l {volume}/sub 2>/dev/null; umount -l {volume}");
        }
    }

    /// <summary>Mapped ids of a mount: by the gofer, and by the host's kernel where the container has a user namespace.</summary>
    [SandboxTheory]
    [InlineData(false)]
    [InlineData(true)]
    public void Mounts_WithMappedIds_ShowOtherOwners(bool hasUserNamespace)
    {
        using Sandbox sandbox = new();
        string volume = Path.Combine(sandbox.Directory, "volume");
        CommandRunner.Shell($"mkdir {volume} && chown 1000:1000 {volume} && echo x > {volume}/a && chown 1005:1006 {volume}/a && echo y > {volume}/b && chown 5000:5000 {volume}/b");

        // 1000 and up on the disk are 7000 and up of the host; those are the container's 0 and up in its user namespace.
        JsonArray map = new(new JsonObject { ["containerID"] = 1000, ["hostID"] = 7000, ["size"] = 100 });
        sandbox.Config["mounts"]!.AsArray().Add(new JsonObject
        {
            ["destination"] = "/volume", ["type"] = "bind", ["source"] = volume, ["options"] = new JsonArray("bind", "idmap"), ["uidMappings"] = map, ["gidMappings"] = map.DeepClone(),
        });
        int first = 7000;
        if (hasUserNamespace)
        {
            JsonArray own = new(new JsonObject { ["containerID"] = 0, ["hostID"] = 7000, ["size"] = 1000 });
            sandbox.Config["linux"]!["uidMappings"] = own;
            sandbox.Config["linux"]!["gidMappings"] = own.DeepClone();
            sandbox.Config["linux"]!["namespaces"]!.AsArray().Add(new JsonObject { ["type"] = "user" });
            CommandRunner.Shell($"chown -R 7000:7000 {sandbox.Root}");
            first = 0;
        }

        // Nobody makes files there whose own ids have no place in the map.
        sandbox.Config["process"]!["user"] = new JsonObject { ["uid"] = first, ["gid"] = first };
        string seen = "stat -c '%n %u %g' /volume/a /volume/b; cat /volume/a; ";
        CommandResult result = sandbox.Run(["sh", "-c", seen + $"touch /volume/new && stat -c '%u %g' /volume/new"]);
        Assert.True(result.Output == $"/volume/a {first + 5} {first + 6}\n/volume/b 65534 65534\nx\n{first} {first}\n", result.ToString());
        Assert.Equal("1000 1000\n", CommandRunner.Shell($"stat -c '%u %g' {volume}/new"));
    }

    /// <summary>What is mounted below a volume is there with rbind only.</summary>
    [SandboxTheory]
    [InlineData("bind", "below\n")]
    [InlineData("rbind", "above\n")]
    public void Mounts_BelowAVolume_AreSeenWithRbind(string option, string expected)
    {
        using Sandbox sandbox = new();
        string volume = Path.Combine(sandbox.Directory, "volume");
        CommandRunner.Shell($"mkdir -p {volume}/sub && touch {volume}/sub/below && mount -t tmpfs none {volume}/sub && touch {volume}/sub/above");
        sandbox.Config["mounts"]!.AsArray().Add(new JsonObject { ["destination"] = "/volume", ["type"] = "bind", ["source"] = volume, ["options"] = new JsonArray(option) });
        try
        {
            Assert.Equal(expected, sandbox.Run(["sh", "-c", "ls /volume/sub"]).Output);
        }
        finally
        {
            CommandRunner.Shell($"umount {volume}/sub");
        }
    }

    /// <summary>Connections to a port of the host, and a stream that somebody else has made.</summary>
    [SandboxFact]
    public void PortForward_JoinsAPortInside()
    {
        using Sandbox sandbox = new();
        Process(sandbox, "sh", "-c", "mkdir -p /tmp/w; seq 200000 > /tmp/w/big; busybox httpd -p 127.0.0.1:80 -h /tmp/w; echo up; sleep 1000");
        Good(Create(sandbox));
        Good(sandbox.Runsc(["start", sandbox.Id]));
        AwaitText(Path.Combine(sandbox.Directory, "out"), "up");
        string words = string.Join(' ', (string[])["--root", sandbox.State, .. sandbox.Flags, "port-forward", sandbox.Id]);
        string output = Path.Combine(sandbox.Directory, "forward");
        using System.Diagnostics.Process forward = System.Diagnostics.Process.Start("/bin/sh", ["-c", $"exec {TestEnvironment.Binary} {words} :80 > {output} 2>&1"]);
        try
        {
            for (int i = 0; !File.Exists(output) || !File.ReadAllText(output).EndsWith('\n'); i++)
            {
                Assert.True(i < 600 && !forward.HasExited, "port-forward does not listen");
                Thread.Sleep(50);
            }

            string port = File.ReadAllText(output).Split(':', ' ')[1];
            string fetch = $"exec 3<>/dev/tcp/127.0.0.1/{port}; printf 'GET /big HTTP/1.0\\r\\n\\r\\n' >&3; sed '1,/^\\r$/d' <&3 | md5sum";
            for (int i = 0; i < 3; i++)
            {
                Assert.Equal(CommandRunner.Shell("seq 200000 | md5sum"), CommandRunner.Run("bash", ["-c", fetch]).Output);
            }
        }
        finally
        {
            forward.Kill();
            forward.WaitForExit();
        }

        string socket = Path.Combine(sandbox.Directory, "stream");
        using System.Net.Sockets.Socket listener = new(System.Net.Sockets.AddressFamily.Unix, System.Net.Sockets.SocketType.Stream, 0);
        listener.Bind(new System.Net.Sockets.UnixDomainSocketEndPoint(socket));
        listener.Listen();
        Good(sandbox.Runsc(["port-forward", "--stream", socket, sandbox.Id, "80"]));
        using System.Net.Sockets.Socket stream = listener.Accept();
        stream.Send("GET /none HTTP/1.0\r\n\r\n"u8);
        byte[] answer = new byte[100];
        Assert.StartsWith("HTTP/1.", System.Text.Encoding.ASCII.GetString(answer, 0, stream.Receive(answer)), StringComparison.Ordinal);
        CommandResult refused = sandbox.Runsc(["port-forward", "--stream", socket, sandbox.Id, "81"]);
        Assert.Equal(128, refused.Status);
        Assert.Contains("cannot connect to port 81 in the container", refused.Error, StringComparison.Ordinal);
        Assert.Contains("is not [LOCAL:]REMOTE", sandbox.Runsc(["port-forward", sandbox.Id, "x"]).Error, StringComparison.Ordinal);
        Good(sandbox.Runsc(["delete", "--force", sandbox.Id]));
    }

    /// <summary>The layer over the lower tree gives what the container sees.</summary>
    [SandboxFact]
    public void Tar_IsALayerOfWhatHasChanged()
    {
        using Sandbox sandbox = new();
        File.WriteAllText(Path.Combine(sandbox.Root, "etc/gone"), "x");
        File.WriteAllText(Path.Combine(sandbox.Root, "etc/mode"), "below");
        Directory.CreateDirectory(Path.Combine(sandbox.Root, "root/old"));
        File.WriteAllText(Path.Combine(sandbox.Root, "root/old/file"), "x");
        Process(sandbox, "sh", "-c", "rm /etc/gone; chmod 640 /etc/mode; rm -r /root/old; mkdir /root/old; echo new > /root/old/new; ln -s a /etc/link; seq 100000 > /root/big; touch /tmp/ready; echo up; sleep 1000");
        Good(Create(sandbox));
        Good(sandbox.Runsc(["start", sandbox.Id]));
        AwaitText(Path.Combine(sandbox.Directory, "out"), "up");
        string archive = Path.Combine(sandbox.Directory, "layer.tar");
        Good(sandbox.Runsc(["tar", "--file", archive, "rootfs-upper", sandbox.Id]));
        string list = CommandRunner.Shell($"tar tf {archive}");
        Assert.Contains("etc/.wh.gone\n", list, StringComparison.Ordinal);
        Assert.Contains("root/old/.wh..wh..opq\n", list, StringComparison.Ordinal);
        Assert.DoesNotContain("ready", list, StringComparison.Ordinal);
        string folder = Path.Combine(sandbox.Directory, "unpacked");
        CommandRunner.Shell($"mkdir {folder} && tar xf {archive} -C {folder}");
        Assert.Equal("below", File.ReadAllText(Path.Combine(folder, "etc/mode")));
        Assert.Equal("640\na\n", CommandRunner.Shell($"stat -c %a {folder}/etc/mode; readlink {folder}/etc/link"));
        Assert.Equal("new\n", File.ReadAllText(Path.Combine(folder, "root/old/new")));
        Assert.Equal(CommandRunner.Shell("seq 100000 | md5sum"), CommandRunner.Shell($"md5sum < {folder}/root/big"));
        Good(sandbox.Runsc(["delete", "--force", sandbox.Id]));
    }

    [SandboxFact]
    public void CommandLineKilled_AtAnyMoment_LeavesNothingForDelete()
    {
        for (int delay = 1; delay < 300; delay += 15)
        {
            using Sandbox sandbox = new();
            Process(sandbox, "sleep", "1000");
            sandbox.WriteConfig();
            string words = string.Join(' ', (string[])["--root", sandbox.State, .. sandbox.Flags, "run", "--bundle", sandbox.Bundle, sandbox.Id]);
            CommandRunner.Run("/bin/sh", ["-c", $"timeout -s KILL 0.{delay:000} {TestEnvironment.Binary} {words} > /dev/null 2>&1 < /dev/null"]);
            Good(sandbox.Runsc(["delete", "--force", sandbox.Id]));
            for (int i = 0; CommandRunner.Run("/usr/bin/pgrep", ["-f", sandbox.Id]).Status == 0; i++)
            {
                Assert.True(i < 200, $"a process is left (killed after {delay} ms)");
                Thread.Sleep(50);
            }

            Assert.True(!Directory.Exists(sandbox.State) || Directory.GetFileSystemEntries(sandbox.State).Length == 0, $"state is left (killed after {delay} ms)");
        }
    }

    [SandboxFact]
    public void Many_InARow_LeaveNothing()
    {
        using Sandbox sandbox = new();
        int before = Directory.GetDirectories("/proc", "[0-9]*").Length;
        for (int i = 0; i < 50; i++)
        {
            CommandResult result = sandbox.Run(["sh", "-c", $"exit {i}"]);
            Assert.Equal(i, result.Status);
        }

        Assert.Empty(Directory.GetFileSystemEntries(sandbox.State));
        Assert.True(Directory.GetDirectories("/proc", "[0-9]*").Length < before + 30);
    }
}
