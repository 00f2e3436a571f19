using System;
using System.IO;
using System.Text.Json.Nodes;
using Runsc.Tests.Support;
using Xunit;

namespace Runsc.Tests.Runtime;

/// <summary>iptables (of both kinds) and nft of this machine in a sandbox over its root, and in a network namespace of its kernel: they say the same, and packets fare alike.</summary>
[Collection("sandbox")]
public sealed class PacketFilterTests
{
    private const string Rules = """
        I=iptables-KIND I6=ip6tables-KIND
        $I -S; $I -t nat -S
        $I -A INPUT -p tcp --dport 80 -m conntrack --ctstate NEW,ESTABLISHED -j ACCEPT
        $I -A INPUT -m state --state INVALID -j DROP
        $I -A OUTPUT -m owner --uid-owner 5 -m multiport -p tcp --dports 1,2:3 -m comment --comment hi -m limit --limit 5/s -m addrtype --dst-type LOCAL -j LOG --log-prefix x
        $I -A OUTPUT -p tcp --dport 99 -j REJECT --reject-with tcp-reset
        $I -A OUTPUT -d 10.0.0.1 ! -p tcp -m mark --mark 3/7 -j ACCEPT
        $I -N a; $I -A a -s 1.2.3.0/24 -j DROP; $I -I FORWARD 1 -i eth+ ! -o lo -j a; $I -E a b; $I -X b; $I -P FORWARD DROP
        $I -N c; $I -A b -j c; $I -A c -j b; $I -A b -g nobody
        $I -t nat -A OUTPUT -p tcp --dport 81 -j REDIRECT --to-ports 82
        $I -t nat -A PREROUTING -p tcp --dport 1 -j DNAT --to 1.2.3.4:5-9
        $I -t nat -A POSTROUTING -s 10.0.0.0/8 ! -o eth0 -j SNAT --to-source 1.2.3.4-1.2.3.9 --persistent
        $I -t nat -A POSTROUTING -p udp -j MASQUERADE --to-ports 100-200
        $I -t mangle -A OUTPUT -j MARK --set-mark 4; $I -t mangle -A FORWARD -j CONNMARK --save-mark; $I -t raw -A PREROUTING -p udp -j NOTRACK
        $I -A OUTPUT -j DNAT --to-destination 1.2.3.4; $I -t nat -A OUTPUT -j SNAT --to-source 1.2.3.4; $I -A FORWARD -m owner --uid-owner 1 -j DROP; $I -A INPUT -j NONE
        $I6 -A INPUT -p icmpv6 --icmpv6-type echo-request -j REJECT --reject-with icmp6-adm-prohibited; $I6 -A OUTPUT -p udp -s fe80::/10 -j ACCEPT
        $I-save | grep -v '^#'; $I6-save | grep -v '^#'
        $I-save > /tmp/rules; $I -F; $I -X c; $I-restore < /tmp/rules; $I-save -c | grep -v '^#'; $I -R FORWARD 1 -j RETURN; $I -C OUTPUT -j DROP; $I -D INPUT 1; $I -S
        setpriv --reuid 1 --clear-groups --bounding-set -net_admin $I -L >/dev/null && echo listed by nobody
        true
        """;

