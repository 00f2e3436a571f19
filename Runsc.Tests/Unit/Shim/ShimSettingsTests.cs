using System;
using System.Collections.Generic;
using System.IO;
using Runsc.Common;
using Runsc.Linux;
using Runsc.Shim;
using Runsc.Shim.Io;
using Runsc.Shim.Rpc;
using Runsc.Shim.Tasks;
using Runsc.Shim.Wire;
using Xunit;

namespace Runsc.Tests.Unit.Shim;

public sealed class ShimSettingsTests
{
    private const string Toml = """
        binary_name = "/opt/runsc"
        root = "/run/x"
        log_level = "debug"
        grouping = false
        unknown = 3
        [runsc_config]
        platform = "systrap"
        debug = "true"
        strace = true
        """;

    [Fact]
    public void Options_TomlInTheMessage_IsRead()
    {
        ShimOptions options = ShimOptions.Read(new AnyMessage("runtimeoptions.v1.Options", new WireWriter().Text(1, "io.containerd.runsc.v1.options").Text(3, Toml).ToArray()));
        Assert.Equal(("/opt/runsc", "/run/x", "debug", false), (options.BinaryName, options.Root, options.LogLevel, options.Grouping));
        Assert.Equal(new Dictionary<string, string> { ["platform"] = "systrap", ["debug"] = "true", ["strace"] = "true" }, options.Flags);
    }

    [Fact]
    public void Options_PathInTheMessage_IsReadAndKept()
    {
        string bundle = Directory.CreateTempSubdirectory("runsc-shim-").FullName;
        string file = Path.Combine(bundle, "runsc.toml");
        File.WriteAllText(file, Toml);
        ShimOptions.Read(new AnyMessage("runtimeoptions.v1.Options", new WireWriter().Text(2, file).ToArray())).Save(bundle);
        ShimOptions kept = ShimOptions.Load(bundle);
        Assert.Equal(("/opt/runsc", "/run/x", "systrap"), (kept.BinaryName, kept.Root, kept.Flags["platform"]));
        Directory.Delete(bundle, recursive: true);
    }

    [Fact]
    public void Options_OfRunc_AreRead()
    {
        ShimOptions options = ShimOptions.Read(new AnyMessage("containerd.runc.v1.Options", new WireWriter().Text(6, "runsc").Text(7, "/r").Flag(9, true).ToArray()));
        Assert.Equal(("runsc", "/r", true), (options.BinaryName, options.Root, options.SystemdCgroup));
    }

    [Fact]
    public void Options_BrokenOrUnknown_AreRefused()
    {
        Assert.Throws<RunscException>(() => ShimOptions.Read(new AnyMessage("some.Type", [])));
        Assert.Throws<RunscException>(() => ShimOptions.Read(new AnyMessage("runtimeoptions.v1.Options", new WireWriter().Text(2, "/not/there.toml").ToArray())));
        Assert.Throws<RunscException>(() => ShimOptions.Read(new AnyMessage("runtimeoptions.v1.Options", new WireWriter().Text(3, "root = ").ToArray())));
    }

    [Fact]
    public void Arguments_AsContainerdPassesThem_AreParsed()
    {
        ShimArguments arguments = ShimArguments.Parse(["-namespace", "default", "-address", "/c.sock", "-publish-binary", "/usr/bin/containerd", "-id", "web", "-debug", "start"]);
        Assert.Equal(("default", "/c.sock", "/usr/bin/containerd", "web", true, "start"),
            (arguments.Namespace, arguments.Address, arguments.PublishBinary, arguments.Id, arguments.Debug, arguments.Action));
        Assert.Equal("/b", ShimArguments.Parse(["--bundle=/b", "delete"]).Bundle);
        Assert.Throws<RunscException>(() => ShimArguments.Parse(["-id"]));
        Assert.Throws<RunscException>(() => ShimArguments.Parse(["-what", "x"]));
    }

