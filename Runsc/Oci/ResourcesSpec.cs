using System.Collections.Generic;

namespace Runsc.Oci;

/// <summary>"linux.resources": limits of a control group. null: not given.</summary>
internal sealed class ResourcesSpec
{
    public List<DeviceRuleSpec>? Devices { get; set; }

    public MemorySpec? Memory { get; set; }

    public CpuSpec? Cpu { get; set; }

    public PidsSpec? Pids { get; set; }

    public BlockIoSpec? BlockIO { get; set; }

    public List<HugepageSpec>? HugepageLimits { get; set; }

    public NetworkResourceSpec? Network { get; set; }

    public Dictionary<string, RdmaSpec>? Rdma { get; set; }

    /// <summary>cgroup v2 files and what is written to them.</summary>
    public Dictionary<string, string>? Unified { get; set; }
}

internal sealed class DeviceRuleSpec
{
    public bool Allow { get; set; }

    /// <summary>a, c or b; null for all.</summary>
    public string? Type { get; set; }

    public long? Major { get; set; }

    public long? Minor { get; set; }

    public string? Access { get; set; }
}

/// <summary>Bytes; −1 is no limit.</summary>
internal sealed class MemorySpec
{
    public long? Limit { get; set; }

    public long? Reservation { get; set; }

    /// <summary>Memory and swap together, as in cgroup v1.</summary>
    public long? Swap { get; set; }

    public long? Kernel { get; set; }

    public long? KernelTCP { get; set; }

    public ulong? Swappiness { get; set; }

    public bool? DisableOOMKiller { get; set; }

    public bool? UseHierarchy { get; set; }

    public bool? CheckBeforeUpdate { get; set; }
}

/// <summary>Times in microseconds.</summary>
internal sealed class CpuSpec
{
    public ulong? Shares { get; set; }

    public long? Quota { get; set; }

    public ulong? Burst { get; set; }

    public ulong? Period { get; set; }

    public long? RealtimeRuntime { get; set; }

    public ulong? RealtimePeriod { get; set; }

    public string? Cpus { get; set; }

    public string? Mems { get; set; }

    public long? Idle { get; set; }
}

internal sealed class PidsSpec
{
    public long? Limit { get; set; }
}

internal sealed class BlockIoSpec
{
    public ushort? Weight { get; set; }

    public ushort? LeafWeight { get; set; }

    public List<WeightDeviceSpec>? WeightDevice { get; set; }

    public List<ThrottleDeviceSpec>? ThrottleReadBpsDevice { get; set; }

    public List<ThrottleDeviceSpec>? ThrottleWriteBpsDevice { get; set; }

    public List<ThrottleDeviceSpec>? ThrottleReadIOPSDevice { get; set; }

    public List<ThrottleDeviceSpec>? ThrottleWriteIOPSDevice { get; set; }
}

internal sealed class WeightDeviceSpec
{
    public long Major { get; set; }

    public long Minor { get; set; }

    public ushort? Weight { get; set; }

    public ushort? LeafWeight { get; set; }
}

internal sealed class ThrottleDeviceSpec
{
    public long Major { get; set; }

    public long Minor { get; set; }

    public ulong Rate { get; set; }
}

internal sealed class HugepageSpec
{
    public string? PageSize { get; set; }

    public ulong Limit { get; set; }
}

internal sealed class NetworkResourceSpec
{
    public uint? ClassID { get; set; }

    public List<InterfacePrioritySpec>? Priorities { get; set; }
}

internal sealed class InterfacePrioritySpec
{
    public string? Name { get; set; }

    public uint Priority { get; set; }
}

internal sealed class RdmaSpec
{
    public uint? HcaHandles { get; set; }

    public uint? HcaObjects { get; set; }
}
