using System;
using System.Buffers;
using System.CommandLine;
using System.Text;
using System.Text.Json;
using Runsc.Oci;

namespace Runsc.Cli;

/// <summary>features: what callers may expect, in JSON (features.md of the runtime specification).</summary>
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

    private static string Describe()
    {
        ArrayBufferWriter<byte> buffer = new();
        using (Utf8JsonWriter writer = new(buffer, new JsonWriterOptions { Indented = true }))
        {
            writer.WriteStartObject();
            writer.WriteString("ociVersionMin", "1.0.0");
            writer.WriteString("ociVersionMax", CommandLine.SpecVersion);
            List("hooks", "prestart", "createRuntime", "poststart", "poststop");
            List("mountOptions", "bind", "rbind", "ro", "rw", "nosuid", "suid", "nodev", "dev", "noexec", "exec", "noatime", "relatime", "strictatime");
            writer.WriteStartObject("linux");
            List("namespaces", "ipc", "mount", "network", "pid", "uts");
            List("capabilities", [.. CapabilityNames.All]);
            foreach (string off in (string[])["cgroup", "seccomp", "apparmor", "selinux", "intelRdt"])
            {
                writer.WriteStartObject(off);
                if (off == "cgroup")
                {
                    foreach (string kind in (string[])["v1", "v2", "systemd", "systemdUser", "rdma"])
                    {
                        writer.WriteBoolean(kind, false);
                    }
                }
                else
                {
                    writer.WriteBoolean("enabled", false);
                }

                writer.WriteEndObject();
            }

            writer.WriteEndObject();
            writer.WriteEndObject();

            void List(string name, params string[] values)
            {
                writer.WriteStartArray(name);
                foreach (string value in values)
                {
                    writer.WriteStringValue(value);
                }

                writer.WriteEndArray();
            }
        }

        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }
}
