using System;
using System.IO;
using System.Linq;
using Runsc.Tests.Support;
using Xunit;

namespace Runsc.Tests.Guest;

/// <summary>
/// Small C programs run on the host and in a sandbox, each in an empty directory: the host's Linux is the oracle,
/// so status and output must be equal.
/// </summary>
[Collection("sandbox")]
public sealed class GuestProgramTests
{
    private static readonly string s_sources = Path.Combine(TestEnvironment.Top, "Runsc.Tests/Guest/programs");

    /// <summary>Those of the sandbox, as setpriv(1) has them: without the others, some errors differ.</summary>
    private static readonly string s_capabilities = "-all," + string.Join(',', Sandbox.CapabilityNames.Select(name => "+" + name["CAP_".Length..].ToLowerInvariant()));

    public static TheoryData<string> Programs()
    {
        TheoryData<string> programs = [];
        foreach (string source in Directory.GetFiles(s_sources, "*.c").Order(StringComparer.Ordinal))
        {
            string name = Path.GetFileNameWithoutExtension(source);
            if (name != "tcp_congestion" || File.ReadAllText("/proc/sys/net/ipv4/tcp_available_congestion_control").Contains("bbr", StringComparison.Ordinal))
            {
                programs.Add(name);
            }
        }

        return programs;
    }

    [SandboxTheory]
    [MemberData(nameof(Programs))]
    public void Program_OnHostAndInSandbox_SaysTheSame(string name) => Compare(name, TestEnvironment.Platform);

    /// <summary>Where a platform's way of stopping and stepping the application matters.</summary>
    [SandboxTheory]
    [InlineData("rseq")]
    [InlineData("ptrace_look")]
    [InlineData("ptrace_stops")]
    public void Program_OnHostAndOnSystrap_SaysTheSame(string name) => Compare(name, "systrap");

    private static void Compare(string name, string platform)
    {
        using Sandbox sandbox = new();
        sandbox.Flags[0] = $"--platform={platform}";
        string program = Path.Combine(sandbox.Root, "bin", name);
        Compile(name, program);
        string directory = Path.Combine(sandbox.Directory, "native");
        Directory.CreateDirectory(directory);
        CommandResult native = CommandRunner.Run("/usr/bin/setpriv", ["--bounding-set", s_capabilities, "/usr/bin/setsid", "--wait", program], directory: directory);

        Directory.CreateDirectory(Path.Combine(sandbox.Root, "work"));
        sandbox.Config["process"]!["cwd"] = "/work";
        CommandResult inside = sandbox.Run(["/bin/" + name]);

        Assert.True(native.Status == inside.Status && native.Output == inside.Output, $"on the host: {native}\nin the sandbox: {inside}");
        Assert.NotEqual("", native.Output);
    }

    /// <summary>Builds a program as one static file, with the compiler's warnings as errors.</summary>
    internal static void Compile(string name, string output)
    {
        CommandResult result = CommandRunner.Run(
            "/usr/bin/gcc",
            ["-O1", "-g", "-static", "-pthread", "-Wall", "-Werror", "-Wno-unused-result", "-o", output, Path.Combine(s_sources, name + ".c"), "-lutil"]);
        Assert.True(result.Status == 0, result.ToString());
    }
}
