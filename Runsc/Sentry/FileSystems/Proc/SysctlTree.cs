using System;
using System.Globalization;
using System.Text;
using Runsc.Linux;
using Runsc.Sentry.FileSystems.Pseudo;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.FileSystems.Proc;

/// <summary>/proc/sys: what programs read of it. Values that could change nothing here are read-only.</summary>
internal static class SysctlTree
{
    public static PseudoDirectory Create(PseudoSuperBlock super, SentryKernel kernel)
    {
        return new PseudoDirectory(super)
            .Add("kernel", IpcSysctls.AddSystemV(new PseudoDirectory(super), super, kernel)
                .Add("cap_last_cap", Fixed(Capability.CAP_LAST_CAP.ToString(CultureInfo.InvariantCulture)))
                .Add("domainname", new UtsFile(super, kernel, host: false))
                .Add("hostname", new UtsFile(super, kernel, host: true))
                .Add("ngroups_max", Fixed("65536"))
                .Add("osrelease", Fixed(SentryKernel.Release))
                .Add("ostype", Fixed("Linux"))
                .Add("version", Fixed(SentryKernel.Version))
                .Add("overflowuid", Fixed("65534"))
                .Add("overflowgid", Fixed("65534"))
                .Add("pid_max", Fixed(SentryKernel.MaxId.ToString(CultureInfo.InvariantCulture)))
                .Add("tainted", Fixed("0"))
                .Add("threads-max", Fixed(SentryKernel.MaxTasks.ToString(CultureInfo.InvariantCulture)))
                .Add("randomize_va_space", Fixed("2"))
                .Add("core_pattern", Fixed("core"))
                .Add("seccomp", new PseudoDirectory(super).Add("actions_avail", Fixed("kill_process kill_thread trap errno log allow")))
                .Add("yama", new PseudoDirectory(super).Add("ptrace_scope", Fixed("0")))
                .Add("random", new PseudoDirectory(super)
                    .Add("boot_id", Fixed(Uuid()))
                    .Add("uuid", new PseudoTextFile(super, () => Uuid() + "\n"))
                    .Add("entropy_avail", Fixed("256"))
                    .Add("poolsize", Fixed("256"))))
            .Add("vm", new PseudoDirectory(super)
                .Add("max_map_count", Fixed("65530"))
                .Add("mmap_min_addr", Fixed("65536"))
                .Add("overcommit_memory", Fixed("0"))
                .Add("overcommit_ratio", Fixed("50"))
                .Add("swappiness", Fixed("60")))
            .Add("fs", new PseudoDirectory(super)
                .Add("aio-max-nr", Fixed($"{Linux.Aio.MaxEvents}"))
                .Add("aio-nr", new PseudoTextFile(super, () => $"{kernel.AioEvents}\n"))
                .Add("file-max", Fixed("9223372036854775807"))
                .Add("nr_open", Fixed("1048576"))
                .Add("pipe-max-size", Fixed("1048576"))
                .Add("mqueue", IpcSysctls.Mqueue(super, kernel))
                .Add("inotify", new PseudoDirectory(super)
                    .Add("max_queued_events", Fixed("16384"))
                    .Add("max_user_instances", Fixed("128"))
                    .Add("max_user_watches", Fixed("65536"))))
            .Add("net", new NetSysctls(super, kernel).Create());

        PseudoTextFile Fixed(string value) => new(super, () => value + "\n");
    }

    private static string Uuid()
    {
        Span<byte> bytes = stackalloc byte[16];
        SentryKernel.FillRandom(bytes);
        bytes[6] = (byte)((bytes[6] & 0x0f) | 0x40);
        bytes[8] = (byte)((bytes[8] & 0x3f) | 0x80);
        return new Guid(bytes, bigEndian: true).ToString();
    }

    /// <summary>Host or domain name of whoever reads it; of the first namespace for who is no task.</summary>
    private sealed class UtsFile(PseudoSuperBlock super, SentryKernel kernel, bool host) : PseudoFile(super, 0x1a4)
    {
        public override Errno Generate(ICaller caller, StringBuilder text)
        {
            UtsNamespace uts = Of(caller);
            text.Append(host ? uts.HostName : uts.DomainName).Append('\n');
            return Errno.None;
        }

        public override Errno Store(ICaller caller, ReadOnlySpan<byte> value)
        {
            if (!caller.Credentials.HasCapability(Capability.CAP_SYS_ADMIN, Of(caller).Owner))
            {
                return Errno.EPERM;
            }

            string name = Encoding.Latin1.GetString(value).TrimEnd('\n');
            if (name.Length > UtsNamespace.MaximumLength)
            {
                return Errno.EINVAL;
            }

            UtsNamespace uts = Of(caller);
            if (host)
            {
                uts.HostName = name;
            }
            else
            {
                uts.DomainName = name;
            }

            return Errno.None;
        }

        private UtsNamespace Of(ICaller caller) => caller is INamespaceUser user ? user.Uts : kernel.RootUts;
    }
}
