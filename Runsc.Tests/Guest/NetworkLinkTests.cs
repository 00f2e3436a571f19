using System;
using System.IO;
using Runsc.Tests.Support;
using Xunit;

namespace Runsc.Tests.Guest;

/// <summary>Scripts about network namespaces and links, run in a namespace of the host and in one of a sandbox over the host's files, with its ip(8): both say the same.</summary>
[Collection("sandbox")]
public sealed class NetworkLinkTests : IDisposable
{
    private static readonly string s_sources = Path.Combine(TestEnvironment.Top, "Runsc.Tests/Guest/links");

    private readonly string _directory = Directory.CreateTempSubdirectory("runsc-links-").FullName;

    [SandboxTheory]
    [InlineData("namespaces")]
    [InlineData("bridge")]
    [InlineData("forward")]
    [InlineData("sysctls")]
    [InlineData("listings")]
    [InlineData("numbers")]
    [InlineData("no_ipv6")]
    [InlineData("rules")]
    public void Script_OnHostAndInSandbox_SaysTheSame(string name) => Compare(name);

    [SandboxFact]
    public void Tun_OnHostAndInSandbox_SaysTheSame()
    {
        string program = Path.Combine(_directory, "tun");
        CommandResult built = CommandRunner.Run(
            "/usr/bin/gcc", ["-O1", "-static", "-Wall", "-Werror", "-Wno-unused-result", "-o", program, Path.Combine(s_sources, "tun.c")]);
        Assert.True(built.Status == 0, built.ToString());
        Compare("tun", program);
    }

    /// <summary>The host's kernel may have no address translation, so there is nothing to compare with.</summary>
    [SandboxFact]
    public void Masquerade_AcrossPairs_HidesTheSource()
    {
        CommandResult inside = Inside("masquerade");
        Assert.True(inside.Status == 0 && inside.Output.EndsWith("1 received\nfrom 10.3.2.1\n", StringComparison.Ordinal), inside.ToString());
    }

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    private void Compare(string name, string argument = "")
    {
        CommandResult native = CommandRunner.Run("/usr/bin/unshare", Command(name, argument));
        CommandResult inside = Inside(name, argument);
        Assert.True(native.Status == inside.Status && native.Output == inside.Output, $"on the host: {native}\nin the sandbox: {inside}");
        Assert.NotEqual("", native.Output);
    }

    private CommandResult Inside(string name, string argument = "") => CommandRunner.Run(
        TestEnvironment.Binary!,
        ["--root", Path.Combine(_directory, "state"), $"--platform={TestEnvironment.Platform}", "--network=none", "do", "--", "/usr/bin/unshare", .. Command(name, argument)]);

    private static string[] Command(string name, string argument) =>
        ["-n", "-m", "/bin/sh", "-c", "mount -t tmpfs none /run && exec 2>&1 && . \"$0\"", Path.Combine(s_sources, name + ".sh"), argument];
}
