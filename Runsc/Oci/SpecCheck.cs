using System;
using System.Collections.Generic;
using System.IO;
using Runsc.Common;
using Runsc.Host.Syscalls;
using Runsc.Linux;

namespace Runsc.Oci;

/// <summary>
/// What of a specification cannot be carried out is refused before anything is made, with the file's name and the key. What has no meaning in
/// a sandbox of its own kernel (paths of IPC, PID and UTS namespaces of the host) is accepted: the container gets its own.
/// </summary>
internal static class SpecCheck
{
    // As Linux: a clock with an offset is less than half of what nanoseconds in 64 bits hold.
    private const long MaxOffsetSeconds = (long.MaxValue / 1_000_000_000 / 2) - 1_000_000_000;

    private static readonly string[] s_namespaces = ["pid", "network", "mount", "ipc", "uts", "user", "cgroup", "time"];
    private static readonly string[] s_policies = ["SCHED_OTHER", "SCHED_FIFO", "SCHED_RR", "SCHED_BATCH", "SCHED_ISO", "SCHED_IDLE", "SCHED_DEADLINE"];
    private static readonly string[] s_ioClasses = ["IOPRIO_CLASS_NONE", "IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE"];

    /// <exception cref="RunscException">One line that names the file and the key.</exception>
    public static void Check(string path, Spec spec, string bundle)
    {
        CheckVersion(path, spec.OciVersion);
        foreach ((string name, bool given) in new[] { ("windows", spec.Windows is not null), ("solaris", spec.Solaris is not null), ("vm", spec.Vm is not null), ("zos", spec.Zos is not null) })
        {
            Refuse(given, path, $"{name} is for another platform");
        }

        CheckProcess(path, "process.", spec.Process ?? throw new RunscException($"{path}: process is missing"));
        Refuse(string.IsNullOrEmpty(spec.Root?.Path), path, "root.path is missing");
        string root = SpecLoader.RootOf(spec, bundle);
        Refuse(!Directory.Exists(root), path, $"root.path {root}: no such directory");
        Refuse(spec.Hostname?.Length > 64, path, "hostname is longer than 64 characters");
        Refuse(spec.Domainname?.Length > 64, path, "domainname is longer than 64 characters");
        CheckMounts(path, spec.Mounts ?? [], spec.Linux?.UidMappings is { Count: > 0 });
        CheckHooks(path, spec.Hooks);
        if (spec.Linux is LinuxSpec linux)
        {
            CheckLinux(path, linux);
        }
    }

    private static void CheckVersion(string path, string? version)
    {
        Refuse(string.IsNullOrEmpty(version), path, "ociVersion is missing");
        Refuse(!version!.StartsWith("1.", StringComparison.Ordinal), path, $"ociVersion {version} is not supported");
    }

    /// <exception cref="RunscException">As <see cref="Check"/>.</exception>
    public static void CheckProcess(string path, string prefix, ProcessSpec process)
    {
        Refuse(process.Args is not { Count: > 0 } || process.Args[0] is null, path, $"{prefix}args is missing or empty");
        Refuse(string.IsNullOrEmpty(process.Cwd) || process.Cwd[0] != '/', path, $"{prefix}cwd must be an absolute path");
        foreach (string variable in process.Env ?? [])
        {
            Refuse(variable.Contains('\0', StringComparison.Ordinal), path, $"{prefix}env has a zero byte");
        }

        HashSet<string> seen = [];
        foreach (RlimitSpec limit in process.Rlimits ?? [])
        {
            Refuse(SpecLoader.LimitNumber(limit.Type) is null, path, $"{prefix}rlimits: unknown type {limit.Type}");
            Refuse(!seen.Add(limit.Type!), path, $"{prefix}rlimits: {limit.Type} is given twice");
            Refuse(limit.Soft > limit.Hard, path, $"{prefix}rlimits: {limit.Type}: the soft limit is above the hard one");
        }

        CapabilitiesSpec? capabilities = process.Capabilities;
        foreach (List<string>? set in (List<string>?[])[capabilities?.Bounding, capabilities?.Effective, capabilities?.Inheritable, capabilities?.Permitted, capabilities?.Ambient])
        {
            _ = CapabilityNames.ToMask(set, $"{path}: {prefix}capabilities");
        }

        foreach ((string name, string? list) in new[] { ("initial", process.ExecCPUAffinity?.Initial), ("final", process.ExecCPUAffinity?.Final) })
        {
            Refuse(!CpuList.TryParse(list ?? "", out _), path, $"{prefix}execCPUAffinity.{name}: \"{list}\" is no list of processors 0 to 63");
        }

        Refuse(process.OomScoreAdj is < -1000 or > 1000, path, $"{prefix}oomScoreAdj {process.OomScoreAdj} is not between -1000 and 1000");
        if (process.Scheduler is SchedulerSpec scheduler)
        {
            Refuse(Array.IndexOf(s_policies, scheduler.Policy) < 0, path, $"{prefix}scheduler.policy: unknown policy {scheduler.Policy}");
            Refuse(scheduler.Policy is "SCHED_DEADLINE" or "SCHED_ISO", path, $"{prefix}scheduler.policy: {scheduler.Policy} is not supported");
            Refuse(scheduler.Nice is < -20 or > 19, path, $"{prefix}scheduler.nice {scheduler.Nice} is not between -20 and 19");
            bool realTime = scheduler.Policy is "SCHED_FIFO" or "SCHED_RR";
            Refuse(realTime ? scheduler.Priority is < 1 or > 99 : scheduler.Priority != 0, path, $"{prefix}scheduler.priority {scheduler.Priority} does not fit {scheduler.Policy}");
            foreach (string flag in scheduler.Flags ?? [])
            {
                Refuse(flag != "SCHED_FLAG_RESET_ON_FORK", path, $"{prefix}scheduler.flags: {flag} is not supported");
            }
        }

        if (process.IoPriority is IoPrioritySpec io)
        {
            Refuse(IoPriority(io) is null, path, $"{prefix}ioPriority.class: unknown class {io.Class}");
            Refuse(io.Priority is < 0 or > 7, path, $"{prefix}ioPriority.priority {io.Priority} is not between 0 and 7");
        }
    }

