using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text.Json.Nodes;
using Runsc.Common;
using Runsc.Container.Cgroups;
using Runsc.Oci;
using Xunit;

namespace Runsc.Tests.Unit.Container;

/// <summary>Control groups: where they are, and what is written into which file. A folder stands for the file system.</summary>
public sealed class ControlGroupTests : IDisposable
{
    private readonly string _top = Directory.CreateTempSubdirectory("runsc-cgroup-").FullName;

    public void Dispose() => Directory.Delete(_top, recursive: true);

    private static readonly string[] s_hybrid =
    [
        "30 20 0:26 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct", "31 20 0:27 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory",
        "32 20 0:28 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd", "33 20 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw",
        "34 20 0:30 / /proc rw - proc proc rw",
    ];

    [Fact]
    public void Hybrid_UsesTheOldHierarchies()
    {
        CgroupMounts mounts = CgroupMounts.Parse(s_hybrid, ["5:cpu,cpuacct:/own", "4:memory:/", "0::/x"]);
        Assert.False(mounts.IsUnifiedOnly);
        ControlGroup group = ControlGroup.For(mounts, "/docker/abc", "abc", systemd: false)!;
        Assert.Equal("/sys/fs/cgroup/cpu/docker/abc", group.Paths["cpuacct"]);
        Assert.Equal("/sys/fs/cgroup/memory/docker/abc", group.Paths["memory"]);
        Assert.Equal("/sys/fs/cgroup/systemd/docker/abc", group.Paths["name=systemd"]);
        Assert.Equal("/sys/fs/cgroup/cpu/own/abc", ControlGroup.For(mounts, null, "abc", systemd: false)!.Paths["cpu"]);
    }

    [Fact]
    public void Unified_HasOneDirectory()
    {
        CgroupMounts mounts = CgroupMounts.Parse(["33 20 0:29 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw"], ["0::/user.slice"]);
        Assert.True(mounts.IsUnifiedOnly);
        Assert.Equal("/sys/fs/cgroup/a/b", ControlGroup.For(mounts, "/a/b", "id", systemd: false)!.Paths[""]);
        Assert.Equal("/sys/fs/cgroup/user.slice/id", ControlGroup.For(mounts, "", "id", systemd: false)!.Paths[""]);
        Assert.Equal(
            "/sys/fs/cgroup/machine.slice/machine-web.slice/libpod-7.scope",
            ControlGroup.For(mounts, "machine-web.slice:libpod:7", "id", systemd: true)!.Paths[""]);
    }

    [Theory]
    [InlineData("/..", false)]
    [InlineData("/a/../../b", false)]
    [InlineData("/", false)]
    [InlineData("/a/b", true)]
    [InlineData("a:b", true)]
    [InlineData("x:y:z", true)]
    public void BadPaths_AreRefused(string path, bool systemd) =>
        Assert.Throws<RunscException>(() => ControlGroup.For(CgroupMounts.Parse(s_hybrid, []), path, "id", systemd));

    private ControlGroupV1 MakeOld(params string[] files)
    {
        Dictionary<string, string> paths = [];
        foreach (string controller in (string[])["memory", "cpu", "cpuset", "pids", "devices", "blkio"])
        {
            paths[controller] = Path.Combine(_top, controller, "group");
            Directory.CreateDirectory(paths[controller]);
        }

        foreach (string file in files)
        {
            string[] parts = file.Split('=');
            File.WriteAllText(Path.Combine(_top, parts[0].Split('.')[0], "group", parts[0]), parts.Length > 1 ? parts[1] : "");
        }

        return new ControlGroupV1(paths);
    }

    private string Old(string file) => File.ReadAllText(Path.Combine(_top, file.Split('.')[0], "group", file));

    [Fact]
    public void Old_LimitsAreWritten()
    {
        ControlGroupV1 group = MakeOld(
            "memory.limit_in_bytes", "memory.memsw.limit_in_bytes=9223372036854771712", "memory.soft_limit_in_bytes", "cpu.shares", "cpu.cfs_period_us", "cpu.cfs_quota_us",
            "cpuset.cpus", "pids.max", "devices.allow", "devices.deny", "blkio.weight");
        group.Apply(new ResourcesSpec
        {
            Memory = new MemorySpec { Limit = 1 << 20, Swap = 1 << 21, Reservation = 4096 },
            Cpu = new CpuSpec { Shares = 1, Period = 100_000, Quota = 50_000, Cpus = "0" },
            Pids = new PidsSpec { Limit = 10 },
            BlockIO = new BlockIoSpec { Weight = 300 },
            Devices = [new DeviceRuleSpec { Allow = false, Access = "rwm" }, new DeviceRuleSpec { Allow = true, Type = "c", Major = 1, Minor = 3, Access = "rw" }],
        });
        Assert.Equal("1048576", Old("memory.limit_in_bytes"));
        Assert.StartsWith("2097152", Old("memory.memsw.limit_in_bytes"), StringComparison.Ordinal);
        Assert.Equal("4096", Old("memory.soft_limit_in_bytes"));
        Assert.Equal("2", Old("cpu.shares"));
        Assert.Equal("50000", Old("cpu.cfs_quota_us"));
        Assert.Equal("0", Old("cpuset.cpus"));
        Assert.Equal("300", Old("blkio.weight"));
        Assert.Equal("a", Old("devices.deny"));

        // The files of the test keep the last value: after the rules come the devices that are always allowed.
        Assert.StartsWith("b *:* m", Old("devices.allow"), StringComparison.Ordinal);

        // Around the application kernel's own limit of tasks.
        Assert.Equal((10 * ControlGroup.ThreadsForTask + ControlGroup.ThreadsOfSandbox).ToString(), Old("pids.max"));
    }

