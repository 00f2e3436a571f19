using System;
using System.Text.RegularExpressions;
using Runsc.Tests.Support;
using Xunit;

namespace Runsc.Tests.Docker;

/// <summary>A test with a Docker daemon that has bridges.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class NetworkFactAttribute : FactAttribute
{
    public NetworkFactAttribute() => Skip = NetworkEngine.NetworkMissing;
}

/// <summary>What people do with Docker's networks. All traffic stays in a network namespace of the test.</summary>
[Collection("sandbox")]
public sealed partial class NetworkTests(NetworkEngine engine) : IClassFixture<NetworkEngine>
{
    private const string Server = "mkdir -p /www && echo \"$HOSTNAME serves\" > /www/index.html && exec httpd -f -p 80 -h /www";

    private static string Name() => "n" + Guid.NewGuid().ToString("N")[..12];

    /// <summary>A web server, detached; it listens when this returns.</summary>
    private string Serve(params string[] options)
    {
        string name = Name();
        engine.Do(["run", "-d", "--name", name, "--hostname", name, .. options, "bb", "sh", "-c", "export HOSTNAME=" + name + ";" + Server]);
        DockerEngine.Await(() => engine.Docker("exec", name, "sh", "-c", Get("127.0.0.1", 80)).Output == $"{name} serves\n", "the server does not answer itself");
        return name;
    }

    /// <summary>A command that prints a page, by default its last line. A static busybox cannot look names up everywhere, so it is no wget.</summary>
    private static string Get(string address, int port, string page = "/", string filter = "tail -n 1") => $"printf 'GET {page} HTTP/1.0\\r\\n\\r\\n' | nc -w 10 {address} {port} | {filter}";

    /// <summary>The body of a web page, fetched in the daemon's namespace; empty when there is none.</summary>
    private string Fetch(string address, int port)
    {
        string text = engine.Outside("timeout", "10", "bash", "-c", $"exec 3<>/dev/tcp/{address}/{port} && printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3 && cat <&3").Output;
        int body = text.IndexOf("\r\n\r\n", StringComparison.Ordinal);
        return body < 0 ? "" : text[(body + 4)..];
    }

    private string AddressOf(string name, string field = "IPAddress") => engine.Do("inspect", "-f", "{{range .NetworkSettings.Networks}}{{." + field + "}}{{end}}", name);

    [NetworkFact]
    public void Bridge_PublishedPort_IsReachedFromOutside()
    {
        string name = Serve("-p", "127.0.0.1:18080:80");
        Assert.Equal($"{name} serves\n", Fetch("127.0.0.1", 18080));
        Assert.Equal($"{name} serves\n", Fetch(AddressOf(name), 80));
        string addresses = engine.Do("exec", name, "ip", "addr", "show", "eth0");
        Assert.Contains($"inet {AddressOf(name)}/", addresses, StringComparison.Ordinal);
        Assert.Contains(engine.Do("inspect", "-f", "{{.NetworkSettings.MacAddress}}", name), addresses, StringComparison.Ordinal);
        Assert.Contains("default via " + engine.Do("inspect", "-f", "{{.NetworkSettings.Gateway}}", name), engine.Do("exec", name, "ip", "route"), StringComparison.Ordinal);

        // The host's kernel has the address no more.
        string process = engine.Do("inspect", "-f", "{{.State.Pid}}", name);
        Assert.DoesNotContain("inet ", CommandRunner.Run("nsenter", ["-t", process, "-n", "ip", "addr", "show", "eth0"]).Output, StringComparison.Ordinal);

        // What docker stats tells as received and sent is more than nothing.
        Match traffic = Traffic().Match(engine.Do("stats", "--no-stream", "--format", "{{.NetIO}}", name));
        Assert.True(traffic.Success && traffic.Groups[1].Value != "0" && traffic.Groups[2].Value != "0", traffic.Value);
        engine.Do("rm", "-f", name);
    }

    [NetworkFact]
    public void Bridge_ReachesAServerOutside()
    {
        string name = Serve("--network", "bridge");
        string gateway = engine.Do("inspect", "-f", "{{.NetworkSettings.Gateway}}", name);
        using System.Diagnostics.Process server = System.Diagnostics.Process.Start("nsenter", $"--net=/run/netns/{engine.Space} python3 -m http.server --bind {gateway} --directory /etc 8000")!;
        try
        {
            string mine = CommandRunner.Run("busybox", ["sha256sum", "/etc/services"]).Output[..64];
            DockerEngine.Await(
                () => engine.Docker("exec", name, "sh", "-c", Get(gateway, 8000, "/services", "sed '1,/^\r*$/d'") + " | sha256sum").Output.StartsWith(mine, StringComparison.Ordinal),
                "the file does not come");
        }
        finally
        {
            server.Kill();
            server.WaitForExit();
        }

        Assert.Contains(" 0% packet loss", engine.Do("exec", name, "ping", "-c", "3", "-W", "10", gateway), StringComparison.Ordinal);
        engine.Do("rm", "-f", name);
    }

