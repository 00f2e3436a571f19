using System;
using System.IO;
using Runsc.Tests.Support;
using Xunit;

namespace Runsc.Tests.Runtime;

/// <summary>A test that installs the package in a Debian root.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class PackageFactAttribute : FactAttribute
{
    public PackageFactAttribute() => Skip = TestEnvironment.Binary is null ? "artifacts/runsc is not built (scripts/build)"
        : Environment.UserName != "root" ? "root is needed to change the root"
        : TestEnvironment.DebianRoot is null ? "there is no Debian root (RUNSC_DEBIAN_ROOT; scripts/test makes one)"
        : null;
}

/// <summary>The archive of scripts/package on a machine without a network: a Debian root under a throw-away overlay.</summary>
public sealed class PackageTests
{
    private const string Inside = """
        set -e
        cd /tmp && tar xf package.tar.gz && cd runsc-*
        ! (exec 3<>/dev/tcp/192.0.2.1/80) 2>/dev/null
        mkdir -p /etc/docker && printf '{ "debug": true }' >/etc/docker/daemon.json
        for name in dockerd containerd podman; do printf '#!/bin/sh\n' >/usr/local/sbin/$name && chmod +x /usr/local/sbin/$name; done
        find / -xdev \( -path /tmp -o -path /proc \) -prune -o -type f -print | sort >/tmp/before
        ./install.sh
        cp /etc/docker/daemon.json /tmp/first && cp /etc/containerd/config.toml /tmp/first.toml
        ./install.sh
        cmp /etc/docker/daemon.json /tmp/first && cmp /etc/containerd/config.toml /tmp/first.toml
        echo "version: $(runsc --version | head -1)"
        echo "shim: $(containerd-shim-runsc-v1 -v | head -1)"
        echo "docker: $(tr -d ' \n' </etc/docker/daemon.json)"
        echo "containerd: $(grep -c io.containerd.runsc.v1 /etc/containerd/config.toml)"
        echo "podman: $(cat /etc/containers/containers.conf.d/runsc.conf | tail -1)"
        echo "manuals: $(find /usr/local/share/man -type f | wc -l)"
        ./install.sh --uninstall >/dev/null
        find / -xdev \( -path /tmp -o -path /proc \) -prune -o -type f -print | sort >/tmp/after
        cmp /tmp/before /tmp/after && cat /etc/docker/daemon.json
        """;

    [PackageFact]
    public void Package_InARootWithoutNetwork_InstallsTwiceAndUninstalls()
    {
        CommandResult packed = CommandRunner.Run(Path.Combine(TestEnvironment.Top, "scripts", "package"), []);
        Assert.True(packed.Status == 0, packed.ToString());
        string archive = Directory.GetFiles(Path.Combine(TestEnvironment.Top, "artifacts"), "runsc-*-linux-x64.tar.gz")[0];
        string top = Directory.CreateTempSubdirectory("runsc-package-").FullName;
        try
        {
            // Everything that is mounted ends with the namespace.
            CommandResult result = CommandRunner.Run("unshare",
            [
                "--mount", "--net", "/bin/sh", "-c", $"""
                set -e
                mount -t tmpfs tmpfs {top} -o mode=755
                mkdir {top}/upper {top}/work {top}/root
                mount -t overlay overlay {top}/root -o lowerdir={TestEnvironment.DebianRoot},upperdir={top}/upper,workdir={top}/work
                cat >{top}/root/tmp/inside.sh
                cp {archive} {top}/root/tmp/package.tar.gz
                mount -t proc proc {top}/root/proc
                exec chroot {top}/root /bin/bash /tmp/inside.sh
                """,
            ], Inside);
            Assert.True(result.Status == 0, result.ToString());
            Assert.Contains("version: runsc version ", result.Output, StringComparison.Ordinal);
            Assert.Contains("shim: containerd-shim-runsc-v1:", result.Output, StringComparison.Ordinal);
            Assert.Contains("""docker: {"runtimes":{"runsc":{"path":"/usr/local/bin/runsc"}},"debug":true}""", result.Output, StringComparison.Ordinal);
            Assert.Contains("containerd: 1\n", result.Output, StringComparison.Ordinal);
            Assert.Contains("podman: runsc = [\"/usr/local/bin/runsc\"]", result.Output, StringComparison.Ordinal);
            Assert.Contains("manuals: 3\n", result.Output, StringComparison.Ordinal);
            Assert.EndsWith("""{ "debug": true }""", result.Output, StringComparison.Ordinal);
        }
        finally
        {
            Directory.Delete(top, recursive: true);
        }
    }
}
