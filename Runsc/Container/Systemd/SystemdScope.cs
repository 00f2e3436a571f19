using System.Collections.Generic;
using System.IO;
using Runsc.Common;
using Runsc.Container.Cgroups;
using Runsc.Oci;

namespace Runsc.Container.Systemd;

/// <summary>
/// A scope of systemd (systemd.scope(5)) for a container's control group: systemd is told of the group and of its main limits, which it would else set to its own,
/// and leaves the rest to us (Delegate=). It goes by itself when its last process has ended.
/// </summary>
/// <param name="privateSocket">systemd's own socket.</param>
/// <param name="busSocket">The system's bus, for when that is not there.</param>
internal sealed class SystemdScope(string privateSocket = "/run/systemd/private", string busSocket = "/run/dbus/system_bus_socket")
{
    private const string Service = "org.freedesktop.systemd1", Root = "/org/freedesktop/systemd1", Manager = "org.freedesktop.systemd1.Manager";
    private const ulong Second = 1_000_000;

    /// <summary>Starts a scope, and waits until it is there.</summary>
    /// <param name="unit">NAME.scope.</param>
    /// <param name="slice">NAME.slice that it is in.</param>
    /// <param name="process">Its first process: a scope has one from the beginning.</param>
    /// <param name="resources">Limits.</param>
    /// <param name="isUnified">In terms of cgroup v2.</param>
    /// <exception cref="RunscException">systemd is not there, or says no.</exception>
    public void Start(string unit, string slice, int process, ResourcesSpec resources, bool isUnified)
    {
        using BusConnection bus = Open();
        try
        {
            // One that has failed before keeps the name.
            _ = bus.Call(Service, Root, Manager, "ResetFailedUnit", "s", new BusWriter().Text(unit));
        }
        catch (RunscException error)
        {
            Log.Debug($"{error.Message}");
        }

        _ = bus.Call(Service, Root, Manager, "Subscribe", "", new BusWriter());
        BusWriter body = new();
        _ = body.Text(unit).Text("fail").Array(8, () =>
        {
            Text(body, "Description", $"runsc container {unit}");
            Text(body, "Slice", slice);
            _ = Name(body, "PIDs").Signature("au").Array(4, () => body.UInt32((uint)process));
            foreach (string name in (string[])["Delegate", "MemoryAccounting", "CPUAccounting", "TasksAccounting", isUnified ? "IOAccounting" : "BlockIOAccounting"])
            {
                _ = Name(body, name).Signature("b").UInt32(1);
            }

            _ = Name(body, "DefaultDependencies").Signature("b").UInt32(0);
            WriteLimits(body, resources, isUnified);
        }).Array(8, () => { });
        BusMessage answer = bus.Call(Service, Root, Manager, "StartTransientUnit", "ssa(sv)a(sa(sv))", body);
        int at = 0;
        AwaitJob(bus, BusMessage.ReadText(answer.Body, ref at), unit);
    }

    /// <summary>Tells systemd of new limits.</summary>
    /// <exception cref="RunscException">systemd is not there, or says no.</exception>
    public void Update(string unit, ResourcesSpec resources, bool isUnified)
    {
        using BusConnection bus = Open();
        BusWriter body = new();
        _ = body.Text(unit).UInt32(1).Array(8, () => WriteLimits(body, resources, isUnified));
        _ = bus.Call(Service, Root, Manager, "SetUnitProperties", "sba(sv)", body);
    }

    private BusConnection Open()
    {
        if (File.Exists(privateSocket))
        {
            return BusConnection.Open(privateSocket, isBus: false);
        }

        BusConnection bus = BusConnection.Open(busSocket, isBus: true);
        _ = bus.Call(
            "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "AddMatch", "s", new BusWriter().Text($"type='signal',interface='{Manager}',member='JobRemoved'"));
        return bus;
    }

    private static void AwaitJob(BusConnection bus, string job, string unit)
    {
        while (true)
        {
            BusMessage signal = bus.NextSignal();
            if (signal.Fields.GetValueOrDefault(BusMessage.Member) != "JobRemoved")
            {
                continue;
            }

            int at = 0;
            _ = BusMessage.ReadUInt32(signal.Body, ref at);
            if (BusMessage.ReadText(signal.Body, ref at) != job)
            {
                continue;
            }

            _ = BusMessage.ReadText(signal.Body, ref at);
            string result = BusMessage.ReadText(signal.Body, ref at);
            if (result != "done")
            {
                throw new RunscException($"systemd: {unit} is not started: {result}");
            }

            return;
        }
    }

    private static void WriteLimits(BusWriter body, ResourcesSpec resources, bool isUnified)
    {
        if (resources.Memory?.Limit is long memory and not 0)
        {
            Number(body, isUnified ? "MemoryMax" : "MemoryLimit", memory < 0 ? ulong.MaxValue : (ulong)memory);
        }

        if (resources.Cpu?.Shares is ulong shares and > 0)
        {
            Number(body, isUnified ? "CPUWeight" : "CPUShares", isUnified ? ControlGroupV2.WeightOfShares(shares) : shares);
        }

        if (resources.Cpu?.Quota is long quota and not 0)
        {
            ulong period = resources.Cpu.Period is ulong given and > 0 ? given : Second / 10;

            // systemd counts in hundredths of a processor.
            Number(body, "CPUQuotaPerSecUSec", quota < 0 ? ulong.MaxValue : (((ulong)quota * Second / period) + 9_999) / 10_000 * 10_000);
        }

        if (resources.Pids?.Limit is long tasks and not 0)
        {
            Number(body, "TasksMax", tasks < 0 ? ulong.MaxValue : ((ulong)tasks * ControlGroup.ThreadsForTask) + ControlGroup.ThreadsOfSandbox);
        }
    }

    private static BusWriter Name(BusWriter body, string name) => body.Align(8).Text(name);

    private static void Text(BusWriter body, string name, string value) => Name(body, name).Signature("s").Text(value);

    private static void Number(BusWriter body, string name, ulong value) => Name(body, name).Signature("t").UInt64(value);
}
