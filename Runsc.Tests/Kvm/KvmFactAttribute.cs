using System;
using System.IO;
using Runsc.Platform;
using Runsc.Platform.Kvm;
using Xunit;

namespace Runsc.Tests.Kvm;

/// <summary>A test that runs guest code on this machine's KVM; skipped where it cannot be opened.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class KvmFactAttribute : FactAttribute
{
    private static readonly string? s_missing = FindMissing();

    public KvmFactAttribute() => Skip = s_missing;

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
