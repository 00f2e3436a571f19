using System.Globalization;
using System.Text;
using Runsc.Linux;
using Runsc.Sentry.FileSystems.Pseudo;
using Runsc.Sentry.Sockets;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.FileSystems.Sys;

/// <summary>sysfs(5): the basics that programs look at — processors, network interfaces, memory settings. Read-only.</summary>
internal static class SysFileSystem
{
    /// <param name="device">st_dev of the new instance.</param>
    /// <param name="processors">Processors that the application sees.</param>
    /// <param name="network">Whose interfaces are shown.</param>
    /// <param name="created">Time that the files show.</param>
    public static SuperBlock Create(ulong device, int processors, NetNamespace network, FileTime created)
    {
        PseudoSuperBlock super = new("sysfs", Stat.SYSFS_MAGIC) { Device = device, Created = created };
        super.SetRoot(new PseudoDirectory(super)
            .Add("block", new PseudoDirectory(super))
            .Add("bus", new PseudoDirectory(super))
            .Add("class", new PseudoDirectory(super)
                .Add("block", new PseudoDirectory(super))
                .Add("net", new NetClass(super, network, isClass: true))
                .Add("tty", new PseudoDirectory(super)))
            .Add("dev", new PseudoDirectory(super)
                .Add("block", new PseudoDirectory(super))
                .Add("char", new PseudoDirectory(super)))
            .Add("devices", new PseudoDirectory(super)
                .Add("system", new PseudoDirectory(super)
                    .Add("cpu", Processors(super, processors))
                    .Add("node", new PseudoDirectory(super)
                        .Add("has_cpu", Text(super, "0"))
                        .Add("node0", new PseudoDirectory(super)
                            .Add("cpulist", Text(super, Range(processors)))
                            .Add("cpumap", Text(super, Mask(0, processors)))
                            .Add("distance", Text(super, "10")))
                        .Add("online", Text(super, "0"))
                        .Add("possible", Text(super, "0"))))
                .Add("virtual", new PseudoDirectory(super).Add("net", new NetClass(super, network, isClass: false))))
            .Add("firmware", new PseudoDirectory(super))
            .Add("fs", new PseudoDirectory(super).Add("cgroup", new PseudoDirectory(super)))
            .Add("kernel", new PseudoDirectory(super)
                .Add("mm", new PseudoDirectory(super)
                    .Add("hugepages", new PseudoDirectory(super))
                    .Add("transparent_hugepage", new PseudoDirectory(super)
                        .Add("enabled", Text(super, "always madvise [never]"))
                        .Add("hpage_pmd_size", Text(super, "2097152")))))
            .Add("module", new PseudoDirectory(super))
            .Add("power", new PseudoDirectory(super)));
        return super;
    }

    private static PseudoDirectory Processors(PseudoSuperBlock super, int count)
    {
        string range = Range(count);
        PseudoDirectory directory = new(super);
        for (int i = 0; i < count; i++)
        {
            string own = i.ToString(CultureInfo.InvariantCulture);
            PseudoDirectory processor = new(super);
            if (i > 0)
            {
                processor.Add("online", Text(super, "1"));
            }

            processor.Add("topology", new PseudoDirectory(super)
                .Add("core_cpus", Text(super, Mask(i, 1)))
                .Add("core_cpus_list", Text(super, own))
                .Add("core_id", Text(super, own))
                .Add("core_siblings", Text(super, Mask(0, count)))
                .Add("core_siblings_list", Text(super, range))
                .Add("die_id", Text(super, "0"))
                .Add("package_cpus", Text(super, Mask(0, count)))
                .Add("package_cpus_list", Text(super, range))
                .Add("physical_package_id", Text(super, "0"))
                .Add("thread_siblings", Text(super, Mask(i, 1)))
                .Add("thread_siblings_list", Text(super, own)));
            directory.Add("cpu" + own, processor);
        }

        return directory
            .Add("isolated", Text(super, ""))
            .Add("kernel_max", Text(super, "8191"))
            .Add("offline", Text(super, ""))
            .Add("online", Text(super, range))
            .Add("possible", Text(super, range))
            .Add("present", Text(super, range));
    }

    private static PseudoTextFile Text(PseudoSuperBlock super, string line) => new(super, () => line + "\n");

    private static string Range(int count) => count == 1 ? "0" : string.Create(CultureInfo.InvariantCulture, $"0-{count - 1}");

    /// <summary>A set of processors as the kernel prints masks: groups of 32 bits in hexadecimal, the highest first.</summary>
    private static string Mask(int first, int count)
    {
        StringBuilder text = new();
        for (int group = (first + count - 1) / 32; group >= 0; group--)
        {
            uint bits = 0;
            for (int bit = 0; bit < 32; bit++)
            {
                int processor = (group * 32) + bit;
                bits |= processor >= first && processor < first + count ? 1u << bit : 0;
            }

            text.Append(CultureInfo.InvariantCulture, $"{bits:x8}").Append(group > 0 ? "," : "");
        }

        return text.ToString();
    }
}
