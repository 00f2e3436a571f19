using System;
using System.Buffers;
using System.Collections.Generic;
using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Runsc.Container.Cgroups;

/// <summary>Bytes: limit, now, most, and how often the limit was met.</summary>
internal readonly record struct MemoryUsage(ulong Limit, ulong Usage, ulong Max, ulong Failures);

/// <summary>Traffic of one interface of the container.</summary>
internal sealed record InterfaceStats(string Name, ulong RxBytes, ulong RxPackets, ulong RxErrors, ulong RxDropped, ulong TxBytes, ulong TxPackets, ulong TxErrors, ulong TxDropped);

/// <summary>What a control group has counted, and how `events` prints it. Times in nanoseconds.</summary>
internal sealed class CgroupStats
{
    private readonly Dictionary<string, List<(ulong Major, ulong Minor, string Operation, ulong Value)>> _blockIo = new(StringComparer.Ordinal);

    public ulong CpuTotal { get; set; }

    public ulong CpuUser { get; set; }

    public ulong CpuKernel { get; set; }

    public List<ulong> CpuOfEach { get; } = [];

    public ulong Periods { get; set; }

    public ulong ThrottledPeriods { get; set; }

    public ulong ThrottledTime { get; set; }

    public MemoryUsage Memory { get; set; }

    public MemoryUsage Swap { get; set; }

    public MemoryUsage Kernel { get; set; }

    public MemoryUsage KernelTcp { get; set; }

    public ulong MemoryCache { get; set; }

    public Dictionary<string, ulong> MemoryRaw { get; set; } = [];

    public ulong PidsCurrent { get; set; }

    /// <summary>0 for none.</summary>
    public ulong PidsLimit { get; set; }

    public List<InterfaceStats> Interfaces { get; } = [];

    /// <summary>Keeps only a share of the processor time.</summary>
    public void ShareCpu(double share)
    {
        CpuTotal = (ulong)(CpuTotal * share);
        CpuUser = (ulong)(CpuUser * share);
        CpuKernel = (ulong)(CpuKernel * share);
        for (int i = 0; i < CpuOfEach.Count; i++)
        {
            CpuOfEach[i] = (ulong)(CpuOfEach[i] * share);
        }
    }

    /// <summary>Lines "8:0 Read 4096".</summary>
    public void ReadBlockIo(string name, string? text)
    {
        List<(ulong, ulong, string, ulong)> entries = [];
        foreach (string line in (text ?? "").Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            string[] words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            string[] numbers = words[0].Split(':');
            if (words.Length == 3 && numbers.Length == 2)
            {
                entries.Add((ControlGroup.ParseNumber(numbers[0]), ControlGroup.ParseNumber(numbers[1]), words[1], ControlGroup.ParseNumber(words[2])));
            }
        }

        if (entries.Count > 0)
        {
            _blockIo[name] = entries;
        }
    }

    /// <summary>One event in JSON on one line, with the members of runc's.</summary>
    public string ToEvent(string id)
    {
        ArrayBufferWriter<byte> buffer = new();
        using (Utf8JsonWriter json = new(buffer))
        {
            json.WriteStartObject();
            json.WriteString("type", "stats");
            json.WriteString("id", id);
            json.WriteStartObject("data");
            WriteCpu(json);
            WriteMemory(json);
            json.WriteStartObject("pids");
            json.WriteNumber("current", PidsCurrent);
            if (PidsLimit != 0)
            {
                json.WriteNumber("limit", PidsLimit);
            }

            json.WriteEndObject();
            WriteBlockIo(json);
            json.WriteStartObject("hugetlb");
            json.WriteEndObject();
            json.WriteStartObject("intel_rdt");
            json.WriteEndObject();
            WriteInterfaces(json);
            json.WriteEndObject();
            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    private void WriteCpu(Utf8JsonWriter json)
    {
        json.WriteStartObject("cpu");
        json.WriteStartObject("usage");
        json.WriteNumber("total", CpuTotal);
        if (CpuOfEach.Count > 0)
        {
            json.WriteStartArray("percpu");
            CpuOfEach.ForEach(json.WriteNumberValue);
            json.WriteEndArray();
        }

        json.WriteNumber("kernel", CpuKernel);
        json.WriteNumber("user", CpuUser);
        json.WriteEndObject();
        json.WriteStartObject("throttling");
        json.WriteNumber("periods", Periods);
        json.WriteNumber("throttledPeriods", ThrottledPeriods);
        json.WriteNumber("throttledTime", ThrottledTime);
        json.WriteEndObject();
        json.WriteEndObject();
    }

    private void WriteMemory(Utf8JsonWriter json)
    {
        json.WriteStartObject("memory");
        json.WriteNumber("cache", MemoryCache);
        foreach ((string name, MemoryUsage usage) in new[] { ("usage", Memory), ("swap", Swap), ("kernel", Kernel), ("kernelTCP", KernelTcp) })
        {
            json.WriteStartObject(name);
            json.WriteNumber("limit", usage.Limit);
            json.WriteNumber("usage", usage.Usage);
            json.WriteNumber("max", usage.Max);
            json.WriteNumber("failcnt", usage.Failures);
            json.WriteEndObject();
        }

        json.WriteStartObject("raw");
        foreach ((string name, ulong value) in MemoryRaw)
        {
            json.WriteNumber(name, value);
        }

        json.WriteEndObject();
        json.WriteEndObject();
    }

    private void WriteBlockIo(Utf8JsonWriter json)
    {
        json.WriteStartObject("blkio");
        foreach ((string name, List<(ulong Major, ulong Minor, string Operation, ulong Value)> entries) in _blockIo)
        {
            json.WriteStartArray(name switch { "io_service_bytes_recursive" => "ioServiceBytesRecursive", _ => "ioServicedRecursive" });
            foreach ((ulong major, ulong minor, string operation, ulong value) in entries)
            {
                json.WriteStartObject();
                json.WriteNumber("major", major);
                json.WriteNumber("minor", minor);
                json.WriteString("op", operation);
                json.WriteNumber("value", value);
                json.WriteEndObject();
            }

            json.WriteEndArray();
        }

        json.WriteEndObject();
    }

    private void WriteInterfaces(Utf8JsonWriter json)
    {
        json.WriteStartArray("network_interfaces");
        foreach (InterfaceStats each in Interfaces)
        {
            json.WriteStartObject();
            json.WriteString("Name", each.Name);
            foreach ((string name, ulong value) in new[]
            {
                ("RxBytes", each.RxBytes), ("RxPackets", each.RxPackets), ("RxErrors", each.RxErrors), ("RxDropped", each.RxDropped),
                ("TxBytes", each.TxBytes), ("TxPackets", each.TxPackets), ("TxErrors", each.TxErrors), ("TxDropped", each.TxDropped),
            })
            {
                json.WriteNumber(name, value);
            }

            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    public static string OomEvent(string id) => string.Create(CultureInfo.InvariantCulture, $"{{\"type\":\"oom\",\"id\":\"{id}\"}}");
}
