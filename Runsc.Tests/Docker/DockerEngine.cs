using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Text.Json.Nodes;
using System.Threading;
using Runsc.Tests.Support;

namespace Runsc.Tests.Docker;

/// <summary>
/// A Docker daemon of the tests' own: its data, its socket, no bridge; the published binary is its default runtime. The image "bb" is a root of
/// busybox alone. With a network, the daemon lives in a network namespace of its own, where its bridges and its rules of iptables are.
/// </summary>
public class DockerEngine : IDisposable
{
    private const int StartSeconds = 60;

    private readonly string _directory = Directory.CreateTempSubdirectory("runsc-docker-").FullName;
    private readonly string? _space;
    private Process? _daemon;

    public DockerEngine()
        : this(null, "--network=none")
    {
    }

    /// <param name="space">Name of the network namespace, which is made; null for no network.</param>
    /// <param name="runtimeArguments">Flags of the default runtime.</param>
    protected DockerEngine(string? space, params string[] runtimeArguments)
    {
        _space = space;
        if (Missing is not null)
        {
            return;
        }

        JsonObject configuration = new()
        {
            ["runtimes"] = new JsonObject { ["runsc"] = Runtime(runtimeArguments), ["runsc-host"] = Runtime("--network=host") },
            ["default-runtime"] = "runsc",
            ["live-restore"] = true,
        };
        File.WriteAllText(Path.Combine(_directory, "daemon.json"), configuration.ToJsonString());
        if (space is not null)
        {
            CommandRunner.Shell($"ip netns add {space} && ip -n {space} link set lo up");
        }

        Start();
        MakeImage();
    }

    /// <summary>Why there can be no daemon, or null.</summary>
    public static string? Missing { get; } = TestEnvironment.SandboxMissing
        ?? (File.Exists("/usr/sbin/dockerd") ? null : "docker.io is not installed")
        ?? (File.Exists("/bin/busybox") ? null : "busybox is missing");

    /// <summary>The network namespace of the daemon by its name; null: it is the host's.</summary>
    internal string? Space => _space;

    internal string Host => "unix://" + Path.Combine(_directory, "docker.sock");

    /// <summary>docker with these arguments, waited for.</summary>
    internal CommandResult Docker(params string[] arguments) => CommandRunner.Run("docker", ["--host", Host, .. arguments]);

    /// <summary>As <see cref="Docker"/>, and expects success: the output without its last line feed.</summary>
    internal string Do(params string[] arguments)
    {
        CommandResult result = Docker(arguments);
        return result.Status == 0 ? result.Output.TrimEnd('\n') : throw new InvalidOperationException($"docker {string.Join(' ', arguments)}: {result}");
    }

    /// <summary>docker run --rm without a network, of the image.</summary>
    internal CommandResult Run(IEnumerable<string> options, params string[] command) => Docker(["run", "--rm", "--network=none", .. options, "bb", .. command]);

    /// <summary>
    /// Kills the daemon, as a crash would, and starts it again. Its containerd dies with it but stays a zombie until process 1 collects it; a daemon
    /// that finds the number of a zombie in the pid file takes it for a containerd that runs and waits for it. So the number is taken away.
    /// </summary>
    internal void CrashAndRestart()
    {
        string pidFile = Path.Combine(_directory, "exec/containerd/containerd.pid");
        string status = $"/proc/{File.ReadAllText(pidFile)}/stat";
        _daemon!.Kill();
        if (!_daemon.WaitForExit(StartSeconds * 1000))
        {
            throw new TimeoutException("dockerd does not die");
        }

        Await(() => !File.Exists(status) || Read(status).Contains(") Z ", StringComparison.Ordinal), "containerd does not die with dockerd");
        File.Delete(pidFile);
        Start();
    }

    /// <summary>Text of a file of /proc; empty when the process has gone meanwhile.</summary>
    private static string Read(string file)
    {
        try
        {
            return File.ReadAllText(file);
        }
        catch (IOException)
        {
            return "";
        }
    }

    /// <summary>Asks again and again, for a state that comes by itself.</summary>
    internal static void Await(Func<bool> condition, string what)
    {
        for (int i = 0; i < 600; i++)
        {
            if (condition())
            {
                return;
            }

            Thread.Sleep(100);
        }

        throw new TimeoutException(what);
    }