    [Fact]
    public void Old_UnifiedIsRefused_AndFailuresNameTheFile()
    {
        ControlGroupV1 group = MakeOld();
        Assert.Contains("unified", Assert.Throws<RunscException>(() => group.Apply(new ResourcesSpec { Unified = new() { ["memory.high"] = "1" } })).Message, StringComparison.Ordinal);
        RunscException error = Assert.Throws<RunscException>(() => group.Apply(new ResourcesSpec { Memory = new MemorySpec { Limit = 77 } }));
        Assert.Contains("77 to", error.Message, StringComparison.Ordinal);
        Assert.Contains("memory.limit_in_bytes", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Old_FiguresAreRead()
    {
        ControlGroupV1 group = MakeOld(
            "memory.usage_in_bytes=4096", "memory.limit_in_bytes=8192", "memory.max_usage_in_bytes=5000", "memory.failcnt=2", "memory.stat=cache 12\nrss 34\n",
            "memory.oom_control=oom_kill_disable 0\nunder_oom 0\noom_kill 3\n", "pids.current=7", "pids.max=max", "cpu.stat=nr_periods 5\nnr_throttled 1\nthrottled_time 99\n");
        CgroupStats stats = group.ReadStats();
        Assert.Equal(new MemoryUsage(8192, 4096, 5000, 2), stats.Memory);
        Assert.Equal(3, group.ReadOomKills());
        Assert.Equal(8192, group.ReadMemoryLimit());
        JsonNode data = JsonNode.Parse(stats.ToEvent("c1"))!;
        Assert.Equal("stats", (string)data["type"]!);
        Assert.Equal("c1", (string)data["id"]!);
        Assert.Equal(12, (long)data["data"]!["memory"]!["cache"]!);
        Assert.Equal(34, (long)data["data"]!["memory"]!["raw"]!["rss"]!);
        Assert.Equal(7, (long)data["data"]!["pids"]!["current"]!);
        Assert.Equal(99, (long)data["data"]!["cpu"]!["throttling"]!["throttledTime"]!);
        Assert.NotNull(data["data"]!["cpu"]!["usage"]!["total"]);
    }

    [Fact]
    public void New_LimitsAreTranslated()
    {
        string group = Path.Combine(_top, "unified");
        Directory.CreateDirectory(group);
        foreach (string file in (string[])["memory.max", "memory.swap.max", "memory.low", "cpu.weight", "cpu.max", "pids.max", "io.weight", "io.max", "cpuset.cpus", "memory.high"])
        {
            File.WriteAllText(Path.Combine(group, file), "");
        }

        new ControlGroupV2(new Dictionary<string, string> { [""] = group }).Apply(new ResourcesSpec
        {
            Memory = new MemorySpec { Limit = 1000, Swap = 3000, Reservation = -1 },
            Cpu = new CpuSpec { Shares = 1024, Quota = 50_000, Cpus = "1" },
            Pids = new PidsSpec { Limit = -1 },
            BlockIO = new BlockIoSpec { Weight = 1000, ThrottleWriteBpsDevice = [new ThrottleDeviceSpec { Major = 8, Rate = 12 }] },
            Unified = new() { ["memory.high"] = "500" },
        });
        string Read(string file) => File.ReadAllText(Path.Combine(group, file));
        Assert.Equal(["1000", "2000", "max", "39", "50000 100000", "max", "default 10000", "8:0 wbps=12", "1", "500"], new[]
        {
            Read("memory.max"), Read("memory.swap.max"), Read("memory.low"), Read("cpu.weight"), Read("cpu.max"), Read("pids.max"), Read("io.weight"), Read("io.max"),
            Read("cpuset.cpus"), Read("memory.high"),
        });
        Assert.Equal([1ul, 10_000ul], new[] { 2ul, 262_144ul }.Select(ControlGroupV2.WeightOfShares));
    }

    [Fact]
    public void Remove_TakesAllDirectories()
    {
        ControlGroupV1 group = MakeOld();
        group.Remove();
        Assert.All(group.Paths.Values, path => Assert.False(Directory.Exists(path)));
    }
}
