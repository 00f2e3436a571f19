using System;
using System.IO;
using System.Runtime.Intrinsics.X86;
using Runsc.Platform;
using Runsc.Platform.Kvm;
using Runsc.Tests.Platforms;
using Xunit;

namespace Runsc.Tests.Kvm;

/// <summary>A test that runs guest code on this machine's KVM; skipped where it cannot be opened.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class KvmFactAttribute : FactAttribute
{
    /// <summary>Why there is no KVM; null if there is.</summary>
    internal static string? Missing { get; } = FindMissing();

    /// <summary>Whether this machine's KVM is one on which system calls can be handed over.</summary>
    internal static Lazy<bool> HandsOver { get; } = new(() =>
    {
        using var machine = new GuestMachine(kvm: true);
        return machine.Kvm.HandsOver;
    });

    public KvmFactAttribute() => Skip = Missing;

    /// <summary>CPUID 0x40000000 says TCGTCGTCGTCG.</summary>
    internal static bool IsEmulated()
    {
        const int Signature = 0x54474354;
        return X86Base.IsSupported && X86Base.CpuId(0x4000_0000, 0).Ebx == Signature;
    }

    private static string? FindMissing()
    {
        if (!File.Exists(KvmRequirements.DevicePath))
        {
            return "there is no /dev/kvm";
        }

        try
        {
            _ = KvmCalls.Close(KvmRequirements.OpenDevice());
            return null;
        }
        catch (PlatformException e)
        {
            return e.Message;
        }
    }
}