    private const string Nft = """
        cat > /tmp/ruleset <<X
        table inet t {
         set s { type ipv4_addr; flags interval; elements = { 10.0.0.0/8, 192.168.1.1-192.168.1.9 } }
         map m { type inet_service : verdict; elements = { 22 : drop, 23 : jump c } }
         chain c { counter return; }
         chain in { type filter hook input priority 0; policy accept;
          ct state established,related accept
          ip saddr @s tcp dport { 80, 443 } counter log prefix "x" accept
          tcp dport vmap @m
          udp dport 1000-2000 limit rate 10/second reject
          meta mark 0x5 iifname "lo" drop
          tcp dport 5 reject with tcp reset
          ip6 saddr fe80::/10 icmpv6 type { echo-request, echo-reply } accept
          jump { counter; }
         }
        }
        table ip n {
         chain pre { type nat hook prerouting priority dstnat; tcp dport 8080 redirect to :80
          dnat to tcp dport map { 81 : 10.0.0.1 }
          ip saddr 10.0.0.1 tcp dport 1 dnat to 10.0.0.2-10.0.0.9:80-90 persistent
         }
         chain post { type nat hook postrouting priority 100; oifname "eth0" masquerade
          ip daddr 1.2.3.4 tcp dport 1 snat to 5.6.7.8:100-200
         }
        }
        X
        nft -f /tmp/ruleset; nft -a list ruleset
        nft add element inet t s { 11.0.0.1 }; nft add element inet t s { 11.0.0.1 }; nft delete element inet t s { 12.0.0.1 }; nft list set inet t s
        nft delete rule inet t in handle 999; nft list chain inet t nothing; nft add chain inet none x; nft create table ip n
        nft 'add rule inet t in ip saddr . tcp dport { 1.2.3.4 . 80, 10.0.0.0/8 . 100-200 } drop'
        nft add chain inet t c2; nft add rule inet t c2 jump c; nft add rule inet t c jump c2; nft delete chain inet t c; nft delete set inet t s
        nft add map inet t mm '{ type ipv4_addr : mark; }'; nft add element inet t mm '{ 1.1.1.1 : 5, 2.2.2.2 : 6 }'; nft add rule inet t in meta mark set ip saddr map @mm
        nft add rule inet t in ct mark set meta mark; nft add rule inet t in ip dscp set cs1; nft 'add rule inet t in tcp flags syn / fin,syn,rst,ack counter'
        nft insert rule inet t in index 1 counter; nft rename chain inet t c2 c3; nft list ruleset
        nft flush table inet t; nft list ruleset; nft delete table inet t; nft list tables; nft flush ruleset; nft list ruleset
        """;

    // Servers on the loopback interface, and who reaches them through what.
    private const string Traffic = """
        ip link set lo up 2>/dev/null
        cat > /tmp/server.py <<'X'
        import socket, threading
        def tcp(family, port):
            s = socket.socket(family, socket.SOCK_STREAM); s.setsockopt(1, 2, 1); s.bind(('127.0.0.1' if family == socket.AF_INET else '::1', port)); s.listen(9)
            while True:
                c, _ = s.accept()
                try:
                    o = c.getsockopt(0 if family == socket.AF_INET else 41, 80, 28)
                    o = (socket.inet_ntoa(o[4:8]) if family == socket.AF_INET else socket.inet_ntop(10, o[8:24])) + ' ' + str(int.from_bytes(o[2:4], 'big'))
                except OSError as e: o = str(e)
                c.sendall(b'port %d, sent to %s\n' % (port, o.encode())); c.close()
        def udp():
            u = socket.socket(2, 2); u.bind(('127.0.0.1', 53))
            while True:
                d, a = u.recvfrom(99); u.sendto(b'udp ' + d, a)
        for port in (80, 82, 83): threading.Thread(target=tcp, args=(2, port), daemon=True).start()
        threading.Thread(target=tcp, args=(10, 80), daemon=True).start()
        threading.Thread(target=tcp, args=(10, 82), daemon=True).start()
        threading.Thread(target=udp, daemon=True).start()
        def ask(kind, address, port):
            s = socket.socket(10 if ':' in address else 2, kind); s.settimeout(2)
            try:
                s.connect((address, port))
                if kind == 2: s.send(b'hi')
                print(kind, address, port, s.recv(99))
            except OSError as e: print(kind, address, port, e)
        import time, os; time.sleep(0.5)
        for port in (80, 81, 82, 90, 91): ask(1, '127.0.0.1', port)
        ask(1, '127.0.0.9', 5555)
        for port in (80, 81, 82): ask(1, '::1', port)
        for port in (53, 5353, 92, 93): ask(2, '127.0.0.1', port)
        u = socket.socket(2, 2); u.settimeout(2); u.sendto(b'x', ('127.0.0.1', 5353)); print(u.recvfrom(9))
        os.setgid(1); os.setuid(1)
        for port in (81, 82): ask(1, '127.0.0.1', port)
        X
        I=iptables-KIND I6=ip6tables-KIND
        $I -t nat -A OUTPUT -p tcp --dport 81 -j REDIRECT --to-ports 82
        $I -t nat -A OUTPUT -p tcp -d 127.0.0.9 --dport 5555 -j DNAT --to-destination 127.0.0.1:83
        $I -t nat -A OUTPUT -p udp --dport 5353 -j REDIRECT --to-ports 53
        $I -A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
        $I -A INPUT -p tcp --dport 80 -j REJECT --reject-with icmp-port-unreachable
        $I -A OUTPUT -p tcp --dport 90 -j REJECT --reject-with tcp-reset
        $I -A OUTPUT -p tcp --dport 91 -j DROP
        $I -A OUTPUT -p tcp --dport 82 -m owner --uid-owner 1 -j REJECT
        $I -A OUTPUT -p udp --dport 92 -j DROP
        $I6 -t nat -A OUTPUT -p tcp --dport 81 -j REDIRECT --to-ports 82
        $I6 -A OUTPUT -p tcp -m multiport --dports 79,80 -j REJECT
        python3 /tmp/server.py
        """;

