using System;
using System.Collections.Generic;
using System.IO;
using System.Text.Json.Nodes;
using System.Threading;
using Runsc.Tests.Support;
using Xunit;

namespace Runsc.Tests.Runtime;

/// <summary>Containers of one network namespace, which share a sandbox.</summary>
[Collection("sandbox")]
public sealed class SharedNetworkTests : IDisposable
{
    private readonly string _space = $"runsc-shared{Environment.ProcessId}";
    private readonly List<Sandbox> _all = [];

    public void Dispose()
    {
        foreach (Sandbox sandbox in _all)
        {
            Do("delete", "--force", sandbox.Id);
        }

        _all.ForEach(sandbox => sandbox.Dispose());
        CommandRunner.Run("/bin/sh", ["-c", $"ip netns del {_space}; ip netns del {_space}o"]);
    }

    private void MakeSpace() => CommandRunner.Shell($"""
        set -e
        ip netns add {_space}; ip netns add {_space}o
        ip -n {_space}o link add v1 type veth peer name eth0 netns {_space}
        ip -n {_space}o link set v1 up; ip -n {_space}o addr add 10.78.0.1/24 dev v1
        ip -n {_space} link set lo up; ip -n {_space} link set eth0 up
        ip -n {_space} addr add 10.78.0.2/24 brd + dev eth0; ip -n {_space} -6 addr add fd78::2/64 dev eth0 nodad
        ip -n {_space} route add default via 10.78.0.1; ip -n {_space} route add 10.79.0.0/16 via 10.78.0.1 metric 7
        """);

    /// <summary>Addresses and routes of the namespace on the host.</summary>
    private string Look() => CommandRunner.Shell($"ip -n {_space} -o addr show dev eth0 scope global | awk '{{print $4}}' | sort; ip -n {_space} route | awk '{{print $1, $2, $3}}' | sort");

    private Sandbox Make(string hostname, params string[] command)
    {
        Sandbox sandbox = new();
        _all.Add(sandbox);
        sandbox.Flags.Remove("--network=none");
        sandbox.Config["hostname"] = hostname;
        JsonArray spaces = (JsonArray)sandbox.Config["linux"]!["namespaces"]!;
        spaces.RemoveAll(space => (string)space!["type"]! == "network");
        spaces.Add(new JsonObject { ["type"] = "network", ["path"] = $"/run/netns/{_space}" });
        sandbox.Config["process"]!["args"] = new JsonArray([.. Array.ConvertAll(command, word => (JsonNode?)word)]);
        sandbox.WriteConfig();
        return sandbox;
    }

    /// <summary>A command on the state directory of the first.</summary>
    private CommandResult Do(params string[] words) => CommandRunner.Run(TestEnvironment.Binary!, ["--root", _all[0].State, .. _all[0].Flags, .. words]);

    private void StartDetached(Sandbox sandbox)
    {
        string words = string.Join(' ', (string[])["--root", _all[0].State, .. _all[0].Flags, "run", "--detach", "--bundle", sandbox.Bundle, sandbox.Id]);
        CommandResult result = CommandRunner.Run("/bin/sh", ["-c", $"{TestEnvironment.Binary} {words} </dev/null >{sandbox.Directory}/out 2>{sandbox.Directory}/error"]);
        Assert.True(result.Status == 0, File.ReadAllText($"{sandbox.Directory}/error"));
    }

    private string Inside(Sandbox sandbox, string script)
    {
        CommandResult result = Do("exec", sandbox.Id, "sh", "-c", script);
        Assert.True(result.Status == 0, result.ToString());
        return result.Output;
    }

    private JsonNode State(Sandbox sandbox) => JsonNode.Parse(Do("state", sandbox.Id).Output)!;

    private void AwaitStopped(Sandbox sandbox)
    {
        for (int i = 0; (string)State(sandbox)["status"]! != "stopped"; i++)
        {
            Assert.True(i < 600, "the container does not stop");
            Thread.Sleep(50);
        }
    }

    [SandboxNamespaceFact]
    public void SecondContainer_JoinsTheSandbox_AndOutlivesTheFirst()
    {
        MakeSpace();
        string before = Look();
        Sandbox first = Make("one", "sh", "-c", "echo shared > /tmp/index.html; busybox httpd -p 80 -h /tmp; trap 'exit 3' TERM; while :; do sleep 0.1; done");
        Sandbox second = Make("two", "sh", "-c", "trap 'exit 5' TERM; while :; do sleep 0.1; done");
        StartDetached(first);
        StartDetached(second);
        Assert.DoesNotContain("10.78.0.2", Look(), StringComparison.Ordinal);

        // One network; names, processes and files of its own.
        Assert.Contains("inet 10.78.0.2/24", Inside(second, "busybox ip addr show eth0"), StringComparison.Ordinal);
        Assert.Equal("shared\n", Inside(second, "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | busybox nc 127.0.0.1 80 | busybox tail -n 1"));
        Assert.Equal("two\n", Inside(second, "busybox hostname"));
        Assert.Equal("one\n", Inside(first, "busybox hostname"));
        Assert.Equal("1\n", Inside(second, "busybox ps -o pid,args | grep -c '[t]rap'"));
        Assert.NotEqual((int)State(first)["pid"]!, (int)State(second)["pid"]!);

        // A pause is of one container alone.
        Assert.Equal(0, Do("pause", first.Id).Status);
        Assert.Equal("goes on\n", Inside(second, "echo goes on"));
        Assert.Equal(0, Do("resume", first.Id).Status);

        Assert.Equal(0, Do("kill", first.Id, "TERM").Status);
        AwaitStopped(first);
        Assert.Equal(3, (int)JsonNode.Parse(Do("wait", first.Id).Output)!["exitStatus"]!);
        Assert.Equal("still\n", Inside(second, "echo still"));
        Assert.Equal(0, Do("delete", first.Id).Status);
        Assert.Contains(" 0% packet loss", Inside(second, "busybox ping -c 1 10.78.0.1"), StringComparison.Ordinal);

        // Another joins the sandbox that its first container has left.
        Sandbox third = Make("three", "busybox", "ip", "addr", "show", "eth0");
        CommandResult result = Do("run", "--bundle", third.Bundle, third.Id);
        Assert.True(result.Status == 0, result.ToString());
        Assert.Contains("inet 10.78.0.2/24", result.Output, StringComparison.Ordinal);

        Assert.Equal(0, Do("kill", second.Id, "TERM").Status);
        AwaitStopped(second);
        Assert.Equal(5, (int)JsonNode.Parse(Do("wait", second.Id).Output)!["exitStatus"]!);
        Assert.Equal(0, Do("delete", second.Id).Status);
        Assert.Equal(before, Look());
        Assert.Empty(Directory.GetFileSystemEntries(first.State));
    }

