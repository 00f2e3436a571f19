using System;
using System.IO;
using Runsc.Tests.Support;
using Xunit;

namespace Runsc.Tests.Guest;

/// <summary>Guests that mean harm: the application kernel goes on, whatever they ask of it.</summary>
[Collection("sandbox")]
public sealed class HostileGuestTests
{
    /// <summary>Random system calls with arguments that are almost right; the seed is the test's argument.</summary>
    [SandboxTheory]
    [InlineData(1)]
    [InlineData(20_261_125)]
    [InlineData(987_654_321)]
    public void RandomSystemCalls_AreSurvived(int seed)
    {
        using Sandbox sandbox = new();
        string program = Path.Combine(sandbox.Root, "bin/fuzz");
        CommandResult built = CommandRunner.Run(
            "/usr/bin/gcc",
            ["-O1", "-static", "-Wall", "-Werror", "-Wno-unused-result", "-o", program, Path.Combine(TestEnvironment.Top, "Runsc.Tests/Guest/hostile/fuzz.c")]);
        Assert.True(built.Status == 0, built.ToString());

        CommandResult result = sandbox.Run(["/bin/fuzz", $"{seed}", "20", "3000"]);

        // Its children may find a way to their parent's output, as on Linux; what counts is that all of them came to an end.
        Assert.True(result.Status == 0 && result.Output.EndsWith("survived\n", StringComparison.Ordinal), $"seed {seed}: {result}");
    }
}