    private static JsonObject Runtime(params string[] arguments) =>
        new() { ["path"] = TestEnvironment.Binary, ["runtimeArgs"] = new JsonArray([$"--platform={TestEnvironment.Platform}", .. arguments]) };

    /// <summary>A command in the daemon's network namespace.</summary>
    internal CommandResult Outside(params string[] command) => CommandRunner.Run("nsenter", [$"--net=/run/netns/{_space}", .. command]);

    private void Start()
    {
        ProcessStartInfo start = new("/bin/sh") { RedirectStandardInput = true };
        string[] words =
        [
            "exec", .. _space is null ? [] : new[] { "nsenter", $"--net=/run/netns/{_space}" }, "dockerd", "--config-file", Path.Combine(_directory, "daemon.json"), "--data-root", Path.Combine(_directory, "data"),
            "--exec-root", Path.Combine(_directory, "exec"), "--host", Host, "--pidfile", Path.Combine(_directory, "docker.pid"),
            "--storage-driver", "vfs", .. _space is null ? new[] { "--bridge", "none", "--iptables=false", "--ip6tables=false" } : [],
        ];
        File.Delete(Path.Combine(_directory, "docker.pid"));
        start.ArgumentList.Add("-c");
        start.ArgumentList.Add(string.Join(' ', words) + $" >> {_directory}/log 2>&1 < /dev/null");
        _daemon = Process.Start(start)!;
        for (int i = 0; Docker("version").Status != 0; i++)
        {
            if (i == StartSeconds * 5 || _daemon.HasExited)
            {
                throw new TimeoutException("dockerd does not come up: " + File.ReadAllText(Path.Combine(_directory, "log")));
            }

            Thread.Sleep(200);
        }
    }

    private void MakeImage()
    {
        string root = Path.Combine(_directory, "image");
        CommandRunner.Shell($$"""
            set -e
            mkdir -p {{root}}/bin {{root}}/etc {{root}}/root {{root}}/tmp {{root}}/home/user
            cp /bin/busybox {{root}}/bin/
            for name in $(/bin/busybox --list); do [ "$name" = busybox ] || ln -s busybox {{root}}/bin/$name; done
            printf 'root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/home/user:/bin/sh\n' > {{root}}/etc/passwd
            printf 'root:x:0:\nuser:x:1000:\n' > {{root}}/etc/group
            printf 'no program\n' > {{root}}/bin/data
            chmod 1777 {{root}}/tmp
            tar -C {{root}} -cf {{_directory}}/image.tar .
            """);
        Do("import", Path.Combine(_directory, "image.tar"), "bb");
    }

    public void Dispose()
    {
        GC.SuppressFinalize(this);
        if (_daemon is not null)
        {
            foreach (string id in Docker("ps", "-aq").Output.Split('\n', StringSplitOptions.RemoveEmptyEntries))
            {
                Docker("rm", "-f", id);
            }

            if (!_daemon.HasExited)
            {
                CommandRunner.Run("/bin/kill", [_daemon.Id.ToString(System.Globalization.CultureInfo.InvariantCulture)]);
                if (!_daemon.WaitForExit(20_000))
                {
                    _daemon.Kill(entireProcessTree: true);
                }
            }

            _daemon.Dispose();
        }

        if (_space is not null)
        {
            CommandRunner.Run("ip", ["netns", "del", _space]);
        }

        // Of a daemon that did not come back: its containers, their shims, and mounts that would keep the folder. The brackets keep the shell from finding itself.
        CommandRunner.Run("/bin/sh",
        [
            "-c",
            $"""
            for root in {_directory}/exec/runtime-*/moby; do
                for id in $({TestEnvironment.Binary} --root $root list --quiet); do {TestEnvironment.Binary} --root $root delete --force $id; done
            done
            for process in /proc/[0-9]*; do tr '\\0' ' ' < $process/cmdline 2>/dev/null | grep -q -e '-address {_directory}[/]' && kill -9 "$(basename $process)"; done
            grep -o '{_directory}[^ ]*' /proc/mounts | sort -r | xargs -r -n1 umount -l
            rm -rf {_directory}
            """,
        ]);
    }
}