    /// <summary>SCHED_* number of a policy that <see cref="CheckProcess"/> has let pass.</summary>
    public static int Policy(SchedulerSpec scheduler) => Array.IndexOf(s_policies, scheduler.Policy);

    /// <summary>As ioprio_set(2) takes it; null for an unknown class.</summary>
    public static int? IoPriority(IoPrioritySpec io)
    {
        int index = Array.IndexOf(s_ioClasses, io.Class);
        return index < 0 ? null : (index << 13) | io.Priority;
    }

    private static void CheckMounts(string path, List<MountSpec> mounts, bool hasUserNamespace)
    {
        foreach (MountSpec mount in mounts)
        {
            Refuse(string.IsNullOrEmpty(mount.Destination), path, "mounts: an entry has no destination");
            MountOptions options = MountOptions.Parse(mount);
            bool maps = mount.UidMappings is { Count: > 0 };
            Refuse(maps != mount.GidMappings is { Count: > 0 }, path, $"mounts: {mount.Destination}: uidMappings and gidMappings belong together");
            Refuse(options.MapsIds && !maps && !hasUserNamespace, path, $"mounts: {mount.Destination}: idmap needs uidMappings and gidMappings, of the mount or of linux");
            Refuse((options.MapsIds || maps) && !options.IsBind, path, $"mounts: {mount.Destination}: ids can be mapped for bind mounts only");
            Refuse(
                (options.MapsIds || maps) && options.Propagation is "slave" or "rslave" or "shared" or "rshared", path,
                $"mounts: {mount.Destination}: mapped ids and propagation {options.Propagation} do not go together");
            Refuse(options.IsBind && string.IsNullOrEmpty(mount.Source), path, $"mounts: {mount.Destination}: a bind mount needs a source");
            Refuse(!options.IsBind && string.IsNullOrEmpty(mount.Type), path, $"mounts: {mount.Destination}: type is missing");
            Refuse((options.Flags & Mount.MS_REMOUNT) != 0 && !options.IsBind, path, $"mounts: {mount.Destination}: remount is not supported");
        }
    }

    private static void CheckHooks(string path, HooksSpec? hooks)
    {
        foreach ((string kind, List<HookSpec>? list) in new[]
        {
            ("prestart", hooks?.Prestart), ("createRuntime", hooks?.CreateRuntime), ("createContainer", hooks?.CreateContainer), ("startContainer", hooks?.StartContainer),
            ("poststart", hooks?.Poststart), ("poststop", hooks?.Poststop),
        })
        {
            foreach (HookSpec hook in list ?? [])
            {
                Refuse(string.IsNullOrEmpty(hook.Path) || hook.Path[0] != '/', path, $"hooks.{kind}: path \"{hook.Path}\" is not absolute");
                Refuse(hook.Timeout is <= 0, path, $"hooks.{kind}: {hook.Path}: timeout must be greater than zero");
            }
        }
    }

