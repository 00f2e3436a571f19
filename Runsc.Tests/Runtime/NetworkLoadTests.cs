using System;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using System.Threading;
using Runsc.Tests.Support;
using Xunit;

namespace Runsc.Tests.Runtime;

/// <summary>
/// A sandbox's network under what a host on its link can do: thousands of connections at once, a flood of SYNs, frames that make no sense.
/// NETWORK_CONNECTIONS, NETWORK_SYNS and NETWORK_FRAMES set the numbers, NETWORK_SEED what the frames are.
/// </summary>
[Collection("sandbox")]
public sealed class NetworkLoadTests : IDisposable
{
    private const string Outside = "10.77.0.1", Inside = "10.77.0.2";

    private static readonly string s_connections = Number("NETWORK_CONNECTIONS", 2000);
    private static readonly string s_syns = Number("NETWORK_SYNS", 100_000);
    private static readonly string s_frames = Number("NETWORK_FRAMES", 100_000);
    private static readonly string s_seed = Number("NETWORK_SEED", 77);

    private readonly Sandbox _sandbox = new();
    private readonly string _space = $"runsc{Environment.ProcessId}l";

    public NetworkLoadTests()
    {
        _sandbox.Flags.Remove("--network=none");
        foreach (JsonNode? limit in _sandbox.Config["process"]!["rlimits"]!.AsArray())
        {
            limit!["hard"] = 20_000;
        }
    }

    [SandboxNamespaceFact]
    public void Connections_FromOutside_AreAllServed()
    {
        Start("connections", "/bin/connections", "serve", "7100");
        Assert.Equal($"{s_connections} connected, {s_connections} answered\n", FromOutside("connections", "ask", Inside, "7100", s_connections));
    }

    [SandboxNamespaceFact]
    public void Memory_OfConnections_GoesBackToTheHost()
    {
        Start("connections", "/bin/connections", "serve", "7100");
        FromOutside("connections", "ask", Inside, "7100", "50");
        long before = MemoryOfSentry(), busy = 0;
        for (int i = 0; i < 3; i++)
        {
            FromOutside("connections", "ask", Inside, "7100", s_connections);
            busy = Math.Max(busy, MemoryOfSentry());
        }

        // It says nothing unless there was something to give back; how soon that happens is not said.
        Assert.True(busy > before + 4096, $"{before} KiB before, {busy} KiB busy");
        for (int i = 0; i < 1200 && MemoryOfSentry() > before + ((busy - before) / 2); i++)
        {
            Thread.Sleep(100);
        }

        Assert.InRange(MemoryOfSentry(), 0, before + ((busy - before) / 2));
    }

    [SandboxNamespaceFact]
    public void Connections_ToTheOutside_AreAllServed()
    {
        Start("connections", "/bin/sleep", "1000");
        string asked = $"{_sandbox.Directory}/asked";
        CommandResult result = CommandRunner.Run("/bin/sh", ["-c", $"""
            ip netns exec {_space}o {Program("connections")} serve 7100 >{_sandbox.Directory}/served & server=$!
            until grep -q listening {_sandbox.Directory}/served; do sleep 0.05; done
            {TestEnvironment.Binary} --root {_sandbox.State} {string.Join(' ', _sandbox.Flags)} exec {_sandbox.Id} /bin/connections ask {Outside} 7100 {s_connections} >{asked} 2>&1
            kill $server
            """]);
        Assert.True(File.ReadAllText(asked) == $"{s_connections} connected, {s_connections} answered\n", $"{result}{File.ReadAllText(asked)}");
    }

    [SandboxNamespaceFact]
    public void Connections_OnLoopback_AreAllServed()
    {
        Start("connections", "/bin/sleep", "1000");
        Assert.Equal($"{s_connections} connected, {s_connections} answered\n", Exec("/bin/connections", "both", "7100", s_connections));
    }

    [SandboxNamespaceFact]
    public void FloodOfSyns_GenuineClients_AreServed()
    {
        Start("connections", "/bin/connections", "serve", "7100");
        Compile("flood");
        string flooded = $"{_sandbox.Directory}/flooded";
        CommandResult result = CommandRunner.Run("/bin/sh", ["-c", $"""
            ip netns exec {_space}o {Program("flood")} {Inside} 7100 {s_syns} >{flooded} 2>&1 & flood=$!
            while :; do
                ip netns exec {_space}o {Program("connections")} ask {Inside} 7100 50 || exit 1
                kill -0 $flood 2>/dev/null || break
            done
            """]);
        Assert.True(result.Status == 0 && result.Output.EndsWith("50 connected, 50 answered\n", StringComparison.Ordinal), result.ToString());
        Assert.EndsWith(" sent\n", File.ReadAllText(flooded), StringComparison.Ordinal);
        Assert.True(Counter("SyncookiesSent") > 0, "no cookie was sent");
        Assert.True(Counter("SyncookiesRecv") > 0, "no cookie came back");

        // The listener, and handshakes that a full queue of them was begun for.
        Match sockets = Regex.Match(Exec("/bin/cat", "/proc/net/sockstat"), @"TCP: inuse (\d+)");
        Assert.InRange(int.Parse(sockets.Groups[1].Value, CultureInfo.InvariantCulture), 1, 60);
    }

