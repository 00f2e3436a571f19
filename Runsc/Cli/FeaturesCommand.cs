using System;
using System.Buffers;
using System.Collections.Generic;
using System.CommandLine;
using System.Text;
using System.Text.Json;
using Runsc.Config;
using Runsc.Container;
using Runsc.Oci;

namespace Runsc.Cli;

/// <summary>features: what callers may expect, in JSON (features.md and features-linux.md of the runtime specification).</summary>
internal static class FeaturesCommand
{
    public static Command Make()
    {
        Command command = new("features", "print the runtime's features in JSON");
        command.SetAction(_ =>
        {
            Console.Out.WriteLine(Describe());
            return 0;
        });
        return command;
    }

    internal static string Describe()
    {
        ArrayBufferWriter<byte> buffer = new();
        using (Utf8JsonWriter writer = new(buffer, new JsonWriterOptions { Indented = true }))
        {
            writer.WriteStartObject();
            writer.WriteString("ociVersionMin", "1.0.0");
            writer.WriteString("ociVersionMax", CommandLine.SpecVersion);
            List(writer, "hooks", ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"]);
            List(writer, "mountOptions", MountOptions.Names);
            writer.WriteStartObject("linux");
            List(writer, "namespaces", ["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"]);
            List(writer, "capabilities", CapabilityNames.All);
            Flags(writer, "cgroup", ("v1", true), ("v2", true), ("systemd", true), ("systemdUser", false), ("rdma", true));

            writer.WriteStartObject("seccomp");
            writer.WriteBoolean("enabled", true);
            List(writer, "actions", SeccompCompiler.Actions);
            List(writer, "operators", SeccompCompiler.Operators);
            List(writer, "archs", ["SCMP_ARCH_X86_64"]);
            List(writer, "knownFlags", SeccompCompiler.Flags);
            List(writer, "supportedFlags", SeccompCompiler.Flags);
            writer.WriteEndObject();
            Flags(writer, "apparmor", ("enabled", HostLabels.IsAppArmorEnabled()));
            Flags(writer, "selinux", ("enabled", false));
            Flags(writer, "intelRdt", ("enabled", false));
            writer.WriteStartObject("mountExtensions");
            Flags(writer, "idmap", ("enabled", true));
            writer.WriteEndObject();
            Flags(writer, "netDevices", ("enabled", false));
            writer.WriteEndObject();
            writer.WriteStartObject("annotations");
            writer.WriteString("dev.gvisor.version", CommandLine.ProgramVersion);
            writer.WriteEndObject();
            List(writer, "potentiallyUnsafeConfigAnnotations", ["dev.gvisor.spec.", .. ConfigAnnotations.Names]);
            writer.WriteEndObject();
        }

        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    private static void List(Utf8JsonWriter writer, string name, IEnumerable<string> values)
    {
        writer.WriteStartArray(name);
        foreach (string value in values)
        {
            writer.WriteStringValue(value);
        }

        writer.WriteEndArray();
    }

    private static void Flags(Utf8JsonWriter writer, string name, params (string Name, bool Value)[] flags)
    {
        writer.WriteStartObject(name);
        foreach ((string flag, bool value) in flags)
        {
            writer.WriteBoolean(flag, value);
        }

        writer.WriteEndObject();
    }
}