    private static void CheckLinux(string path, LinuxSpec linux)
    {
        HashSet<string> seen = [];
        foreach (NamespaceSpec space in linux.Namespaces ?? [])
        {
            Refuse(Array.IndexOf(s_namespaces, space.Type) < 0, path, $"linux.namespaces: unknown type {space.Type}");
            Refuse(!seen.Add(space.Type!), path, $"linux.namespaces: {space.Type} is given twice");
            Refuse(space.Type == "network" && !string.IsNullOrEmpty(space.Path) && !Path.Exists(space.Path), path, $"linux.namespaces: network: {space.Path}: no such file or directory");
        }

        Refuse(linux.IntelRdt is not null, path, "linux.intelRdt is not supported");
        Refuse(linux.MemoryPolicy is not null, path, "linux.memoryPolicy is not supported");
        Refuse(linux.NetDevices is not null, path, "linux.netDevices is not supported");
        Refuse(linux.Personality?.Domain is not (null or "LINUX" or "LINUX32"), path, $"linux.personality: domain {linux.Personality?.Domain} is not supported");
        Refuse(linux.Personality?.Flags is { Count: > 0 }, path, "linux.personality: flags are not supported");
        foreach ((string clock, TimeOffsetSpec offset) in linux.TimeOffsets ?? [])
        {
            Refuse(clock is not ("monotonic" or "boottime"), path, $"linux.timeOffsets: unknown clock {clock}");
            Refuse(offset.Nanosecs >= 1_000_000_000, path, $"linux.timeOffsets: {clock}: nanosecs {offset.Nanosecs} is a second and more");
            Refuse(
                offset.Secs is > MaxOffsetSeconds or < -MaxOffsetSeconds || (offset.Secs * 1_000_000_000) + HostTime.Now(TimeConstants.CLOCK_MONOTONIC) < 0, path,
                $"linux.timeOffsets: {clock}: with {offset.Secs} seconds the clock is out of range");
            Refuse(
                (offset.Secs != 0 || offset.Nanosecs != 0) && linux.Namespaces?.Exists(space => space.Type == "time" && string.IsNullOrEmpty(space.Path)) != true, path,
                "linux.timeOffsets needs a new time namespace");
        }

        if (linux.Seccomp is SeccompSpec seccomp)
        {
            _ = SeccompCompiler.Compile($"{path}: linux.seccomp", seccomp);
        }

        Refuse(linux.RootfsPropagation is { Length: > 0 } propagation && !MountOptions.IsPropagation(propagation), path, $"linux.rootfsPropagation: unknown value {linux.RootfsPropagation}");
        foreach (DeviceSpec device in linux.Devices ?? [])
        {
            Refuse(string.IsNullOrEmpty(device.Path) || device.Path[0] != '/', path, $"linux.devices: path \"{device.Path}\" is not absolute");
            Refuse(device.Type is not ("c" or "b" or "u" or "p"), path, $"linux.devices: {device.Path}: unknown type {device.Type}");
            Refuse(device.Type != "p" && (device.Major < 0 || device.Minor < 0), path, $"linux.devices: {device.Path}: major and minor are needed");
        }

        foreach (string masked in (IEnumerable<string>)[.. linux.MaskedPaths ?? [], .. linux.ReadonlyPaths ?? []])
        {
            Refuse(masked.Length == 0 || masked[0] != '/', path, $"linux.maskedPaths and readonlyPaths: \"{masked}\" is not absolute");
        }

        Refuse(linux.UidMappings is { Count: > 0 } != linux.GidMappings is { Count: > 0 }, path, "linux.uidMappings and gidMappings belong together");
        CheckSysctl(path, linux.Sysctl ?? []);
        CheckResources($"{path}: linux.resources", linux.Resources);
    }

    private static void CheckSysctl(string path, Dictionary<string, string> values)
    {
        foreach ((string name, _) in values)
        {
            string dotted = name.Replace('/', '.');
            bool own = dotted.StartsWith("net.", StringComparison.Ordinal) || dotted.StartsWith("fs.mqueue.", StringComparison.Ordinal)
                || dotted is "kernel.msgmax" or "kernel.msgmnb" or "kernel.msgmni" or "kernel.sem" or "kernel.shmall" or "kernel.shmmax" or "kernel.shmmni" or "kernel.shm_rmid_forced"
                    or "kernel.domainname" or "kernel.hostname";
            Refuse(!own || dotted.Contains("..", StringComparison.Ordinal), path, $"linux.sysctl: \"{name}\" is not in a separate kernel namespace");
        }
    }

    /// <exception cref="RunscException">A value makes no sense; the message begins with <paramref name="where"/>.</exception>
    public static void CheckResources(string where, ResourcesSpec? resources)
    {
        if (resources is null)
        {
            return;
        }

        foreach (DeviceRuleSpec rule in resources.Devices ?? [])
        {
            Refuse(rule.Type is not (null or "" or "a" or "b" or "c"), where, $"devices: unknown type {rule.Type}");
            Refuse(rule.Access?.AsSpan().ContainsAnyExcept("rwm") ?? false, where, $"devices: access \"{rule.Access}\" is not of r, w and m");
        }

        foreach (HugepageSpec page in resources.HugepageLimits ?? [])
        {
            Refuse(string.IsNullOrEmpty(page.PageSize) || page.PageSize.Contains('/', StringComparison.Ordinal), where, "hugepageLimits: pageSize is missing");
        }

        foreach ((string name, _) in resources.Unified ?? [])
        {
            Refuse(name.Length == 0 || name.Contains('/', StringComparison.Ordinal) || name[0] == '.', where, $"unified: \"{name}\" is not a file of a control group");
        }

        Refuse(resources.Memory is { Limit: > 0, Swap: > 0 } memory && memory.Swap < memory.Limit, where, "memory: swap (memory and swap together) is below limit");
        Refuse(resources.BlockIO?.Weight is > 0 and < 10 or > 1000, where, $"blockIO: weight {resources.BlockIO?.Weight} is not between 10 and 1000");
    }

    private static void Refuse(bool condition, string where, string what)
    {
        if (condition)
        {
            throw new RunscException($"{where}: {what}");
        }
    }
}
