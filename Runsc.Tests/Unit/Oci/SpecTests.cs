using System;
using System.IO;
using System.Text.Json.Nodes;
using Runsc.Common;
using Runsc.Linux;
using Runsc.Oci;
using Xunit;

namespace Runsc.Tests.Unit.Oci;

/// <summary>What of config.json is taken, and in which words the rest is refused.</summary>
public sealed class SpecTests : IDisposable
{
    private readonly string _bundle = Directory.CreateTempSubdirectory("runsc-spec-").FullName;
    private readonly JsonObject _config;

    public SpecTests()
    {
        Directory.CreateDirectory(Path.Combine(_bundle, "rootfs"));
        _config = JsonNode.Parse("""
            {"ociVersion": "1.2.0", "process": {"args": ["sh"], "cwd": "/"}, "root": {"path": "rootfs"}, "linux": {}}
            """)!.AsObject();
    }

    public void Dispose() => Directory.Delete(_bundle, recursive: true);

    private Spec Load()
    {
        File.WriteAllText(Path.Combine(_bundle, "config.json"), _config.ToJsonString());
        return SpecLoader.LoadBundle(_bundle);
    }

    private void Set(string path, string json)
    {
        string[] names = path.Split('.');
        JsonObject at = _config;
        foreach (string name in names[..^1])
        {
            at = (JsonObject)(at[name] ??= new JsonObject());
        }

        at[names[^1]] = JsonNode.Parse(json);
    }

    [Fact]
    public void Minimal_IsTaken()
    {
        Spec spec = Load();
        Assert.Equal(["sh"], spec.Process!.Args!);
    }

    [Fact]
    public void AllMembers_AreRead()
    {
        Set("process.scheduler", """{"policy": "SCHED_BATCH", "nice": 5, "flags": ["SCHED_FLAG_RESET_ON_FORK"]}""");
        Set("process.ioPriority", """{"class": "IOPRIO_CLASS_BE", "priority": 3}""");
        Set("process.user", """{"uid": 5, "gid": 6, "umask": 63, "additionalGids": [7, 8]}""");
        Set("process.oomScoreAdj", "100");
        Set("linux.resources", """
            {"memory": {"limit": 1048576, "swap": 2097152, "disableOOMKiller": true}, "cpu": {"shares": 1024, "quota": -1, "period": 100000, "cpus": "0"},
             "pids": {"limit": 32}, "blockIO": {"weight": 10, "throttleReadIOPSDevice": [{"major": 8, "minor": 0, "rate": 5}]},
             "network": {"classID": 1048577}, "devices": [{"allow": false, "access": "rwm"}], "hugepageLimits": [{"pageSize": "2MB", "limit": 9}]}
            """);
        Set("linux.uidMappings", """[{"containerID": 0, "hostID": 1000, "size": 1}]""");
        Set("linux.gidMappings", """[{"containerID": 0, "hostID": 1000, "size": 1}]""");
        Set("linux.namespaces", """[{"type": "network", "path": "/proc/self/ns/net"}, {"type": "time"}]""");
        Set("linux.devices", """[{"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 438, "uid": 0, "gid": 0}]""");
        Set("linux.seccomp", """{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1, "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW"}]}""");
        Set("hooks", """{"startContainer": [{"path": "/bin/x", "args": ["x"], "timeout": 3}]}""");
        Spec spec = Load();
        Assert.Equal(3, SpecCheck.Policy(spec.Process!.Scheduler!));
        Assert.Equal((2 << 13) | 3, SpecCheck.IoPriority(spec.Process.IoPriority!));
        Assert.Equal([7u, 8u], spec.Process.User!.AdditionalGids!);
        Assert.Equal(63u, spec.Process.User.Umask);
        ResourcesSpec resources = spec.Linux!.Resources!;
        Assert.Equal((1L << 20, 2L << 20, true), (resources.Memory!.Limit!.Value, resources.Memory.Swap!.Value, resources.Memory.DisableOOMKiller!.Value));
        Assert.Equal(5ul, resources.BlockIO!.ThrottleReadIOPSDevice![0].Rate);
        Assert.Equal(1048577u, resources.Network!.ClassID);
        Assert.Equal("2MB", resources.HugepageLimits![0].PageSize);
        Assert.Equal(1000u, spec.Linux.UidMappings![0].HostID);
        Assert.Equal(229, spec.Linux.Devices![0].Minor);
        Assert.Equal("SCMP_ACT_ALLOW", spec.Linux.Seccomp!.Syscalls![0].Action);
        Assert.Equal(3, spec.Hooks!.StartContainer![0].Timeout);
    }

