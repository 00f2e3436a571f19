using System;
using System.Collections.Generic;
using Runsc.Common;
using Runsc.Config;
using Runsc.Container;
using Runsc.Container.Namespaces;
using Runsc.Host.Processes;
using Runsc.Oci;
using Xunit;

namespace Runsc.Tests.Unit.Container;

public sealed class AnnotationTests
{
    [Fact]
    public void Flags_ThatLoosenNothing_MayBeSet()
    {
        RunscConfig config = new();
        ConfigAnnotations.Apply(config, new Dictionary<string, string> { ["dev.gvisor.flag.debug"] = "true", ["dev.gvisor.flag.overlay2"] = "none", ["other"] = "x" });
        Assert.True(config.Debug);
        Assert.Equal("none", config.Overlay2);
    }

    [Fact]
    public void OtherFlags_NeedTheOperator()
    {
        Dictionary<string, string> annotations = new() { ["dev.gvisor.flag.network"] = "host" };
        Assert.Contains("--allow-flag-override", Assert.Throws<RunscException>(() => ConfigAnnotations.Apply(new RunscConfig(), annotations)).Message, StringComparison.Ordinal);
        RunscConfig config = new() { AllowFlagOverride = true };
        ConfigAnnotations.Apply(config, annotations);
        Assert.Equal("host", config.Network);
        Assert.Throws<RunscException>(() => ConfigAnnotations.Apply(config, new Dictionary<string, string> { ["dev.gvisor.flag.nonsense"] = "1" }));
        Assert.Throws<RunscException>(() => ConfigAnnotations.Apply(config, new Dictionary<string, string> { ["dev.gvisor.flag.debug"] = "maybe" }));
    }

    [Theory]
    [InlineData("io.kubernetes.cri.container-type", "io.kubernetes.cri.sandbox-id")]
    [InlineData("io.kubernetes.cri-o.ContainerType", "io.kubernetes.cri-o.SandboxID")]
    public void Pods_AreKnownByTheirAnnotations(string type, string sandbox)
    {
        Assert.Null(PodAnnotations.SandboxOf(null));
        Assert.Null(PodAnnotations.SandboxOf(new() { [type] = "sandbox", [sandbox] = "s" }));
        Assert.Equal("s", PodAnnotations.SandboxOf(new() { [type] = "container", [sandbox] = "s" }));
        Assert.Throws<RunscException>(() => PodAnnotations.SandboxOf(new() { [type] = "container" }));
        Assert.Throws<RunscException>(() => PodAnnotations.SandboxOf(new() { [type] = "pod" }));
    }

    [Fact]
    public void Namespaces_OfTheHost_AreNewButForTheNetwork()
    {
        NamespacePlan plan = NamespacePlan.For(null, "none", rootless: false);
        Assert.NotEqual(0, plan.Sentry & HostProcess.CLONE_NEWNET);
        Assert.NotEqual(0, plan.Sentry & HostProcess.CLONE_NEWPID);
        foreach (string mode in new[] { "host", "sandbox" })
        {
            // Not named, the network is the caller's; named without a path, it is new.
            plan = NamespacePlan.For(null, mode, rootless: false);
            Assert.Equal(0, plan.Sentry & HostProcess.CLONE_NEWNET);
            Assert.True(plan.InheritsNetwork);
            plan = NamespacePlan.For(new LinuxSpec { Namespaces = [new NamespaceSpec { Type = "network" }] }, mode, rootless: false);
            Assert.NotEqual(0, plan.Sentry & HostProcess.CLONE_NEWNET);
            Assert.False(plan.InheritsNetwork);
        }

        LinuxSpec named = new() { Namespaces = [new NamespaceSpec { Type = "network", Path = "/proc/self/ns/net" }, new NamespaceSpec { Type = "pid", Path = "/proc/1/ns/pid" }] };
        plan = NamespacePlan.For(named, "sandbox", rootless: false);
        Assert.Equal(0, plan.Sentry & HostProcess.CLONE_NEWNET);
        Assert.NotEqual(0, plan.Sentry & HostProcess.CLONE_NEWPID);
        Assert.NotEqual(0, plan.Gofer & HostProcess.CLONE_NEWNET);
        Assert.Equal("/proc/self/ns/net", plan.NetworkPath);
    }

    [Fact]
    public void IdMaps_SayWhatIsMapped()
    {
        List<IdMappingSpec> map = [new IdMappingSpec { ContainerID = 0, HostID = 100_000, Size = 65_536 }];
        Assert.True(NamespacePlan.Maps(map, 65_535));
        Assert.False(NamespacePlan.Maps(map, 65_536));
        Assert.True(NamespacePlan.Maps([], 5));
    }
}
