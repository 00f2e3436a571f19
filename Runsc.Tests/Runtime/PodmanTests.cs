using System;
using System.IO;
using System.Linq;
using Runsc.Tests.Support;
using Xunit;

namespace Runsc.Tests.Runtime;

/// <summary>A test with Podman as root.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class PodmanFactAttribute : FactAttribute
{
    public PodmanFactAttribute() => Skip = TestEnvironment.SandboxMissing
        ?? (!ContainerdFixture.OnPath("podman") ? "podman is not installed" : !ContainerdFixture.OnPath("busybox") ? "busybox is not installed" : null);
}

/// <summary>Podman with a storage of the test's own and a root that is a folder.</summary>
[Collection("sandbox")]
public sealed class PodmanTests : IDisposable
{
    private readonly string _top = Directory.CreateTempSubdirectory("runsc-podman-").FullName;

    public PodmanTests()
    {
        foreach (string name in (string[])["root/bin", "root/proc", "root/dev", "root/tmp", "root/etc", "root/sys", "root/run"])
        {
            Directory.CreateDirectory(Path.Combine(_top, name));
        }

        string? busybox = "/usr/bin:/bin".Split(':').Select(directory => Path.Combine(directory, "busybox")).FirstOrDefault(File.Exists);
        if (busybox is not null)
        {
            File.Copy(busybox, Path.Combine(_top, "root/bin/busybox"));
            foreach (string applet in (string[])["sh", "id", "echo", "cat", "sleep"])
            {
                File.CreateSymbolicLink(Path.Combine(_top, "root/bin", applet), "busybox");
            }
        }
    }

    public void Dispose()
    {
        Podman("rm", "--all", "--force", "--time", "0");
        CommandRunner.Run("rm", ["-rf", _top]);
    }

    private CommandResult Podman(params string[] words) => CommandRunner.Run("podman",
    [
        "--root", $"{_top}/storage", "--runroot", $"{_top}/run", "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--events-backend", "none",
        "--runtime", TestEnvironment.Binary!, "--runtime-flag", $"platform={TestEnvironment.Platform}", "--runtime-flag", "network=none", .. words,
    ]);

    private CommandResult Run(params string[] words) => Podman(["run", "--network", "none", "--log-driver", "k8s-file", .. words]);

    [PodmanFact]
    public void Run_OutputAndStatus_Arrive()
    {
        CommandResult result = Run("--rm", "--rootfs", $"{_top}/root", "/bin/sh", "-c", "echo out; echo err >&2; exit 9");
        Assert.True(result is { Status: 9, Output: "out\n" } && result.Error.Contains("err\n", StringComparison.Ordinal), result.ToString());
    }

    [PodmanFact]
    public void Exec_InADetachedContainer_Runs()
    {
        CommandResult started = Run("--detach", "--name", "c", "--rootfs", $"{_top}/root", "/bin/sh", "-c", "while :; do sleep 0.1; done");
        Assert.True(started.Status == 0, started.ToString());
        CommandResult exec = Podman("exec", "c", "/bin/sh", "-c", "echo inside; exit 3");
        Assert.True(exec is { Status: 3, Output: "inside\n" }, exec.ToString());
        CommandResult stopped = Podman("stop", "--time", "0", "c");
        Assert.True(stopped.Status == 0, stopped.ToString());
        Assert.Equal("137", Podman("inspect", "--format", "{{.State.ExitCode}}", "c").Output.Trim());
        Assert.Equal(0, Podman("rm", "c").Status);
    }

    [PodmanFact]
    public void Files_OfARunningContainer_AreCopiedBothWays()
    {
        Directory.CreateDirectory($"{_top}/volume");
        File.CreateSymbolicLink($"{_top}/root/tmp/outside", "/etc/hostname");
        Assert.Equal(0, Run("--detach", "--name", "cp", "--volume", $"{_top}/volume:/volume", "--rootfs", $"{_top}/root", "/bin/sh", "-c", "echo made > /tmp/made; echo in it > /volume/made; sleep 1000").Status);
        for (int i = 0; i < 300 && !File.Exists($"{_top}/volume/made"); i++)
        {
            System.Threading.Thread.Sleep(100);
        }

        Assert.Equal((0, 0), (Podman("cp", "cp:/tmp/made", $"{_top}/one").Status, Podman("cp", "cp:/volume/made", $"{_top}/two").Status));
        Assert.Equal(("made\n", "in it\n"), (File.ReadAllText($"{_top}/one"), File.ReadAllText($"{_top}/two")));
        Assert.Equal((0, 0), (Podman("cp", $"{_top}/two", "cp:/tmp/back").Status, Podman("cp", $"{_top}/one", "cp:/volume/back").Status));
        Assert.Equal("in it\nmade\n", Podman("exec", "cp", "/bin/cat", "/tmp/back", "/volume/back").Output);

        // A link of the container's is followed in the container: what it names there, or nothing.
        CommandResult link = Podman("cp", "cp:/tmp/outside", $"{_top}/three");
        Assert.False(link.Status == 0 && File.ReadAllText($"{_top}/three") == File.ReadAllText("/etc/hostname"), link.ToString());
    }
}
