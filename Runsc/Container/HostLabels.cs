using System;
using System.IO;
using Runsc.Common;
using Runsc.Oci;

namespace Runsc.Container;

/// <summary>AppArmor profiles and SELinux labels of a specification: on the host, for the sandbox's processes, from their second stage on.</summary>
internal static class HostLabels
{
    /// <summary>What the stage writes to its attr/exec; null for nothing.</summary>
    /// <exception cref="RunscException">The host has not what the specification asks for.</exception>
    public static string? Check(Spec spec)
    {
        string? profile = spec.Process!.ApparmorProfile, label = spec.Process.SelinuxLabel;
        bool selinux = File.Exists("/sys/fs/selinux/enforce");
        if (!string.IsNullOrEmpty(label) && !selinux)
        {
            throw new RunscException("process.selinuxLabel is set, but SELinux is not enabled on this host");
        }

        if (!string.IsNullOrEmpty(spec.Linux?.MountLabel) && !selinux)
        {
            throw new RunscException("linux.mountLabel is set, but SELinux is not enabled on this host");
        }

        if (string.IsNullOrEmpty(profile) || profile == "unconfined")
        {
            return string.IsNullOrEmpty(label) ? null : label;
        }

        return IsAppArmorEnabled() ? $"exec {profile}" : throw new RunscException($"process.apparmorProfile is {profile}, but AppArmor is not enabled on this host");
    }

    public static bool IsAppArmorEnabled()
    {
        try
        {
            return File.ReadAllText("/sys/module/apparmor/parameters/enabled").StartsWith('Y');
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }
}
