using System;
using System.Collections.Generic;
using System.IO;
using System.Text.Json.Nodes;
using Runsc.Tests.Support;
using Runsc.Tests.Unit.NetStack;
using Xunit;

namespace Runsc.Tests.Runtime;

/// <summary>--network of the published binary: whose interfaces a container gets, and when it is refused.</summary>
[Collection("sandbox")]
public sealed class SandboxNetworkTests
{
    [SandboxFact]
    public void Default_NewNamespace_HasLoopback()
    {
        using Sandbox sandbox = Make();
        CommandResult result = sandbox.Run(["sh", "-c", "ip addr; busybox ping -c 1 127.0.0.1"]);
        Assert.True(result.Status == 0, result.ToString());
        Assert.Contains("inet 127.0.0.1/8", result.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("2: ", result.Output, StringComparison.Ordinal);
    }

    [SandboxFact]
    public void Sysctls_OfTheNetwork_AreInForceAndMayBeWritten()
    {
        using Sandbox sandbox = Make();
        sandbox.Config["process"]!["user"] = new JsonObject { ["uid"] = 1000, ["gid"] = 1000 };
        sandbox.Config["process"]!["capabilities"] = new JsonObject();
        const string script = "cd /proc/sys/net/ipv4; cat ip_unprivileged_port_start ping_group_range tcp_keepalive_time tcp_rmem; busybox httpd -p 127.0.0.1:99 && echo bound";
        Assert.DoesNotContain("bound", sandbox.Run(["sh", "-c", script]).Output, StringComparison.Ordinal);
        sandbox.Config["linux"]!["sysctl"] = new JsonObject
        {
            ["net.ipv4.ip_unprivileged_port_start"] = "99",
            ["net.ipv4.ping_group_range"] = "5 6",
            ["net.ipv4.tcp_keepalive_time"] = "600",
            ["net.ipv4.tcp_rmem"] = "4096 100000 200000",
        };
        sandbox.Runsc(["delete", "--force", sandbox.Id]);
        CommandResult result = sandbox.Run(["sh", "-c", script]);
        Assert.Equal("99\n5\t6\n600\n4096\t100000\t200000\nbound\n", result.Output);

        using Sandbox root = Make();
        result = root.Run(["sh", "-c", """
            cd /proc/sys/net/ipv4; cat ip_forward tcp_congestion_control; for v in 1 x 1\ 2 -1; do echo $v > ip_forward && cat ip_forward; done
            echo reno > tcp_congestion_control; echo none > tcp_congestion_control; cat tcp_congestion_control; echo 70000 5 > ip_local_port_range; echo 3 2 1 > tcp_wmem
            cat ip_local_port_range ../netfilter/nf_conntrack_count; echo 1 > ../netfilter/nf_conntrack_count; true
            """]);
        Assert.Equal("0\ncubic\n1\nreno\n32768\t60999\n0\n", result.Output);
    }

    /// <summary>What the sandbox sends itself stands in the file once, with the lengths that it had; the log has a line for each.</summary>
    [SandboxFact]
    public void Packets_AreRecordedAndLogged()
    {
        using Sandbox sandbox = Make();
        string file = Path.Combine(sandbox.Directory, "packets"), log = Path.Combine(sandbox.Directory, "log");
        sandbox.Flags.AddRange([$"--pcap-log={file}-%ID%", "--log-packets", $"--debug-log={log}"]);
        CommandResult result = sandbox.Run(["sh", "-c", "busybox ping -c 2 127.0.0.1 && busybox ping -c 1 -s 9000 127.0.0.1"]);
        Assert.True(result.Status == 0, result.ToString());
        Assert.Equal((UnixFileMode)0x180, File.GetUnixFileMode($"{file}-{sandbox.Id}"));
        List<CapturedFrame> frames = CaptureFile.Read($"{file}-{sandbox.Id}");
        const int small = 14 + 20 + 8 + 56, large = 14 + 20 + 8 + 9000;
        Assert.Equal([small, small, small, small, large, large], frames.ConvertAll(frame => frame.Length));
        Assert.Equal([8, 0, 8, 0, 8, 0], frames.ConvertAll(frame => (int)frame.Bytes[34]));
        Assert.All(frames, frame => Assert.Equal(Math.Min(frame.Length, 4096), frame.Bytes.Length));
        Assert.All(frames, frame => Assert.True(Math.Abs((DateTime.UtcNow - frame.Time).TotalMinutes) < 60, $"{frame.Time}"));
        string[] lines = Array.FindAll(File.ReadAllLines(log), line => line.Contains(" packet ", StringComparison.Ordinal));
        Assert.Equal(6, lines.Length);
        Assert.EndsWith($"lo in 127.0.0.1 > 127.0.0.1 icmp type 8 code 0, {small} bytes", lines[0], StringComparison.Ordinal);
    }

    [SandboxFact]
    public void HostsOwnNamespace_IsRefused_NothingIsLeft()
    {
        if (!File.Exists("/proc/sys/net/core/dev_weight"))
        {
            // The tests run in a network namespace themselves: it would be taken over, not refused.
            return;
        }

        using Sandbox sandbox = Make();
        JsonArray spaces = (JsonArray)sandbox.Config["linux"]!["namespaces"]!;
        foreach (string? path in new[] { null, $"/proc/{Environment.ProcessId}/ns/net" })
        {
            spaces.RemoveAll(space => (string)space!["type"]! == "network");
            if (path is not null)
            {
                spaces.Add(new JsonObject { ["type"] = "network", ["path"] = path });
            }

            CommandResult result = sandbox.Run(["sh", "-c", "echo runs"]);
            Assert.Equal(128, result.Status);
            Assert.Equal("", result.Output);
            Assert.Contains("the network namespace is the host's own", result.Error, StringComparison.Ordinal);
            Assert.True(!Directory.Exists(sandbox.State) || Directory.GetFileSystemEntries(sandbox.State).Length == 0, "state is left");
        }
    }

    /// <summary>IPv6, which is off in the namespace (as Docker leaves it), is on with linux.sysctl; values of one interface are in force, too.</summary>
    [SandboxNamespaceFact]
    public void NamedNamespace_SpecificationsValuesWin()
    {
        string name = $"runsc{Environment.ProcessId}s";
        try
        {
            CommandRunner.Shell($"""
                set -e
                ip netns add {name}
                ip netns exec {name} sh -c 'for i in all default; do echo 1 > /proc/sys/net/ipv6/conf/$i/disable_ipv6; done'
                ip -n {name} link add eth0 type veth peer name v1
                ip -n {name} link set lo up; ip -n {name} link set v1 up; ip -n {name} link set eth0 up
                """);
            using Sandbox sandbox = Make();
            JsonArray spaces = (JsonArray)sandbox.Config["linux"]!["namespaces"]!;
            spaces.RemoveAll(space => (string)space!["type"]! == "network");
            spaces.Add(new JsonObject { ["type"] = "network", ["path"] = $"/run/netns/{name}" });
            sandbox.Config["linux"]!["sysctl"] = new JsonObject { ["net.ipv6.conf.all.disable_ipv6"] = "0", ["net/ipv4/conf/eth0/rp_filter"] = "2", ["net.ipv4.conf.eth0.arp_ignore"] = "1" };
            CommandResult result = sandbox.Run(["sh", "-c", "cd /proc/sys/net; cat ipv6/conf/lo/disable_ipv6 ipv6/conf/eth0/disable_ipv6 ipv4/conf/eth0/rp_filter ipv4/conf/eth0/arp_ignore; ip -6 addr | grep -c -E ' ::1/128| fe80:.*/64'"]);
            Assert.Equal("0\n0\n2\n1\n3\n", result.Output);
        }
        finally
        {
            CommandRunner.Run("/usr/sbin/ip", ["netns", "del", name]);
        }
    }

    [SandboxNamespaceFact]
    public void NamedNamespace_InterfacesMoveIn()
    {
        string name = $"runsc{Environment.ProcessId}";
        string script = $"""
            set -e
            ip netns add {name}o; ip netns add {name}i
            ip -n {name}o link add v1 type veth peer name eth0 netns {name}i
            ip -n {name}o link set lo up; ip -n {name}o link set v1 up
            ip -n {name}o addr add 10.77.0.1/24 dev v1; ip -n {name}o -6 addr add fd77::1/64 dev v1 nodad
            ip -n {name}i link set lo up; ip -n {name}i link set eth0 up
            ip -n {name}i addr add 10.77.0.2/24 brd + dev eth0; ip -n {name}i -6 addr add fd77::2/64 dev eth0 nodad
            ip -n {name}i route add default via 10.77.0.1
            ip netns exec {name}i sh -c 'cd /proc/sys/net/ipv4; echo 1 > ip_forward; echo 0 > conf/lo/forwarding; echo 2 > conf/eth0/rp_filter; echo 77 > ip_unprivileged_port_start
                echo 40000 50000 > ip_local_port_range; echo 7 > tcp_keepalive_probes; echo 99 > ip_default_ttl; echo 0 > ../ipv6/conf/eth0/accept_ra'
            """;
        try
        {
            CommandRunner.Shell(script);
            using Sandbox sandbox = Make();
            JsonArray spaces = (JsonArray)sandbox.Config["linux"]!["namespaces"]!;
            spaces.RemoveAll(space => (string)space!["type"]! == "network");
            spaces.Add(new JsonObject { ["type"] = "network", ["path"] = $"/run/netns/{name}i" });
            sandbox.Config["process"]!["args"] = new JsonArray("sh", "-c", "echo inside > /tmp/index.html; exec busybox httpd -f -p 80 -h /tmp");
            sandbox.Config["linux"]!["sysctl"] = new JsonObject { ["net.ipv4.ip_default_ttl"] = "60" };
            sandbox.WriteConfig();
            CommandResult result = CommandRunner.Run("/bin/sh", ["-c", $"{TestEnvironment.Binary} --root {sandbox.State} {string.Join(' ', sandbox.Flags)} run --detach --bundle {sandbox.Bundle} {sandbox.Id} </dev/null >/dev/null 2>{sandbox.Directory}/error"]);
            Assert.True(result.Status == 0, File.ReadAllText($"{sandbox.Directory}/error"));
            string inside = sandbox.Runsc(["exec", sandbox.Id, "sh", "-c", "ip addr; ip route"]).Output;
            Assert.Contains("inet 10.77.0.2/24 brd 10.77.0.255", inside, StringComparison.Ordinal);
            Assert.Contains("inet6 fd77::2/64", inside, StringComparison.Ordinal);
            Assert.Contains("default via 10.77.0.1", inside, StringComparison.Ordinal);

            // The host's values of the namespace, but for what the specification says; a namespace inside begins with those of IPv4's interfaces.
            const string values = "cd /proc/sys/net/ipv4; cat ip_forward conf/lo/forwarding conf/eth0/rp_filter ip_unprivileged_port_start ip_local_port_range tcp_keepalive_probes ip_default_ttl"
                + " ../ipv6/conf/eth0/accept_ra; busybox unshare -n cat ip_forward conf/lo/forwarding tcp_keepalive_probes";
            Assert.Equal("1\n0\n2\n77\n40000\t50000\n7\n60\n0\n1\n1\n9\n", sandbox.Runsc(["exec", "--cap", "CAP_SYS_ADMIN", sandbox.Id, "sh", "-c", values]).Output);
            foreach (string address in new[] { "10.77.0.2", "fd77::2" })
            {
                string fetch = $"exec 3<>/dev/tcp/{address}/80 && printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3 && cat <&3";
                Assert.EndsWith(
                    "\r\n\r\ninside\n", CommandRunner.Shell($"for i in 1 2 3 4 5 6 7 8 9 10; do timeout 10 ip netns exec {name}o bash -c \"{fetch}\" && break; sleep 0.3; done"),
                    StringComparison.Ordinal);
            }

            result = sandbox.Runsc(["exec", sandbox.Id, "sh", "-c", "busybox ping -c 2 10.77.0.1 && busybox ping -c 2 fd77::1 && busybox ping -c 2 -s 5000 10.77.0.1"]);
            Assert.True(result.Status == 0, result.ToString());
        }
        finally
        {
            CommandRunner.Run("/bin/sh", ["-c", $"ip netns del {name}i; ip netns del {name}o"]);
        }
    }

    private static Sandbox Make()
    {
        Sandbox sandbox = new();
        sandbox.Flags.Remove("--network=none");
        foreach (string program in new[] { "ip", "ping" })
        {
            File.CreateSymbolicLink(Path.Combine(sandbox.Root, "bin", program), "busybox");
        }

        return sandbox;
    }
}

/// <summary>A test with a sandbox and network namespaces of the host.</summary>
public sealed class SandboxNamespaceFactAttribute : FactAttribute
{
    public SandboxNamespaceFactAttribute() => Skip = TestEnvironment.SandboxMissing ?? NamespaceTests.Missing();
}
