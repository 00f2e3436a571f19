using System.Globalization;
using System.IO;
using Runsc.Tests.Support;
using Xunit;

namespace Runsc.Tests.Guest;

/// <summary>What is cached of files costs descriptors on both sides of 9P: a host that allows few of them must not show inside.</summary>
[Collection("sandbox")]
public sealed class DescriptorLimitTests
{
    [SandboxFact]
    public void Tree_WithMoreDirectoriesThanDescriptors_IsListed()
    {
        const int Directories = 1200;
        using Sandbox sandbox = new();
        for (int i = 0; i < Directories; i++)
        {
            Directory.CreateDirectory(Path.Combine(sandbox.Root, "tree", i.ToString(CultureInfo.InvariantCulture), "below"));
        }

        sandbox.Config["process"]!["args"] = new System.Text.Json.Nodes.JsonArray("/bin/busybox", "sh", "-c", "busybox ls -R /tree | busybox wc -l");
        sandbox.WriteConfig();

        // Without CAP_SYS_RESOURCE the hard limit stays.
        string command = $"exec setpriv --bounding-set=-sys_resource --inh-caps=-sys_resource prlimit --nofile=512:512 {TestEnvironment.Binary} "
            + $"--root {sandbox.State} {string.Join(' ', sandbox.Flags)} run --bundle {sandbox.Bundle} {sandbox.Id}";
        CommandResult result = CommandRunner.Run("/bin/sh", ["-c", command]);

        // The top and each directory: its name, a blank line and a heading; the ones below add theirs.
        string native = CommandRunner.Shell($"ls -R {sandbox.Root}/tree | wc -l").Trim();
        Assert.True(result.Status == 0 && result.Output.Trim() == native, result.ToString());
    }
}