    [SandboxNamespaceFact]
    public void Frames_ThatMakeNoSense_HarmNothing()
    {
        Start("connections", "/bin/connections", "serve", "80");
        Compile("frames");
        string mac = CommandRunner.Shell($"ip -n {_space}i -br link show eth0").Split(' ', StringSplitOptions.RemoveEmptyEntries)[2];
        Assert.Equal($"{s_frames} sent\n", FromOutside("frames", "v1", mac, s_frames, s_seed));
        Assert.Equal("50 connected, 50 answered\n", FromOutside("connections", "ask", Inside, "80", "50"));
        Assert.Contains("\"running\"", _sandbox.Runsc(["state", _sandbox.Id]).Output, StringComparison.Ordinal);
    }

    public void Dispose()
    {
        _sandbox.Dispose();
        CommandRunner.Run("/bin/sh", ["-c", $"ip netns del {_space}i; ip netns del {_space}o"]);
    }

    private static string Number(string name, int otherwise) =>
        (int.TryParse(Environment.GetEnvironmentVariable(name), out int value) ? value : otherwise).ToString(CultureInfo.InvariantCulture);

    private string Program(string name) => Path.Combine(_sandbox.Root, "bin", name);

    private void Compile(string name)
    {
        CommandResult built = CommandRunner.Run(
            "/usr/bin/gcc",
            ["-O1", "-static", "-Wall", "-Werror", "-Wno-unused-result", "-o", Program(name), Path.Combine(TestEnvironment.Top, "Runsc.Tests/Runtime/network", name + ".c")]);
        Assert.True(built.Status == 0, built.ToString());
    }

    /// <summary>A container whose eth0 is the end of a veth pair; it waits until a server listens.</summary>
    private void Start(string program, params string[] command)
    {
        Compile(program);
        CommandRunner.Shell($"""
            set -e
            ip netns add {_space}o; ip netns add {_space}i
            ip -n {_space}o link add v1 type veth peer name eth0 netns {_space}i
            ip -n {_space}o link set lo up; ip -n {_space}o link set v1 up; ip -n {_space}o addr add {Outside}/24 dev v1; ip -n {_space}o addr add fd77::1/64 dev v1 nodad
            ip -n {_space}i link set lo up; ip -n {_space}i link set eth0 up; ip -n {_space}i addr add {Inside}/24 brd + dev eth0; ip -n {_space}i addr add fd77::2/64 dev eth0 nodad
            ip -n {_space}i route add default via {Outside}
            """);
        JsonArray spaces = (JsonArray)_sandbox.Config["linux"]!["namespaces"]!;
        spaces.RemoveAll(space => (string)space!["type"]! == "network");
        spaces.Add(new JsonObject { ["type"] = "network", ["path"] = $"/run/netns/{_space}i" });
        _sandbox.Config["process"]!["args"] = new JsonArray([.. command.Select(word => (JsonNode)word)]);
        _sandbox.WriteConfig();
        string output = $"{_sandbox.Directory}/output";
        CommandResult result = CommandRunner.Run("/bin/sh", ["-c", $"""
            {TestEnvironment.Binary} --root {_sandbox.State} {string.Join(' ', _sandbox.Flags)} run --detach --bundle {_sandbox.Bundle} {_sandbox.Id} </dev/null >{output} 2>&1 || exit 1
            [ {command[0]} = /bin/sleep ] || until grep -q listening {output}; do sleep 0.05; done
            """]);
        Assert.True(result.Status == 0, File.ReadAllText(output));
    }

    private string FromOutside(string program, params string[] arguments)
    {
        CommandResult result = CommandRunner.Run("/usr/bin/env", ["ip", "netns", "exec", _space + "o", Program(program), .. arguments]);
        return result.Status == 0 ? result.Output : result.ToString();
    }

    private string Exec(params string[] command)
    {
        CommandResult result = _sandbox.Runsc(["exec", _sandbox.Id, .. command]);
        return result.Status == 0 ? result.Output : result.ToString();
    }

    /// <summary>Kibibytes that the Sentry has for itself.</summary>
    private long MemoryOfSentry()
    {
        string state = Directory.GetFiles(Directory.GetDirectories(_sandbox.State, "sandbox:*")[0])[0];
        string pid = JsonNode.Parse(File.ReadAllText(state))!["pid"]!.ToString();
        Match size = Regex.Match(File.ReadAllText($"/proc/{pid}/smaps_rollup"), @"Pss_Anon: +(\d+)");
        return long.Parse(size.Groups[1].Value, CultureInfo.InvariantCulture);
    }

    private long Counter(string name)
    {
        string[] lines = Exec("/bin/cat", "/proc/net/netstat").Split('\n');
        string[] names = lines[0].Split(' '), values = lines[1].Split(' ');
        return long.Parse(values[Array.IndexOf(names, name)], CultureInfo.InvariantCulture);
    }
}