    [NetworkFact]
    public void UserNetwork_NamesAreResolved()
    {
        string network = Name();
        engine.Do("network", "create", network);
        string server = Serve("--network", network, "--network-alias", "web");
        foreach (string name in new[] { server, "web" })
        {
            // The name server of the network tells the address, at which the server is.
            CommandResult result = engine.Docker(
                "run", "--rm", "--network", network, "bb", "sh", "-c",
                $"a=$(nslookup {name} 127.0.0.11 | sed -n 's/^Address: *\\([0-9.]*\\)$/\\1/p'); echo \"$a\"; " + Get("$a", 80));
            Assert.True(result.Output == $"{AddressOf(server)}\n{server} serves\n", result.ToString());
        }

        CommandResult wrong = engine.Docker("run", "--rm", "--network", network, "bb", "nslookup", "no-such-name.", "127.0.0.11");
        Assert.NotEqual(0, wrong.Status);

        // Networks are apart.
        Assert.NotEqual(0, engine.Docker("run", "--rm", "bb", "nc", "-w", "2", "-z", AddressOf(server), "80").Status);
        engine.Do("rm", "-f", server);
        engine.Do("network", "rm", network);
    }

    [NetworkFact]
    public void Ipv6Network_BothFamiliesServe()
    {
        string network = Name();
        engine.Do("network", "create", "--ipv6", "--subnet", "fd99:7::/64", network);
        string server = Serve("--network", network);
        string address = AddressOf(server, "GlobalIPv6Address");
        Assert.Equal($"{server} serves\n", engine.Docker("run", "--rm", "--network", network, "bb", "sh", "-c", Get(address, 80)).Output);
        Assert.Equal($"{server} serves\n", engine.Docker("run", "--rm", "--network", network, "bb", "sh", "-c", Get(AddressOf(server), 80)).Output);
        engine.Do("rm", "-f", server);

        // Where Docker gives no IPv6 there is none, not even on lo.
        Assert.DoesNotContain("inet6", engine.Do("run", "--rm", "bb", "ip", "addr"), StringComparison.Ordinal);
        engine.Do("network", "rm", network);
    }

    /// <summary>--network container:X: the same addresses; each has its own exit status, and goes on without the other.</summary>
    [NetworkFact]
    public void NetworkOfAnotherContainer_IsShared()
    {
        string server = Serve(), client = Name();
        Assert.Equal($"{server} serves\n", engine.Docker("run", "--rm", "--network", "container:" + server, "bb", "sh", "-c", Get("127.0.0.1", 80)).Output);
        CommandResult status = engine.Docker("run", "--rm", "--network", "container:" + server, "bb", "sh", "-c", "exit 7");
        Assert.True(status.Status == 7, status.ToString());
        engine.Do("run", "-d", "--name", client, "--network", "container:" + server, "bb", "sh", "-c", "trap 'exit 6' TERM; while :; do sleep 0.1; done");
        Assert.Contains($"inet {AddressOf(server)}/", engine.Do("exec", client, "ip", "addr", "show", "eth0"), StringComparison.Ordinal);
        Assert.DoesNotContain("httpd", engine.Do("exec", client, "ps"), StringComparison.Ordinal);
        string top = engine.Do("top", client);
        Assert.Contains("trap", top, StringComparison.Ordinal);

        engine.Do("kill", server);
        Assert.Equal("137", engine.Do("wait", server));
        engine.Do("rm", server);
        Assert.Equal("still", engine.Do("exec", client, "echo", "still"));
        engine.Do("stop", client);
        Assert.Equal("6", engine.Do("wait", client));
        engine.Do("rm", client);
    }

    [NetworkFact]
    public void Restart_ServesAgain()
    {
        string server = Serve("-p", "127.0.0.1:18081:80");
        engine.Do("restart", "-t", "1", server);
        DockerEngine.Await(() => Fetch("127.0.0.1", 18081) == $"{server} serves\n", "the server does not serve after the restart");
        engine.Do("rm", "-f", server);
    }

    [NetworkFact]
    public void HostNetwork_UsesTheSocketsOfTheHost()
    {
        string name = Name();
        engine.Do("run", "-d", "--runtime", "runsc-host", "--network", "host", "--name", name, "bb", "sh", "-c", "echo on the host > /tmp/index.html; exec httpd -f -p 80 -h /tmp");
        DockerEngine.Await(() => Fetch("127.0.0.1", 80) == "on the host\n", "the server is not reached");
        Assert.Equal("on the host", engine.Do("exec", name, "sh", "-c", Get("127.0.0.1", 80)));
        Assert.Contains("docker0", engine.Do("exec", name, "ip", "addr"), StringComparison.Ordinal);

        // Without the capability the low ports stay closed.
        CommandResult refused = engine.Docker("run", "--rm", "--runtime", "runsc-host", "--network", "host", "--cap-drop", "NET_BIND_SERVICE", "bb", "httpd", "-f", "-p", "81");
        Assert.Contains("Permission denied", refused.ToString(), StringComparison.Ordinal);
        engine.Do("rm", "-f", name);
    }

    [GeneratedRegex("^([0-9.]+)[kMG]?B / ([0-9.]+)[kMG]?B")]
    private static partial Regex Traffic();
}
