using System.Collections.Generic;
using System.Linq;

namespace Runsc.Oci;

/// <summary>What `spec` writes, and `do` starts from.</summary>
internal static class DefaultSpec
{
    public static Spec Create(List<string> arguments, string root, bool readOnly, bool terminal)
    {
        List<string> capabilities = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"];
        return new Spec
        {
            OciVersion = "1.2.0",
            Process = new ProcessSpec
            {
                Terminal = terminal,
                User = new UserSpec(),
                Args = arguments,
                Env = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
                Cwd = "/",
                Capabilities = new CapabilitiesSpec { Bounding = capabilities, Effective = capabilities, Permitted = capabilities },
                Rlimits = [new RlimitSpec { Type = "RLIMIT_NOFILE", Hard = 1024, Soft = 1024 }],
                NoNewPrivileges = true,
            },
            Root = new RootSpec { Path = root, Readonly = readOnly },
            Hostname = "runsc",
            Mounts =
            [
                new MountSpec { Destination = "/proc", Type = "proc", Source = "proc" },
                new MountSpec { Destination = "/dev", Type = "tmpfs", Source = "tmpfs" },
                new MountSpec { Destination = "/sys", Type = "sysfs", Source = "sysfs", Options = ["nosuid", "noexec", "nodev", "ro"] },
            ],
            Linux = new LinuxSpec { Namespaces = [.. new[] { "pid", "network", "ipc", "uts", "mount" }.Select(type => new NamespaceSpec { Type = type })] },
        };
    }
}