    [SandboxNamespaceFact]
    public void Namespace_ServesOneSandboxAfterTheOther()
    {
        MakeSpace();
        string before = Look();
        for (int i = 0; i < 3; i++)
        {
            Sandbox sandbox = Make("again", "sh", "-c", "busybox ip route; busybox ping -c 1 10.78.0.1");
            CommandResult result = Do("run", "--bundle", sandbox.Bundle, sandbox.Id);
            Assert.True(result.Status == 0, result.ToString());
            Assert.Contains("10.79.0.0/16 via 10.78.0.1", result.Output, StringComparison.Ordinal);
            Assert.Equal(before, Look());
        }

        // One whose sandbox was killed, and which nobody has deleted.
        Sandbox killed = Make("killed", "sleep", "1000");
        StartDetached(killed);
        CommandRunner.Shell($"kill -9 $(sed -n 's/.*\"sandboxPid\":\\([0-9]*\\).*/\\1/p' {_all[0].State}/{killed.Id}/state.json)");
        AwaitStopped(killed);
        Assert.Equal(137, (int)JsonNode.Parse(Do("wait", killed.Id).Output)!["exitStatus"]!);
        Sandbox next = Make("next", "busybox", "ping", "-c", "1", "10.78.0.1");
        CommandResult last = Do("run", "--bundle", next.Bundle, next.Id);
        Assert.True(last.Status == 0, last.ToString());
        Assert.Equal(0, Do("delete", killed.Id).Status);
        Assert.Equal(before, Look());
    }

    /// <summary>A specification without a network namespace: the caller's.</summary>
    [SandboxNamespaceFact]
    public void NamespaceOfTheCaller_IsGivenBack()
    {
        MakeSpace();
        string before = Look();
        for (int i = 0; i < 2; i++)
        {
            Sandbox sandbox = Make("caller", "busybox", "ping", "-c", "1", "10.78.0.1");
            ((JsonArray)sandbox.Config["linux"]!["namespaces"]!).RemoveAll(space => (string)space!["type"]! == "network");
            sandbox.WriteConfig();
            CommandResult result = CommandRunner.Run("ip", ["netns", "exec", _space, TestEnvironment.Binary!, "--root", sandbox.State, .. sandbox.Flags, "run", "--bundle", sandbox.Bundle, sandbox.Id]);
            Assert.True(result.Status == 0, result.ToString());
            Assert.Equal(before, Look());
        }
    }

    [SandboxNamespaceFact]
    public void NamedNamespaces_AreSharedOrRefused()
    {
        MakeSpace();
        Sandbox first = Make("one", "sleep", "1000");
        StartDetached(first);
        int process = (int)State(first)["pid"]!;
        Sandbox second = Make("renamed", "sh", "-c", "busybox ps -o args; busybox hostname");
        JsonArray spaces = (JsonArray)second.Config["linux"]!["namespaces"]!;
        foreach (string type in new[] { "pid", "ipc", "uts" })
        {
            spaces.RemoveAll(space => (string)space!["type"]! == type);
            spaces.Add(new JsonObject { ["type"] = type, ["path"] = $"/proc/{process}/ns/{type}" });
        }

        second.WriteConfig();
        CommandResult result = Do("run", "--bundle", second.Bundle, second.Id);
        Assert.Contains("sleep 1000\n", result.Output, StringComparison.Ordinal);
        Assert.EndsWith("\nrenamed\n", result.Output, StringComparison.Ordinal);

        // The first goes on when a container that has shared its processes ends.
        Assert.Equal("renamed\n", Inside(first, "busybox hostname"));
        Assert.Equal("1\n", Inside(first, "busybox ps -o args | grep -c '^sleep 1000'"));

        // Another sandbox's.
        second.Flags.Add("--network=none");
        result = CommandRunner.Run(TestEnvironment.Binary!, ["--root", second.State, .. second.Flags, "run", "--bundle", second.Bundle, second.Id]);
        Assert.Equal(128, result.Status);
        Assert.Contains($"linux.namespaces: pid: /proc/{process}/ns/pid is not of a container in this sandbox", result.Error, StringComparison.Ordinal);
        Assert.True(!Directory.Exists(second.State) || Directory.GetFileSystemEntries(second.State).Length == 0, "state is left");
    }
}
