using System;
using System.Diagnostics;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text.Json.Nodes;
using Runsc.Tests.Guest;
using Runsc.Tests.Support;
using Xunit;

namespace Runsc.Tests.Runtime;

/// <summary>Namespaces of the specification that change what programs see: time with offsets, users with mappings.</summary>
[Collection("sandbox")]
public sealed class SpecNamespaceTests
{
    private const long Second = 1_000_000_000;

    private static void SetOffsets(Sandbox sandbox, int monotonic, int boottime)
    {
        sandbox.Config["linux"]!["namespaces"]!.AsArray().Add(new JsonObject { ["type"] = "time" });
        sandbox.Config["linux"]!["timeOffsets"] = new JsonObject
        {
            ["monotonic"] = new JsonObject { ["secs"] = monotonic, ["nanosecs"] = 0 }, ["boottime"] = new JsonObject { ["secs"] = boottime },
        };
    }

    /// <summary>The host's own time namespace is the oracle.</summary>
    [SandboxTheory]
    [InlineData("time_points", 86400, 172800)]
    [InlineData("time_points", -3, 100)]
    [InlineData("clock_agreement", 86400, -3)]
    public void TimeOffsets_OnHostAndInSandbox_MeanTheSame(string name, int monotonic, int boottime)
    {
        using Sandbox sandbox = new();
        SetOffsets(sandbox, monotonic, boottime);
        string program = Path.Combine(sandbox.Root, "bin", name);
        GuestProgramTests.Compile(name, program);
        CommandResult native = CommandRunner.Run("unshare", ["--time", "--monotonic", $"{monotonic}", "--boottime", $"{boottime}", program]);
        CommandResult inside = sandbox.Run(["/bin/" + name]);
        Assert.True(native.Status == inside.Status && native.Output == inside.Output, $"on the host: {native}\nin the sandbox: {inside}");
        Assert.NotEqual("", native.Output);
    }

    [SandboxFact]
    public void TimeOffsets_ShiftTheClocks()
    {
        const long monotonic = 86400 * Second, boottime = 172800 * Second;
        using Sandbox sandbox = new();
        SetOffsets(sandbox, 86400, 172800);
        GuestProgramTests.Compile("time_points", Path.Combine(sandbox.Root, "bin/time_points"));
        long before = Stopwatch.GetTimestamp();
        CommandResult result = sandbox.Run(["sh", "-c", "time_points now; cut -d. -f1 /proc/uptime; cut -d' ' -f22 /proc/self/stat"]);
        long after = Stopwatch.GetTimestamp();
        long[] seen = [.. result.Output.Split([' ', '\n'], StringSplitOptions.RemoveEmptyEntries).Select(word => long.Parse(word, CultureInfo.InvariantCulture))];
        Assert.True(seen.Length == 7, result.ToString());
        Assert.InRange(seen[0], before + monotonic, after + monotonic);
        Assert.InRange(seen[1], before + monotonic - (Second / 100), after + monotonic);
        Assert.InRange(seen[2], before + monotonic - Second, after + monotonic + Second);
        Assert.InRange(seen[3], before + boottime, after + boottime);
        Assert.InRange(seen[4], ((before + boottime) / Second) - 1, (after + boottime) / Second);
        Assert.InRange(seen[5], ((before + boottime) / Second) - 1, (after + boottime) / Second);
        Assert.InRange(seen[6], ((before + boottime) / Second * 100) - 1, (after + boottime) / Second * 100 + 100);
    }

    [SandboxFact]
    public void UserNamespace_ShowsItsMappings()
    {
        using Sandbox sandbox = new();
        JsonArray map = new(new JsonObject { ["containerID"] = 0, ["hostID"] = 7000, ["size"] = 500 }, new JsonObject { ["containerID"] = 500, ["hostID"] = 9000, ["size"] = 20 });
        sandbox.Config["linux"]!["uidMappings"] = map;
        sandbox.Config["linux"]!["gidMappings"] = new JsonArray(new JsonObject { ["containerID"] = 0, ["hostID"] = 8000, ["size"] = 600 });
        sandbox.Config["linux"]!["namespaces"]!.AsArray().Add(new JsonObject { ["type"] = "user" });
        CommandRunner.Shell($"chown -R 7000:8000 {sandbox.Root}");
        CommandResult result = sandbox.Run(["cat", "/proc/self/uid_map", "/proc/self/gid_map"]);
        Assert.True(result.Output == "         0       7000        500\n       500       9000         20\n         0       8000        600\n", result.ToString());
    }
}