    [FilterTheory]
    [InlineData("legacy")]
    [InlineData("nft")]
    public void Iptables_RulesAsTheHostLists(string kind) => Compare(Rules.Replace("KIND", kind, StringComparison.Ordinal));

    [FilterFact]
    public void Nft_RulesAsTheHostLists() => Compare(Nft);

    /// <summary>Time-outs, sets and maps that rules change, objects; connections; and events.</summary>
    [FilterTheory]
    [InlineData("nft")]
    [InlineData("nft_monitor")]
    [InlineData("conntrack")]
    [InlineData("conntrack_tcp")]
    [InlineData("filter_matches")]
    public void Script_AsOnTheHost(string name) => Compare(File.ReadAllText(Path.Combine(TestEnvironment.Top, $"Runsc.Tests/Guest/links/{name}.sh")));

    [FilterFact]
    public void Nft_HelperOfConnections_IsRefused()
    {
        using Sandbox sandbox = Make();
        CommandResult result = sandbox.Run(["sh", "-c", "nft add table inet t; nft add ct helper inet t h '{ type \"ftp\" protocol tcp; }'"]);
        Assert.Contains("Operation not supported", result.Error, StringComparison.Ordinal);
    }

    [FilterTheory]
    [InlineData("legacy")]
    [InlineData("nft")]
    public void Packets_FareAsOnTheHost(string kind) => Compare(Traffic.Replace("KIND", kind, StringComparison.Ordinal));

