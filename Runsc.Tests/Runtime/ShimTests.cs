using System;
using System.IO;
using Runsc.Tests.Support;
using Xunit;

namespace Runsc.Tests.Runtime;

/// <summary>A test that needs containerd and runc.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class ShimWithRuncFactAttribute : FactAttribute
{
    public ShimWithRuncFactAttribute() => Skip = ContainerdFixture.Missing ?? (ContainerdFixture.OnPath("runc") ? null : "runc is not installed");
}

/// <summary>A test that needs containerd and a sandbox.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class ShimFactAttribute : FactAttribute
{
    public ShimFactAttribute() => Skip = ContainerdFixture.Missing ?? TestEnvironment.SandboxMissing;
}

/// <summary>The shim with a runtime that is known: what fails here is the shim's fault, or the test's.</summary>
[Collection("sandbox")]
public sealed class ShimWithRuncTests(ContainerdFixture containerd) : ShimScenarios(containerd, "runc", $"binary_name = \"{(File.Exists("/usr/sbin/runc") ? "/usr/sbin/runc" : "/usr/bin/runc")}\""), IClassFixture<ContainerdFixture>
{
    [ShimWithRuncFact]
    public void Container_Ends_OutputAndStatusArrive() => OutputAndStatusCore();

    [ShimWithRuncFact]
    public void StandardInput_OfManyPages_ReachesTheContainer() => StandardInputCore();

    [ShimWithRuncFact]
    public void Program_NotThere_IsReportedAndNothingIsLeft() => ProgramNotThereCore();

    [ShimWithRuncFact]
    public void Exec_RunsAndFails_AsNatively() => ExecCore();

    [ShimWithRuncFact]
    public void Exec_Killed_LeavesTheContainer() => ExecKilledCore();

    [ShimWithRuncFact]
    public void Terminal_OfACertainSize_ReachesTheContainer() => TerminalCore();

    [ShimWithRuncFact]
    public void Container_PausedAndResumed_SaysSo() => PauseCore();

    [ShimWithRuncFact]
    public void Signal_Caught_GivesTheProgramsStatus() => SignalsCore();

    [ShimWithRuncFact]
    public void ProcessesAndMetrics_OfARunningContainer_AreTold() => ProcessesAndMetricsCore();

    [ShimWithRuncFact]
    public void Containerd_KilledAndStarted_FindsTheContainer() => ContainerdRestartedCore();

    [ShimWithRuncFact]
    public void Shim_Killed_IsCleanedUp() => ShimKilledCore();

    [ShimWithRuncFact]
    public void Output_ToAFile_IsThere() => OutputToAFileCore();

    [ShimWithRuncFact]
    public void Events_OfALife_ComeInOrder() => EventsCore();
}

/// <summary>The shim with the runtime that it is itself.</summary>
[Collection("sandbox")]
public sealed class ShimTests(ContainerdFixture containerd) : ShimScenarios(containerd, "runsc", $"[runsc_config]\nplatform = \"{TestEnvironment.Platform}\"\nnetwork = \"none\""), IClassFixture<ContainerdFixture>
{
    [ShimFact]
    public void Container_Ends_OutputAndStatusArrive() => OutputAndStatusCore();

    [ShimFact]
    public void StandardInput_OfManyPages_ReachesTheContainer() => StandardInputCore();

    [ShimFact]
    public void Program_NotThere_IsReportedAndNothingIsLeft() => ProgramNotThereCore();

    [ShimFact]
    public void Exec_RunsAndFails_AsNatively() => ExecCore();

    [ShimFact]
    public void Exec_Killed_LeavesTheContainer() => ExecKilledCore();

    [ShimFact]
    public void Terminal_OfACertainSize_ReachesTheContainer() => TerminalCore();

    [ShimFact]
    public void Container_PausedAndResumed_SaysSo() => PauseCore();

    [ShimFact]
    public void Signal_Caught_GivesTheProgramsStatus() => SignalsCore();

    [ShimFact]
    public void ProcessesAndMetrics_OfARunningContainer_AreTold() => ProcessesAndMetricsCore();

    [ShimFact]
    public void Containerd_KilledAndStarted_FindsTheContainer() => ContainerdRestartedCore();

    [ShimFact]
    public void Shim_Killed_IsCleanedUp() => ShimKilledCore();

    [ShimFact]
    public void Output_ToAFile_IsThere() => OutputToAFileCore();

    [ShimFact]
    public void Events_OfALife_ComeInOrder() => EventsCore();

    [ShimFact]
    public void Pod_OfThreeContainers_HasOneShim() => PodCore();
}
