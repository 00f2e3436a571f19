using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Security.Cryptography;
using System.Text;
using System.Threading;

namespace Runsc.Tests.Support;

/// <summary>
/// A containerd of the tests' own (root, state and sockets in a temporary directory), with the published binary as its shim under the shim's name,
/// and an image of busybox that is made here.
/// </summary>
public class ContainerdFixture : IDisposable
{
    internal const string Image = "test.local/busybox:1";

    private static readonly string[] s_applets = ["sh", "echo", "cat", "sleep", "true", "id", "stty", "head", "uname", "kill", "seq", "httpd", "wget", "hostname", "grep", "touch", "env", "dd"];

    private readonly System.Threading.Lock _logMu = new();
    private readonly string? _space;
    private readonly string _top = Directory.CreateTempSubdirectory("runsc-containerd-").FullName;
    private Process? _daemon;

    public ContainerdFixture()
        : this(null)
    {
    }

    /// <param name="space">The CRI is on, and its pods get a bridge in the network namespace of this name, which is made. Null: no CRI.</param>
    protected ContainerdFixture(string? space)
    {
        _space = space;
        if (Missing is not null)
        {
            return;
        }

        if (space is not null)
        {
            CommandRunner.Shell($"ip netns add {space} && ip -n {space} link set lo up");
        }

        Directory.CreateDirectory(Path.Combine(_top, "bin"));
        File.CreateSymbolicLink(Path.Combine(_top, "bin", "containerd-shim-runsc-v1"), TestEnvironment.Binary!);
        File.WriteAllText(Path.Combine(_top, "config.toml"), $"""
            version = 2
            root = "{_top}/root"
            state = "{_top}/state"
            disabled_plugins = ["io.containerd.internal.v1.opt"{(space is null ? ", \"io.containerd.grpc.v1.cri\"" : "")}]
            [grpc]
              address = "{Socket}"
            [ttrpc]
              address = "{Socket}.ttrpc"
            {(space is null ? "" : PodConfiguration())}
            """);
        Start();
        MakeImage();
        CommandResult import = Ctr(["--namespace", space is null ? "default" : "k8s.io", "image", "import", "--snapshotter", "native", Path.Combine(_top, "image.tar")]);
        if (import.Status != 0)
        {
            throw new InvalidOperationException($"the image cannot be imported: {import}");
        }
    }

    /// <summary>Why the tests cannot run, or null.</summary>
    internal static string? Missing { get; } =
        TestEnvironment.Binary is null ? "artifacts/runsc is not built (scripts/build)"
        : Environment.UserName != "root" ? "root is needed for containerd"
        : !OnPath("containerd") || !OnPath("ctr") ? "containerd is not installed"
        : !OnPath("busybox") ? "busybox is not installed"
        : null;

    internal string Socket => $"{_top}/containerd.sock";

    /// <summary>A folder of the fixture's, removed at the end.</summary>
    protected string Folder => _top;

    /// <summary>Lines of config.toml for the CRI.</summary>
    protected virtual string PodConfiguration() => "";

    internal string StateDirectory => Path.Combine(_top, "runtime");

    internal static bool OnPath(string name) =>
        "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/bin".Split(':').Any(directory => File.Exists(Path.Combine(directory, name)));

    internal CommandResult Ctr(IEnumerable<string> arguments, string? input = null) => CommandRunner.Run("ctr", ["--address", Socket, .. arguments], input);

    /// <summary>Writes options of the shim; the path is for --runtime-config-path.</summary>
    internal string Options(string name, string text)
    {
        string path = Path.Combine(_top, name + ".toml");
        File.WriteAllText(path, $"root = \"{StateDirectory}\"\nlog_level = \"debug\"\n{text}\n");
        return path;
    }

    internal void Kill()
    {
        _daemon!.Kill();
        if (!_daemon.WaitForExit(60_000))
        {
            throw new TimeoutException("containerd does not die");
        }
    }