    [FilterFact]
    public void OverAWire_PortsAreRedirectedAndRefused()
    {
        string name = $"runscf{Environment.ProcessId}";
        string setUp = $"""
            set -e
            ip netns add {name}o; ip netns add {name}i
            ip -n {name}o link add v1 type veth peer name eth0 netns {name}i
            ip -n {name}o link set lo up; ip -n {name}o link set v1 up; ip -n {name}o addr add 10.78.0.1/24 dev v1
            ip -n {name}i link set lo up; ip -n {name}i link set eth0 up; ip -n {name}i addr add 10.78.0.2/24 brd + dev eth0
            """;
        const string inside = """
            iptables-legacy -t nat -A PREROUTING -p tcp --dport 8080 -j REDIRECT --to-ports 80
            iptables-legacy -A INPUT -p tcp --dport 81 -j REJECT --reject-with tcp-reset
            iptables-legacy -A INPUT -p tcp --dport 82 -j REJECT
            iptables-legacy -t nat -A POSTROUTING -o eth0 -p udp -j MASQUERADE --to-ports 7000-7000
            exec python3 -m http.server --bind 0.0.0.0 --directory /usr/share/misc 80
            """;
        string ask = $$"""
            cat > /tmp/{{name}}.py <<'X'
            import socket, time
            for port in (8080, 80, 81, 82):
                for attempt in range(50):
                    s = socket.socket(); s.settimeout(10)
                    try:
                        s.connect(('10.78.0.2', port)); s.send(b'GET /none HTTP/1.0\r\n\r\n'); print(port, s.recv(12)); break
                    except OSError as e:
                        if port != 8080 or attempt == 49: print(port, e); break
                        time.sleep(0.3)
            X
            ip netns exec {{name}}o python3 /tmp/{{name}}.py; rm /tmp/{{name}}.py
            """;
        try
        {
            CommandRunner.Shell(setUp);
            using Sandbox sandbox = Make();
            sandbox.Flags.Remove("--network=none");
            JsonArray spaces = (JsonArray)sandbox.Config["linux"]!["namespaces"]!;
            spaces.RemoveAll(space => (string)space!["type"]! == "network");
            spaces.Add(new JsonObject { ["type"] = "network", ["path"] = $"/run/netns/{name}i" });
            sandbox.Config["process"]!["args"] = new JsonArray("bash", "-c", inside);
            sandbox.WriteConfig();
            CommandResult result = CommandRunner.Run("/bin/sh", ["-c", $"{TestEnvironment.Binary} --root {sandbox.State} {string.Join(' ', sandbox.Flags)} run --detach --bundle {sandbox.Bundle} {sandbox.Id} </dev/null >/dev/null 2>{sandbox.Directory}/error"]);
            Assert.True(result.Status == 0, File.ReadAllText($"{sandbox.Directory}/error"));
            Assert.Equal(
                "8080 b'HTTP/1.0 404'\n80 b'HTTP/1.0 404'\n81 [Errno 111] Connection refused\n82 [Errno 111] Connection refused\n", CommandRunner.Shell(ask));
        }
        finally
        {
            CommandRunner.Run("/bin/sh", ["-c", $"ip netns del {name}i; ip netns del {name}o"]);
        }
    }

    private static void Compare(string script)
    {
        using Sandbox sandbox = Make();
        CommandResult inside = sandbox.Run(["bash", "-c", $"exec 2>&1; {script}"]);
        CommandResult host = CommandRunner.Run("/usr/bin/unshare", ["--net", "--mount", "bash", "-c", $"exec 2>&1; mount -t tmpfs none /tmp; mount -t tmpfs none /run; {script}"]);
        Assert.Equal(host.Output, inside.Output);
        Assert.True(inside.Output.Length > 200, inside.ToString());
    }

    private static Sandbox Make()
    {
        Sandbox sandbox = new("/");
        foreach ((_, JsonNode? set) in (JsonObject)sandbox.Config["process"]!["capabilities"]!)
        {
            ((JsonArray)set!).Add("CAP_NET_ADMIN");
        }

        ((JsonArray)sandbox.Config["mounts"]!).Add(new JsonObject { ["destination"] = "/run", ["type"] = "tmpfs", ["source"] = "tmpfs" });
        return sandbox;
    }
}

/// <summary>A test with a sandbox, the programs of packet filters, and a kernel of the host that has what they ask for.</summary>
public sealed class FilterFactAttribute : FactAttribute
{
    public FilterFactAttribute() => Skip = FilterPrograms.Missing;
}

/// <summary><see cref="FilterFactAttribute"/> with data.</summary>
public sealed class FilterTheoryAttribute : TheoryAttribute
{
    public FilterTheoryAttribute() => Skip = FilterPrograms.Missing;
}

internal static class FilterPrograms
{
    public static string? Missing { get; } = Find();

    private static string? Find()
    {
        if (TestEnvironment.SandboxMissing is { } missing)
        {
            return missing;
        }

        foreach (string program in new[] { "/usr/sbin/iptables-legacy", "/usr/sbin/iptables-nft", "/usr/sbin/nft", "/usr/sbin/conntrack", "/usr/sbin/ip", "/usr/bin/unshare", "/usr/bin/python3" })
        {
            if (!File.Exists(program))
            {
                return $"{program} is not installed";
            }
        }

        CommandResult kernel = CommandRunner.Run("/usr/bin/unshare", ["--net", "sh", "-c", "iptables-legacy -t nat -L && iptables-nft -t nat -A POSTROUTING -j MASQUERADE && ip6tables-legacy -t nat -L && nft list ruleset"]);
        return kernel.Status == 0 ? null : "the host's kernel has no packet filter for network namespaces";
    }
}
