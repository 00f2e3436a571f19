using System.IO;
using System.Text.Json.Nodes;
using Runsc.Tests.Support;
using Xunit;

namespace Runsc.Tests.Guest;

/// <summary>What needs CAP_SYS_ADMIN: on the host in a mount namespace of its own, and inside.</summary>
[Collection("sandbox")]
public sealed class MountChangeTests
{
    [SandboxFact]
    public void Mounts_ThatComeAndGo_AreToldToWhoPolls()
    {
        using Sandbox sandbox = new();
        string program = Path.Combine(sandbox.Root, "bin", "changes");
        GuestProgramTests.Compile("../mounts/changes", program);
        CommandResult native = CommandRunner.Run("/usr/bin/unshare", ["-m", "/bin/sh", "-c", $"mount -t tmpfs none /tmp && exec {program.Replace("/tmp/", "/proc/self/cwd/", System.StringComparison.Ordinal)}"], directory: "/tmp");
        foreach (string kind in (string[])["bounding", "effective", "permitted"])
        {
            sandbox.Config["process"]!["capabilities"]![kind]!.AsArray().Add((JsonNode)"CAP_SYS_ADMIN");
        }

        CommandResult inside = sandbox.Run(["/bin/changes"]);
        Assert.True(native.Status == inside.Status && native.Output == inside.Output, $"on the host: {native}\nin the sandbox: {inside}");
        Assert.Contains("asleep: 1", native.Output, System.StringComparison.Ordinal);
    }
}
