using System;
using System.Collections.Generic;
using Runsc.Tests.Kvm;
using Xunit;
using Xunit.Abstractions;
using Xunit.Sdk;

namespace Runsc.Tests.Platforms;

/// <summary>A test of <see cref="PlatformTests"/>: those of a class for KVM are skipped where it cannot be opened; systrap is everywhere.</summary>
[AttributeUsage(AttributeTargets.Method)]
[XunitTestCaseDiscoverer("Runsc.Tests.Platforms.EachPlatformDiscoverer", "Runsc.Tests")]
public sealed class EachPlatformAttribute : FactAttribute
{
    /// <summary>The test needs what QEMU's emulated processor leaves out: #AC, #XM.</summary>
    public bool NeedsRealProcessor { get; set; }

    /// <summary>Why a test of this class does not run here; null if it does.</summary>
    internal static string? ReasonToSkip(string className, bool needsRealProcessor) =>
        className.StartsWith("Kvm", StringComparison.Ordinal) && KvmFactAttribute.Missing is string missing ? missing
        : className.StartsWith("KvmHandOver", StringComparison.Ordinal) && !KvmFactAttribute.HandsOver.Value ? "system calls enter ring 0 here, or there is one processor: none is handed over"
        : needsRealProcessor && KvmFactAttribute.IsEmulated() ? "the emulated processor does not raise this exception"
        : null;
}

/// <summary>Makes the test cases of <see cref="EachPlatformAttribute"/>.</summary>
public sealed class EachPlatformDiscoverer(IMessageSink sink) : IXunitTestCaseDiscoverer
{
    public IEnumerable<IXunitTestCase> Discover(ITestFrameworkDiscoveryOptions discoveryOptions, ITestMethod testMethod, IAttributeInfo factAttribute)
    {
        bool needsRealProcessor = factAttribute.GetNamedArgument<bool>(nameof(EachPlatformAttribute.NeedsRealProcessor));
        string name = testMethod.TestClass.Class.Name[(testMethod.TestClass.Class.Name.LastIndexOf('.') + 1)..];
        string? reason = EachPlatformAttribute.ReasonToSkip(name, needsRealProcessor);
        TestMethodDisplay display = discoveryOptions.MethodDisplayOrDefault();
        TestMethodDisplayOptions options = discoveryOptions.MethodDisplayOptionsOrDefault();
        return [reason is null ? new XunitTestCase(sink, display, options, testMethod) : new XunitSkippedDataRowTestCase(sink, display, options, testMethod, reason)];
    }
}