    [Theory]
    [InlineData("{}", null)]
    [InlineData("""{"annotations":{"io.kubernetes.cri.container-type":"sandbox","io.kubernetes.cri.sandbox-id":"pod"}}""", "pod")]
    [InlineData("""{"annotations":{"io.kubernetes.cri.container-type":"container","io.kubernetes.cri.sandbox-id":"pod"}}""", "pod")]
    [InlineData("""{"annotations":{"io.containerd.runc.v2.group":"g","io.kubernetes.cri.sandbox-id":"pod"}}""", "g")]
    public void Bundle_Annotations_TellTheGroup(string json, string? group)
    {
        string bundle = Directory.CreateTempSubdirectory("runsc-shim-").FullName;
        File.WriteAllText(Path.Combine(bundle, "config.json"), json);
        BundleSpec spec = BundleSpec.Load(bundle);
        Directory.Delete(bundle, recursive: true);
        Assert.Equal(group, spec.Group);
    }

    [Fact]
    public void MountOptions_AreSplitIntoFlagsAndData()
    {
        Assert.Equal(((ulong)(Mount.MS_RDONLY | Mount.MS_NODEV), "lowerdir=/a:/b,index=off"), RootMounter.Parse(["ro", "lowerdir=/a:/b", "nodev", "nosuid", "suid", "index=off"]));
        Assert.Equal(((ulong)(Mount.MS_BIND | Mount.MS_REC), ""), RootMounter.Parse(["rbind", "rw"]));
    }

    [Theory]
    [InlineData("/run/fifo", "fifo", "/run/fifo")]
    [InlineData("fifo:///run/fifo", "fifo", "/run/fifo")]
    [InlineData("file:///var/log/a%20b", "file", "/var/log/a b")]
    [InlineData("binary:///usr/bin/logger?tag=x", "binary", "/usr/bin/logger")]
    public void OutputTarget_PathsAndUris_AreTold(string text, string scheme, string path)
    {
        (string Scheme, string Path, Uri? Uri) parsed = OutputTarget.Parse(text);
        Assert.Equal((scheme, path), (parsed.Scheme, parsed.Path));
    }

    [Fact]
    public void LoggerArguments_AreKeysAndValues() =>
        Assert.Equal(["tag", "a b", "verbose"], OutputTarget.LoggerArguments(new Uri("binary:///usr/bin/logger?tag=a%20b&verbose")));

    [Fact]
    public void OomFile_OfAProcess_IsFound()
    {
        string top = Directory.CreateTempSubdirectory("runsc-cgroup-").FullName;
        Directory.CreateDirectory(top + "/memory/docker/x");
        File.WriteAllText(top + "/memory/docker/x/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n");
        Directory.CreateDirectory(top + "/slice/y");
        File.WriteAllText(top + "/slice/y/memory.events", "oom 0\noom_kill 0\n");
        Assert.Equal(top + "/memory/docker/x/memory.oom_control", OomCounter.Find("5:cpu,cpuacct:/docker/x\n3:memory:/docker/x\n0::/\n", top));
        Assert.Equal(top + "/slice/y/memory.events", OomCounter.Find("0::/slice/y\n", top));
        Assert.Null(OomCounter.Find("3:memory:/\n0::/\n", top));
        Directory.Delete(top, recursive: true);
    }

    [Theory]
    [InlineData("container \"x\" does not exist", "kill", 5)]
    [InlineData("container \"x\" already exists", "create", 6)]
    [InlineData("container \"x\" is not running: it is stopped", "exec", 9)]
    [InlineData("exec: \"nothing\": executable file not found in $PATH", "create", 2)]
    public void RuntimeProblem_KnownTexts_HaveTheirCodes(string message, string command, int code)
    {
        RpcException error = RuntimeProblem.Describe(command, message);
        Assert.Equal((RpcCode)code, error.Code);
        Assert.Contains(message, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Log_LastError_IsTheMessage()
    {
        string file = Path.GetTempFileName();
        File.WriteAllText(file, "{\"level\":\"error\",\"msg\":\"one\"}\nnoise\n{\"level\":\"warning\",\"msg\":\"w\"}\n{\"level\":\"error\",\"msg\":\"two\"}\n");
        Assert.Equal("two", Runsc.Shim.Runtime.LastError(file));
        File.Delete(file);
        Assert.Null(Runsc.Shim.Runtime.LastError(file));
    }
}
