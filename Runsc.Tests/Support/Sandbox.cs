using System;
using System.Collections.Generic;
using System.IO;
using System.Text.Json.Nodes;

namespace Runsc.Tests.Support;

/// <summary>A bundle and a state directory of a test's own, and the published binary to run it with.</summary>
internal sealed class Sandbox : IDisposable
{
    /// <summary>What containers have by default.</summary>
    internal static readonly string[] CapabilityNames =
    [
        "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID", "CAP_SETUID",
        "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE",
    ];

    private static int s_serial;

    public Sandbox(string? root = null)
    {
        Directory = System.IO.Directory.CreateTempSubdirectory("runsc-test-").FullName;
        Bundle = Path.Combine(Directory, "bundle");
        State = Path.Combine(Directory, "state");
        Root = root ?? Path.Combine(Directory, "root");
        Id = $"test{Environment.ProcessId}-{System.Threading.Interlocked.Increment(ref s_serial)}";
        System.IO.Directory.CreateDirectory(Bundle);
        if (root is null)
        {
            foreach (string folder in (string[])["bin", "dev", "proc", "sys", "tmp", "etc", "root"])
            {
                System.IO.Directory.CreateDirectory(Path.Combine(Root, folder));
            }

            File.Copy("/bin/busybox", Path.Combine(Root, "bin/busybox"));
            foreach (string applet in (string[])["sh", "sleep", "true", "cat"])
            {
                File.CreateSymbolicLink(Path.Combine(Root, "bin", applet), "busybox");
            }
        }

        Config = new JsonObject
        {
            ["ociVersion"] = "1.2.0",
            ["hostname"] = "sandbox",
            ["process"] = new JsonObject
            {
                ["user"] = new JsonObject { ["uid"] = 0, ["gid"] = 0 },
                ["args"] = new JsonArray("/bin/sh"),
                ["env"] = new JsonArray("PATH=/bin:/usr/bin:/sbin:/usr/sbin", "HOME=/root", "LC_ALL=C.UTF-8"),
                ["cwd"] = "/",
                ["capabilities"] = Capabilities(),
                ["rlimits"] = new JsonArray(new JsonObject { ["type"] = "RLIMIT_NOFILE", ["soft"] = 1024, ["hard"] = 4096 }),
            },
            ["root"] = new JsonObject { ["path"] = Root },
            ["mounts"] = new JsonArray(
                Mount("/proc", "proc"),
                Mount("/dev", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
                Mount("/dev/pts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"),
                Mount("/dev/shm", "tmpfs", "nosuid", "noexec", "nodev", "mode=1777"),
                Mount("/sys", "sysfs", "nosuid", "noexec", "nodev", "ro"),
                Mount("/tmp", "tmpfs", "mode=1777")),
            ["linux"] = new JsonObject
            {
                ["namespaces"] = new JsonArray(Namespace("pid"), Namespace("network"), Namespace("ipc"), Namespace("uts"), Namespace("mount")),
            },
        };
    }

    public string Directory { get; }

    public string Bundle { get; }

    public string Root { get; }

    public string State { get; }

    public string Id { get; }

    /// <summary>config.json, to be changed before the first run.</summary>
    public JsonObject Config { get; }

    /// <summary>Global flags before the command.</summary>
    public List<string> Flags { get; } = [$"--platform={TestEnvironment.Platform}", "--network=none", "--ignore-cgroups", "--overlay2=root:memory"];

    /// <summary>runsc run of this command line, waited for.</summary>
    public CommandResult Run(IEnumerable<string> command, string? input = null)
    {
        JsonArray arguments = [];
        foreach (string word in command)
        {
            arguments.Add(word);
        }

        Config["process"]!["args"] = arguments;
        WriteConfig();
        return Runsc(["run", "--bundle", Bundle, Id], input);
    }

    public void WriteConfig() => File.WriteAllText(Path.Combine(Bundle, "config.json"), Config.ToJsonString());

    /// <summary>Any command of the binary with this state directory.</summary>
    public CommandResult Runsc(IEnumerable<string> arguments, string? input = null) =>
        CommandRunner.Run(TestEnvironment.Binary!, ["--root", State, .. Flags, .. arguments], input);

    public void Dispose()
    {
        Runsc(["delete", "--force", Id]);
        System.IO.Directory.Delete(Directory, recursive: true);
    }

    private static JsonObject Capabilities()
    {
        JsonObject sets = [];
        foreach (string set in (string[])["bounding", "effective", "permitted"])
        {
            JsonArray list = [];
            foreach (string name in CapabilityNames)
            {
                list.Add(name);
            }

            sets[set] = list;
        }

        return sets;
    }

    private static JsonObject Namespace(string type) => new() { ["type"] = type };

    private static JsonObject Mount(string destination, string type, params string[] options)
    {
        JsonArray list = [];
        foreach (string option in options)
        {
            list.Add(option);
        }

        return new JsonObject { ["destination"] = destination, ["type"] = type, ["source"] = type, ["options"] = list };
    }
}