    [Theory]
    [InlineData("ociVersion", "\"2.0.0\"", "ociVersion 2.0.0 is not supported")]
    [InlineData("ociVersion", "3", "has a value of the wrong type at ociVersion")]
    [InlineData("process.args", "[]", "process.args is missing or empty")]
    [InlineData("process.cwd", "\"tmp\"", "process.cwd must be an absolute path")]
    [InlineData("process.capabilities", """{"bounding": ["CAP_NONSENSE"]}""", "unknown capability CAP_NONSENSE")]
    [InlineData("process.rlimits", """[{"type": "RLIMIT_X", "hard": 1, "soft": 1}]""", "unknown type RLIMIT_X")]
    [InlineData("process.rlimits", """[{"type": "RLIMIT_CORE", "hard": 1, "soft": 2}]""", "soft limit is above the hard one")]
    [InlineData("process.oomScoreAdj", "2000", "oomScoreAdj 2000 is not between")]
    [InlineData("process.scheduler", """{"policy": "SCHED_DEADLINE"}""", "SCHED_DEADLINE is not supported")]
    [InlineData("process.scheduler", """{"policy": "SCHED_OTHER", "priority": 4}""", "scheduler.priority 4 does not fit SCHED_OTHER")]
    [InlineData("process.ioPriority", """{"class": "IOPRIO_CLASS_XX"}""", "unknown class IOPRIO_CLASS_XX")]
    [InlineData("root.path", "\"nowhere\"", "no such directory")]
    [InlineData("mounts", """[{"type": "proc"}]""", "mounts: an entry has no destination")]
    [InlineData("mounts", """[{"destination": "/a", "type": "bind"}]""", "a bind mount needs a source")]
    [InlineData("mounts", """[{"destination": "/a", "type": "bind", "source": "/tmp", "options": ["idmap"]}]""", "idmap needs uidMappings and gidMappings")]
    [InlineData("mounts", """[{"destination": "/a", "type": "tmpfs", "uidMappings": [{"containerID": 0, "hostID": 1, "size": 1}], "gidMappings": [{"containerID": 0, "hostID": 1, "size": 1}]}]""", "for bind mounts only")]
    [InlineData("mounts", """[{"destination": "/a", "type": "bind", "source": "/tmp", "uidMappings": [{"containerID": 0, "hostID": 1, "size": 1}]}]""", "belong together")]
    [InlineData("hooks", """{"poststop": [{"path": "relative"}]}""", "hooks.poststop: path \"relative\" is not absolute")]
    [InlineData("hooks", """{"prestart": [{"path": "/x", "timeout": 0}]}""", "timeout must be greater than zero")]
    [InlineData("linux.namespaces", """[{"type": "nonsense"}]""", "unknown type nonsense")]
    [InlineData("linux.namespaces", """[{"type": "pid"}, {"type": "pid"}]""", "pid is given twice")]
    [InlineData("linux.namespaces", """[{"type": "network", "path": "/no/such"}]""", "/no/such: no such file or directory")]
    [InlineData("linux.intelRdt", "{}", "intelRdt is not supported")]
    [InlineData("linux.memoryPolicy", "{}", "memoryPolicy is not supported")]
    [InlineData("linux.netDevices", "{}", "netDevices is not supported")]
    [InlineData("process.execCPUAffinity", """{"initial": "0-", "final": "1"}""", "execCPUAffinity.initial: \"0-\" is no list of processors")]
    [InlineData("process.execCPUAffinity", """{"final": "64"}""", "execCPUAffinity.final: \"64\" is no list of processors")]
    [InlineData("linux.seccomp", """{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_PDP11"]}""", "unknown name SCMP_ARCH_PDP11")]
    [InlineData("linux.resources", """{"devices": [{"allow": false, "access": "x"}]}""", "not of r, w and m")]
    [InlineData("linux.personality", """{"domain": "BSD"}""", "domain BSD is not supported")]
    [InlineData("linux.timeOffsets", """{"monotonic": {"secs": 5}}""", "needs a new time namespace")]
    [InlineData("linux.timeOffsets", """{"realtime": {"secs": 5}}""", "unknown clock realtime")]
    [InlineData("linux.timeOffsets", """{"monotonic": {"secs": 1, "nanosecs": 1000000000}}""", "a second and more")]
    [InlineData("linux.timeOffsets", """{"boottime": {"secs": -9223372036854775808}}""", "out of range")]
    [InlineData("linux.timeOffsets", """{"boottime": {"secs": 9223372036854775807}}""", "out of range")]
    [InlineData("linux.timeOffsets", """{"boottime": {"secs": -4000000000}}""", "out of range")]
    [InlineData("linux.rootfsPropagation", "\"sideways\"", "unknown value sideways")]
    [InlineData("linux.devices", """[{"path": "/dev/x", "type": "z"}]""", "unknown type z")]
    [InlineData("linux.sysctl", """{"kernel.panic": "1"}""", "\"kernel.panic\" is not in a separate kernel namespace")]
    [InlineData("linux.uidMappings", """[{"containerID": 0, "hostID": 1, "size": 1}]""", "belong together")]
    [InlineData("linux.resources", """{"memory": {"limit": 20, "swap": 10}}""", "is below limit")]
    [InlineData("windows", "{}", "windows is for another platform")]
    public void Nonsense_IsRefusedByName(string path, string json, string message)
    {
        Set(path, json);
        RunscException error = Assert.Throws<RunscException>(Load);
        Assert.Contains(message, error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', error.Message);
        Assert.Equal(128, error.ExitCode);
    }

    [Fact]
    public void MountOptions_AreTakenApart()
    {
        MountOptions options = MountOptions.Parse(new MountSpec { Type = "tmpfs", Options = ["ro", "nosuid", "rw", "noexec", "rprivate", "size=64k", "mode=755", "tmpcopyup"] });
        Assert.Equal((ulong)(Mount.MS_NOSUID | Mount.MS_NOEXEC), options.Flags);
        Assert.Equal("size=64k,mode=755", options.Data);
        Assert.Equal("rprivate", options.Propagation);
        Assert.True(options.CopiesUp);
        Assert.False(options.IsBind);

        options = MountOptions.Parse(new MountSpec { Type = "none", Options = ["rbind", "rro"] });
        Assert.True(options.IsBind && options.IsRecursive);
        Assert.Equal((ulong)Mount.MS_RDONLY, options.Flags);
    }
}
