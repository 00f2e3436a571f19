using System.Collections.Generic;
using System.Text.Json.Serialization;
using Runsc.Shim.Wire;

namespace Runsc.Shim.Tasks;

/// <summary>What `events --stats` prints, as far as containerd wants it; times in nanoseconds.</summary>
internal sealed class RuntimeStats
{
    public DataPart Data { get; set; } = new();

    internal sealed class DataPart
    {
        public CpuPart Cpu { get; set; } = new();

        public MemoryPart Memory { get; set; } = new();

        public PidsPart Pids { get; set; } = new();
    }

    internal sealed class CpuPart
    {
        public UsagePart Usage { get; set; } = new();

        public ThrottlingPart Throttling { get; set; } = new();
    }

    internal sealed class UsagePart
    {
        public ulong Total { get; set; }

        public ulong Kernel { get; set; }

        public ulong User { get; set; }

        public List<ulong>? Percpu { get; set; }
    }

    internal sealed class ThrottlingPart
    {
        public ulong Periods { get; set; }

        public ulong ThrottledPeriods { get; set; }

        public ulong ThrottledTime { get; set; }
    }

    internal sealed class MemoryPart
    {
        public ulong Cache { get; set; }

        public EntryPart Usage { get; set; } = new();

        public EntryPart Swap { get; set; } = new();

        public EntryPart Kernel { get; set; } = new();

        [JsonPropertyName("kernelTCP")]
        public EntryPart KernelTcp { get; set; } = new();

        public Dictionary<string, ulong>? Raw { get; set; }
    }

    internal sealed class EntryPart
    {
        public ulong Limit { get; set; }

        public ulong Usage { get; set; }

        public ulong Max { get; set; }

        public ulong Failcnt { get; set; }
    }

    internal sealed class PidsPart
    {
        public ulong Current { get; set; }

        public ulong Limit { get; set; }
    }

    /// <summary>As io.containerd.cgroups.v1.Metrics or v2, as the host's control groups are.</summary>
    public AnyMessage ToMetrics(bool unified) => unified
        ? new AnyMessage("io.containerd.cgroups.v2.Metrics", Unified().ToArray())
        : new AnyMessage("io.containerd.cgroups.v1.Metrics", Legacy().ToArray());

    private WireWriter Legacy()
    {
        CpuPart cpu = Data.Cpu;
        MemoryPart memory = Data.Memory;
        WireWriter usage = new WireWriter().Unsigned(1, cpu.Usage.Total).Unsigned(2, cpu.Usage.Kernel).Unsigned(3, cpu.Usage.User);
        WireWriter each = new();
        if (cpu.Usage.Percpu is { Count: > 0 } percpu)
        {
            usage.Message(4, Packed(percpu));
        }

        WireWriter throttling = new WireWriter().Unsigned(1, cpu.Throttling.Periods).Unsigned(2, cpu.Throttling.ThrottledPeriods).Unsigned(3, cpu.Throttling.ThrottledTime);
        each.Unsigned(1, memory.Cache).Unsigned(2, Raw("rss"));
        each.Unsigned(4, Raw("mapped_file")).Unsigned(11, Raw("inactive_anon")).Unsigned(12, Raw("active_anon")).Unsigned(13, Raw("inactive_file")).Unsigned(14, Raw("active_file"));
        each.Unsigned(18, Raw("total_cache")).Unsigned(19, Raw("total_rss")).Unsigned(28, Raw("total_inactive_anon")).Unsigned(29, Raw("total_active_anon"));
        each.Unsigned(30, Raw("total_inactive_file")).Unsigned(31, Raw("total_active_file"));
        each.Message(33, Entry(memory.Usage)).Message(34, Entry(memory.Swap)).Message(35, Entry(memory.Kernel)).Message(36, Entry(memory.KernelTcp));
        return new WireWriter().Message(2, Pids()).Message(3, new WireWriter().Message(1, usage).Message(2, throttling)).Message(4, each);
    }

    private WireWriter Unified()
    {
        CpuPart cpu = Data.Cpu;
        MemoryPart memory = Data.Memory;
        WireWriter times = new WireWriter().Unsigned(1, cpu.Usage.Total / 1000).Unsigned(2, cpu.Usage.User / 1000).Unsigned(3, cpu.Usage.Kernel / 1000);
        times.Unsigned(4, cpu.Throttling.Periods).Unsigned(5, cpu.Throttling.ThrottledPeriods).Unsigned(6, cpu.Throttling.ThrottledTime / 1000);
        WireWriter pages = new WireWriter().Unsigned(1, Raw("anon")).Unsigned(2, Raw("file")).Unsigned(6, Raw("shmem")).Unsigned(7, Raw("file_mapped"));
        pages.Unsigned(11, Raw("inactive_anon")).Unsigned(12, Raw("active_anon")).Unsigned(13, Raw("inactive_file")).Unsigned(14, Raw("active_file"));
        pages.Unsigned(18, Raw("pgfault")).Unsigned(19, Raw("pgmajfault"));
        pages.Unsigned(32, memory.Usage.Usage).Unsigned(33, memory.Usage.Limit).Unsigned(34, memory.Swap.Usage).Unsigned(35, memory.Swap.Limit).Unsigned(36, memory.Usage.Max);
        return new WireWriter().Message(1, Pids()).Message(2, times).Message(4, pages);
    }

    private WireWriter Pids() => new WireWriter().Unsigned(1, Data.Pids.Current).Unsigned(2, Data.Pids.Limit);

    private static WireWriter Entry(EntryPart entry) =>
        new WireWriter().Unsigned(1, entry.Limit).Unsigned(2, entry.Usage).Unsigned(3, entry.Max).Unsigned(4, entry.Failcnt);

    private ulong Raw(string name) => Data.Memory.Raw is not null && Data.Memory.Raw.TryGetValue(name, out ulong value) ? value : 0;

    /// <summary>Numbers of a repeated field, one after the other without tags.</summary>
    private static byte[] Packed(List<ulong> numbers)
    {
        List<byte> bytes = [];
        foreach (ulong number in numbers)
        {
            ulong rest = number;
            for (; rest >= 0x80; rest >>= 7)
            {
                bytes.Add((byte)((rest & 0x7f) | 0x80));
            }

            bytes.Add((byte)rest);
        }

        return [.. bytes];
    }
}
