using System;
using System.IO;
using System.Linq;
using System.Text.Json.Nodes;
using Runsc.Cli;
using Runsc.Common;
using Xunit;

namespace Runsc.Tests.Unit.Cli;

public sealed class CommandTests : IDisposable
{
    private readonly string _top = Directory.CreateTempSubdirectory("runsc-cli-").FullName;

    public void Dispose() => Directory.Delete(_top, recursive: true);

    [Theory]
    [InlineData("9", 9)]
    [InlineData("KILL", 9)]
    [InlineData("sigterm", 15)]
    [InlineData("SIGRTMIN+3", 37)]
    [InlineData("RTMAX-1", 63)]
    [InlineData("64", 64)]
    public void Signals_AreParsed(string text, int number) => Assert.Equal(number, SignalNames.Parse(text));

    [Theory]
    [InlineData("0")]
    [InlineData("65")]
    [InlineData("NOPE")]
    [InlineData("RTMIN+31")]
    [InlineData("-9")]
    [InlineData("")]
    public void OtherSignals_AreUnknown(string text) => Assert.Contains("unknown signal", Assert.Throws<RunscException>(() => SignalNames.Parse(text)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("5", 5000)]
    [InlineData("5s", 5000)]
    [InlineData("250ms", 250)]
    [InlineData("1m", 60_000)]
    [InlineData("0.5s", 500)]
    public void Intervals_AreParsed(string text, int milliseconds) => Assert.Equal(milliseconds, EventsCommand.ParseInterval(text));

    [Theory]
    [InlineData("4096", 4096)]
    [InlineData("-1", -1)]
    [InlineData("64m", 64L << 20)]
    [InlineData("2Gb", 2L << 30)]
    public void Sizes_AreParsed(string text, long bytes) => Assert.Equal(bytes, UpdateCommand.ParseSize("--memory", text));

    [Theory]
    [InlineData("x")]
    [InlineData("9999999999999g")]
    public void OtherSizes_AreRefused(string text) => Assert.Throws<RunscException>(() => UpdateCommand.ParseSize("--memory", text));

    [Fact]
    public void Features_AreWhole()
    {
        JsonNode features = JsonNode.Parse(FeaturesCommand.Describe())!;
        Assert.Equal(6, features["hooks"]!.AsArray().Count);
        Assert.Contains("rbind", features["mountOptions"]!.AsArray().Select(option => (string)option!));
        Assert.Contains("CAP_SYS_ADMIN", features["linux"]!["capabilities"]!.AsArray().Select(name => (string)name!));
        Assert.True((bool)features["linux"]!["cgroup"]!["v1"]!);
        Assert.Equal("1.0.0", (string)features["ociVersionMin"]!);
        Assert.NotNull(features["linux"]!["mountExtensions"]!["idmap"]!["enabled"]);
    }

    [Fact]
    public void Install_KeepsTheRest_AndUninstallRestores()
    {
        string file = Path.Combine(_top, "daemon.json");
        const string before = """{"data-root": "/srv", "runtimes": {"other": {"path": "/x"}}, "exec-opts": ["native.cgroupdriver=systemd", "a=b"]}""";
        File.WriteAllText(file, before);
        Assert.Equal(0, CommandLine.Run(["install", "--config_file", file, "--runtime", "mine", "--experimental", "--cgroupdriver=cgroupfs", "--", "--platform=kvm", "--debug"]));
        JsonNode daemon = JsonNode.Parse(File.ReadAllText(file))!;
        Assert.Equal("/srv", (string)daemon["data-root"]!);
        Assert.Equal("/x", (string)daemon["runtimes"]!["other"]!["path"]!);
        Assert.Equal(["--platform=kvm", "--debug"], daemon["runtimes"]!["mine"]!["runtimeArgs"]!.AsArray().Select(word => (string)word!));
        Assert.Equal(["a=b", "native.cgroupdriver=cgroupfs"], daemon["exec-opts"]!.AsArray().Select(word => (string)word!));
        Assert.True((bool)daemon["experimental"]!);
        Assert.Equal(before, File.ReadAllText(file + "~"));

        // Twice is as once; --clobber=false leaves an entry alone.
        string once = File.ReadAllText(file);
        Assert.Equal(0, CommandLine.Run(["install", "--config_file", file, "--runtime", "mine", "--experimental", "--cgroupdriver=cgroupfs", "--", "--platform=kvm", "--debug"]));
        Assert.Equal(once, File.ReadAllText(file));
        Assert.Equal(before, File.ReadAllText(file + "~"));
        Assert.Equal(128, CommandLine.Run(["install", "--config_file", file, "--runtime", "mine", "--clobber=false"]));

        Assert.Equal(0, CommandLine.Run(["uninstall", "--config_file", file, "--runtime", "mine"]));
        daemon = JsonNode.Parse(File.ReadAllText(file))!;
        Assert.Null(daemon["runtimes"]!["mine"]);
        Assert.NotNull(daemon["runtimes"]!["other"]);
        Assert.Equal(128, CommandLine.Run(["uninstall", "--config_file", file, "--runtime", "mine"]));
    }

    [Fact]
    public void Errors_GoToTheLog_AsTheLastLine()
    {
        string log = Path.Combine(_top, "log.json");
        File.WriteAllText(log, "earlier\n");
        Assert.Equal(128, CommandLine.Run(["--root", Path.Combine(_top, "state"), "--log", log, "--log-format", "json", "state", "none-such"]));
        string[] lines = File.ReadAllLines(log);
        Assert.Equal("earlier", lines[0]);
        JsonNode line = JsonNode.Parse(lines[^1])!;
        Assert.Equal("error", (string)line["level"]!);
        Assert.Contains("does not exist", (string)line["msg"]!, StringComparison.Ordinal);
    }

    [Fact]
    public void DeleteForce_OfNothing_IsNoError()
    {
        Assert.Equal(0, CommandLine.Run(["--root", Path.Combine(_top, "state"), "delete", "--force", "none-such"]));
        Assert.Equal(128, CommandLine.Run(["--root", Path.Combine(_top, "state"), "delete", "none-such"]));
    }
}
