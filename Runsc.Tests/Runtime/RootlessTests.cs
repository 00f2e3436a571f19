using System;
using System.IO;
using System.Linq;
using Runsc.Tests.Support;
using Xunit;

namespace Runsc.Tests.Runtime;

/// <summary>An ordinary user runs containers, by hand and with Podman; and Podman as root.</summary>
[Collection("sandbox")]
public sealed class RootlessTests : IDisposable
{
    // Nobody's on any machine.
    private const int User = 54321;

    private readonly string _top = Directory.CreateTempSubdirectory("runsc-rootless-").FullName;

    public RootlessTests()
    {
        // The repository may be where only root can go.
        File.SetUnixFileMode(_top, (UnixFileMode)0x1ed);
        foreach (string name in (string[])["root/bin", "root/proc", "root/dev", "root/tmp", "root/etc", "root/sys", "root/run", "home"])
        {
            Directory.CreateDirectory(Path.Combine(_top, name));
        }

        if (TestEnvironment.Binary is not null)
        {
            File.Copy(TestEnvironment.Binary, Path.Combine(_top, "runsc"));
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

        File.WriteAllText(Path.Combine(_top, "root/etc/passwd"), "root:x:0:0:root:/:/bin/sh\n");
        if (Environment.UserName == "root")
        {
            CommandRunner.Shell($"chown -R {User}:{User} {_top}/home {_top}/root");
        }
    }

    public void Dispose()
    {
        // Podman's storage has mounts of its own while it runs only.
        CommandRunner.Run("rm", ["-rf", _top]);
    }

    private CommandResult AsUser(params string[] words) => CommandRunner.Run("setpriv",
    [
        $"--reuid={User}", $"--regid={User}", "--clear-groups", "env", "-i", "PATH=/usr/bin:/bin:/usr/sbin:/sbin", $"HOME={_top}/home", $"XDG_RUNTIME_DIR={_top}/home", .. words,
    ], directory: _top);

    private string[] Runsc => [$"{_top}/runsc", "--rootless", $"--platform={Platform}", "--network=none"];

    /// <summary>KVM is for ordinary users only where its device is open to them.</summary>
    private string Platform => TestEnvironment.Platform == "kvm" && AsUser("sh", "-c", ": <>/dev/kvm").Status != 0 ? "systrap" : TestEnvironment.Platform;

    [RootlessFact]
    public void Do_OrdinaryUser_IsRootInside()
    {
        CommandResult result = AsUser([.. Runsc, "do", "--root", $"{_top}/root", "/bin/sh", "-c", "id -u; echo x >/made; cat /made; exit 6"]);
        Assert.True(result is { Status: 6, Output: "0\nx\n" }, result.ToString());
        Assert.False(File.Exists($"{_top}/root/made"));
    }

    [RootlessFact]
    public void Run_OrdinaryUser_RunsTheBundleAndLeavesNothing()
    {
        CommandResult spec = AsUser([.. Runsc, "spec", "--bundle", $"{_top}/home", "--", "/bin/sh", "-c", "id -u; exit 4"]);
        Assert.True(spec.Status == 0, spec.ToString());
        string file = $"{_top}/home/config.json";
        File.WriteAllText(file, File.ReadAllText(file).Replace("\"rootfs\"", $"\"{_top}/root\"", StringComparison.Ordinal).Replace("\"terminal\": true", "\"terminal\": false", StringComparison.Ordinal));
        CommandResult result = AsUser([.. Runsc, "run", "--bundle", $"{_top}/home", "mine"]);
        Assert.True(result is { Status: 4, Output: "0\n" }, result.ToString());
        CommandResult list = AsUser([.. Runsc, "list", "--quiet"]);
        Assert.True(list is { Status: 0, Output: "" }, list.ToString());
    }

    [SandboxFact]
    public void Run_OrdinaryUserWithoutTheFlag_SaysWhatIsNeeded()
    {
        CommandResult result = AsUser($"{_top}/runsc", $"--platform={TestEnvironment.Platform}", "--network=none", "do", "--root", $"{_top}/root", "/bin/id");
        Assert.Equal(128, result.Status);
        Assert.Contains("--rootless", result.Error, StringComparison.Ordinal);
    }
}

/// <summary>A test that needs a user namespace of an ordinary user's own.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class RootlessFactAttribute : FactAttribute
{
    private static readonly string? s_missing = TestEnvironment.SandboxMissing
        ?? (CommandRunner.Run("/usr/bin/setpriv", ["--reuid=54321", "--regid=54321", "--clear-groups", "/usr/bin/unshare", "--user", "/bin/true"]).Status == 0
            ? null
            : "ordinary users may not make user namespaces here (a setting of the kernel, or a chroot)");

    public RootlessFactAttribute() => Skip = s_missing;
}
