using System;
using System.IO;
using Runsc.Tests.Kvm;
using Xunit;

namespace Runsc.Tests.Support;

/// <summary>What this machine has for the tests that need more than the assembly.</summary>
internal static class TestEnvironment
{
    /// <summary>The repository's top folder.</summary>
    public static string Top { get; } = FindTop();

    /// <summary>The published binary; null before scripts/build.</summary>
    public static string? Binary { get; } = FindBinary();

    /// <summary>A Debian root made by scripts/test; null when there is none.</summary>
    public static string? DebianRoot { get; } = ExistingDirectory(Environment.GetEnvironmentVariable("RUNSC_DEBIAN_ROOT"));

    /// <summary>The platform for tests that do not mind which: KVM where it can be opened, systrap, which every machine has, otherwise.</summary>
    public static string Platform { get; } = KvmFactAttribute.Missing is null ? "kvm" : "systrap";

    /// <summary>Why tests in a real sandbox cannot run, or null.</summary>
    public static string? SandboxMissing { get; } =
        Binary is null ? "artifacts/runsc is not built (scripts/build)"
        : Environment.UserName != "root" ? "root is needed to make a sandbox"
        : !File.Exists("/usr/bin/gcc") ? "gcc is missing"
        : null;

    public static string? DebianMissing { get; } =
        SandboxMissing ?? (DebianRoot is null ? "there is no Debian root (RUNSC_DEBIAN_ROOT; scripts/test makes one)" : null);

    private static string? ExistingDirectory(string? path) => Directory.Exists(path) ? path : null;

    private static string FindTop()
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "runsc.sln")))
            {
                return folder.FullName;
            }
        }

        throw new InvalidOperationException("the tests run outside the repository");
    }

    private static string? FindBinary()
    {
        string path = Environment.GetEnvironmentVariable("RUNSC_BINARY") ?? Path.Combine(FindTop(), "artifacts", "runsc");
        return File.Exists(path) ? path : null;
    }
}

/// <summary>A test that runs application code in this process, on whatever platform the machine has.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class PlatformFactAttribute : FactAttribute;

/// <summary>A test that runs the published binary's sandbox.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class SandboxFactAttribute : FactAttribute
{
    public SandboxFactAttribute() => Skip = TestEnvironment.SandboxMissing;
}

/// <summary><see cref="SandboxFactAttribute"/> with data.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class SandboxTheoryAttribute : TheoryAttribute
{
    public SandboxTheoryAttribute() => Skip = TestEnvironment.SandboxMissing;
}

/// <summary>A test that runs programs of a Debian root in a sandbox.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class DebianFactAttribute : FactAttribute
{
    public DebianFactAttribute() => Skip = TestEnvironment.DebianMissing;
}

/// <summary><see cref="DebianFactAttribute"/> with data.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class DebianTheoryAttribute : TheoryAttribute
{
    public DebianTheoryAttribute() => Skip = TestEnvironment.DebianMissing;
}

/// <summary>Tests that load the machine with sandboxes run one after the other.</summary>
[CollectionDefinition("sandbox", DisableParallelization = true)]
public sealed class SandboxTests
{
}
