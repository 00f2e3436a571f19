using System;
using System.CommandLine;
using System.Globalization;
using System.IO;
using Runsc.Common;
using Runsc.Oci;

namespace Runsc.Cli;

/// <summary>update: new limits for a container, from a file in JSON or by flags.</summary>
internal static class UpdateCommand
{
    public static Command Make()
    {
        Argument<string> id = Commands.Id();
        Option<string> resources = new("--resources", "-r") { Description = "file with \"linux.resources\" in JSON; - is standard input", HelpName = "FILE" };
        Option<string> blkio = Number("--blkio-weight", "weight for block I/O, 10 to 1000"), burst = Number("--cpu-burst", "burst in microseconds"), idle = Number("--cpu-idle", "1: idle");
        Option<string> period = Number("--cpu-period", "period of the quota in microseconds"), quota = Number("--cpu-quota", "processor time in a period, in microseconds");
        Option<string> rtPeriod = Number("--cpu-rt-period", "period of the real-time quota"), rtRuntime = Number("--cpu-rt-runtime", "real-time quota");
        Option<string> shares = Number("--cpu-share", "relative weight of processor time");
        shares.Aliases.Add("--cpu-shares");
        Option<string> cpus = new("--cpuset-cpus") { Description = "processors, as in 0-2,7", HelpName = "LIST" }, mems = new("--cpuset-mems") { Description = "memory nodes", HelpName = "LIST" };
        Option<string> memory = Number("--memory", "limit in bytes; k, m, g may follow; -1 for none"), reservation = Number("--memory-reservation", "soft limit in bytes");
        Option<string> swap = Number("--memory-swap", "limit of memory and swap together; -1 for none"), pids = Number("--pids-limit", "tasks; -1 for no limit");
        Command command = new("update", "change the limits of a container")
        {
            id, resources, blkio, burst, idle, period, quota, rtPeriod, rtRuntime, shares, cpus, mems, memory, reservation, swap, pids,
        };
        Commands.AddIgnored(command, [], ["--kernel-memory", "--kernel-memory-tcp"]);
        Option<string> cache = new("--l3-cache-schema") { Hidden = true }, bandwidth = new("--mem-bw-schema") { Hidden = true };
        command.Add(cache);
        command.Add(bandwidth);
        command.SetAction(result =>
        {
            if (result.GetValue(cache) is not null || result.GetValue(bandwidth) is not null)
            {
                throw new RunscException("update: Intel RDT is not supported");
            }

            ResourcesSpec change = result.GetValue(resources) is string file ? Read(file) : new ResourcesSpec();
            CpuSpec cpu = change.Cpu ??= new CpuSpec();
            cpu.Burst = (ulong?)Value(result, burst) ?? cpu.Burst;
            cpu.Idle = Value(result, idle) ?? cpu.Idle;
            cpu.Period = (ulong?)Value(result, period) ?? cpu.Period;
            cpu.Quota = Value(result, quota) ?? cpu.Quota;
            cpu.RealtimePeriod = (ulong?)Value(result, rtPeriod) ?? cpu.RealtimePeriod;
            cpu.RealtimeRuntime = Value(result, rtRuntime) ?? cpu.RealtimeRuntime;
            cpu.Shares = (ulong?)Value(result, shares) ?? cpu.Shares;
            cpu.Cpus = result.GetValue(cpus) ?? cpu.Cpus;
            cpu.Mems = result.GetValue(mems) ?? cpu.Mems;
            MemorySpec limits = change.Memory ??= new MemorySpec();
            limits.Limit = Value(result, memory) ?? limits.Limit;
            limits.Reservation = Value(result, reservation) ?? limits.Reservation;
            limits.Swap = Value(result, swap) ?? limits.Swap;
            if (Value(result, pids) is long tasks)
            {
                change.Pids = new PidsSpec { Limit = tasks };
            }

            if (Value(result, blkio) is long weight)
            {
                (change.BlockIO ??= new BlockIoSpec()).Weight = (ushort)Math.Clamp(weight, 0, ushort.MaxValue);
            }

            SpecCheck.CheckResources("update", change);
            Commands.Manager(result).Update(result.GetRequiredValue(id), change);
            return 0;
        });
        return command;
    }

    private static ResourcesSpec Read(string file)
    {
        try
        {
            using Stream input = file == "-" ? Console.OpenStandardInput() : File.OpenRead(file);
            using MemoryStream content = new();
            input.CopyTo(content);
            return SpecLoader.ParseResources(file == "-" ? "standard input" : file, content.ToArray());
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new RunscException($"cannot read {file}: {error.Message}");
        }
    }

    // Text, since a limit may end in a unit and may be negative.
    private static Option<string> Number(string name, string description) => new(name) { Description = description, HelpName = "N" };

    private static long? Value(ParseResult result, Option<string> option) => result.GetValue(option) is string text ? ParseSize(option.Name, text) : null;

    /// <summary>A number, with k, m, g or t (and b) behind it for powers of 1024.</summary>
    internal static long ParseSize(string flag, string text)
    {
        string digits = text.ToLowerInvariant().TrimEnd('b');
        int shift = digits.Length == 0 ? 0 : digits[^1] switch { 'k' => 10, 'm' => 20, 'g' => 30, 't' => 40, _ => 0 };
        digits = shift == 0 ? digits : digits[..^1];
        return long.TryParse(digits, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long number) && number <= long.MaxValue >> shift
            ? number << shift
            : throw new RunscException($"update: {flag}: \"{text}\" is not a number");
    }
}