    internal void Start()
    {
        string[] command = ["containerd", "--config", Path.Combine(_top, "config.toml")];
        ProcessStartInfo start = _space is null ? new(command[0], command[1..]) : new("nsenter", [$"--net=/run/netns/{_space}", .. command]);
        start.RedirectStandardError = start.RedirectStandardOutput = true;
        start.Environment["PATH"] = $"{_top}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        _daemon = Process.Start(start) ?? throw new InvalidOperationException("containerd cannot be started");
        StreamWriter log = new(Path.Combine(_top, "containerd.log"), append: true) { AutoFlush = true };
        _daemon.ErrorDataReceived += (_, line) => Write(log, line.Data);
        _daemon.OutputDataReceived += (_, line) => Write(log, line.Data);
        _daemon.BeginErrorReadLine();
        _daemon.BeginOutputReadLine();
        for (int i = 0; Ctr(["version"]).Status != 0; i++)
        {
            if (i == 200)
            {
                throw new InvalidOperationException($"containerd does not answer: {Log}");
            }

            Thread.Sleep(100);
        }
    }

    /// <summary>What containerd and the shims have said.</summary>
    internal string Log => File.ReadAllText(Path.Combine(_top, "containerd.log"));

    public void Dispose()
    {
        GC.SuppressFinalize(this);
        Dispose(true);
    }

    protected virtual void Dispose(bool disposing)
    {
        if (_daemon is not null)
        {
            foreach (string container in Ctr(["container", "list", "--quiet"]).Output.Split('\n', StringSplitOptions.RemoveEmptyEntries))
            {
                Ctr(["task", "delete", "--force", container]);
                Ctr(["container", "delete", container]);
            }

            Kill();
        }

        if (_space is not null)
        {
            CommandRunner.Run("ip", ["netns", "del", _space]);
        }

        Directory.Delete(_top, recursive: true);
    }

    private void Write(StreamWriter log, string? line)
    {
        lock (_logMu)
        {
            log.WriteLine(line);
        }
    }

    // An OCI layout with one layer, in a tar.
    private void MakeImage()
    {
        string root = Path.Combine(_top, "rootfs"), layout = Path.Combine(_top, "layout"), blobs = Path.Combine(layout, "blobs", "sha256");
        foreach (string name in (string[])["bin", "tmp", "proc", "dev", "etc", "sys", "run"])
        {
            Directory.CreateDirectory(Path.Combine(root, name));
        }

        Directory.CreateDirectory(blobs);
        string busybox = "/usr/bin:/bin:/usr/local/bin".Split(':').Select(directory => Path.Combine(directory, "busybox")).First(File.Exists);
        File.Copy(busybox, Path.Combine(root, "bin", "busybox"));
        foreach (string applet in s_applets)
        {
            File.CreateSymbolicLink(Path.Combine(root, "bin", applet), "busybox");
        }

        File.WriteAllText(Path.Combine(root, "etc", "passwd"), "root:x:0:0:root:/:/bin/sh\n");
        string layer = Path.Combine(_top, "layer.tar");
        CommandRunner.Shell($"tar -C {root} -cf {layer} .");
        string digest = Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(layer)));
        long size = new FileInfo(layer).Length;
        File.Move(layer, Path.Combine(blobs, digest));
        string config = Blob(blobs,
            $$$"""{"architecture":"amd64","os":"linux","config":{"Env":["PATH=/bin"],"Cmd":["/bin/sleep","1000000"]},"rootfs":{"type":"layers","diff_ids":["sha256:{{{digest}}}"]}}""", out int configSize);
        string manifest = Blob(blobs,
            $$$"""{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:{{{config}}}","size":{{{configSize}}}},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"sha256:{{{digest}}}","size":{{{size}}}}]}""",
            out int manifestSize);
        File.WriteAllText(Path.Combine(layout, "index.json"),
            $$$"""{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:{{{manifest}}}","size":{{{manifestSize}}},"annotations":{"io.containerd.image.name":"{{{Image}}}","org.opencontainers.image.ref.name":"1"}}]}""");
        File.WriteAllText(Path.Combine(layout, "oci-layout"), """{"imageLayoutVersion":"1.0.0"}""");
        CommandRunner.Shell($"tar -C {layout} -cf {_top}/image.tar oci-layout index.json blobs");
    }

    private static string Blob(string blobs, string text, out int size)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        string digest = Convert.ToHexStringLower(SHA256.HashData(bytes));
        File.WriteAllBytes(Path.Combine(blobs, digest), bytes);
        size = bytes.Length;
        return digest;
    }
}
