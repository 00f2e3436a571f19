using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using Runsc.Common;
using Runsc.Host.Processes;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.Shim.Rpc;
using Runsc.Shim.Tasks;
using Runsc.Shim.Wire;

namespace Runsc.Shim;

/// <summary>The short-lived calls of containerd: start, which leaves a shim running, and delete, which cleans up after one that is gone.</summary>
internal static class ShimActions
{
    private const uint KilledStatus = 128 + Signal.SIGKILL;

    /// <summary>
    /// Prints the address of a shim for the bundle in the working directory: of its pod's, which runs already, or of a new one.
    /// Nothing else may be printed, and the new shim holds none of this process's descriptors: containerd reads to the end.
    /// </summary>
    public static int Start(string program, ShimArguments arguments)
    {
        string bundle = Bundle(arguments);
        byte[] sent = ReadInput();
        ShimOptions options = ShimOptions.Read(sent.Length == 0 ? null : AnyMessage.Read(sent));
        string group = options.Grouping ? BundleSpec.Load(bundle).Group ?? arguments.Id : arguments.Id;
        string path = ShimSocket.PathOf(arguments.Address, arguments.Namespace, group);
        int socket = ShimSocket.Listen(path);
        if (socket >= 0)
        {
            List<string> words =
            [
                program, "-namespace", arguments.Namespace, "-id", arguments.Id, "-address", arguments.Address, "-publish-binary", arguments.PublishBinary,
                "-bundle", bundle, "-socket", path, arguments.Debug || options.LogLevel == "debug" ? "-debug=true" : "-debug=false", "serve",
            ];
            int none = HostFile.OpenAt(Fcntl.AT_FDCWD, "/dev/null\0"u8, Fcntl.O_RDWR | Fcntl.O_CLOEXEC);
            int process = HostProcess.Spawn(Environment.ProcessPath!, words, Runtime.OwnEnvironment(), socket, none, none);
            if (process < 0)
            {
                File.Delete(path);
                throw new RunscException($"cannot start the shim: errno {-process}");
            }

            AdjustOomScore(process);
        }

        string file = Path.Combine(bundle, "address"), temporary = Path.Combine(bundle, ".address");
        File.WriteAllText(temporary, ShimSocket.AddressOf(path));
        File.Move(temporary, file, overwrite: true);
        Console.Out.Write(ShimSocket.AddressOf(path));
        return 0;
    }

    /// <summary>Removes what a shim that is gone has left of a container: processes, mounts, sockets. Prints a DeleteResponse.</summary>
    public static int Delete(ShimArguments arguments)
    {
        string bundle = Bundle(arguments);
        ShimOptions options = ShimOptions.Load(bundle);
        Reaper reaper = new();
        reaper.Start();
        try
        {
            new Runtime(reaper, options, arguments.Namespace, bundle).Run(["delete", "--force", arguments.Id]);
        }
        catch (RpcException error)
        {
            Console.Error.WriteLine(error.Message);
        }

        RootMounter.UnmountAll(Path.Combine(bundle, "rootfs"));
        try
        {
            string path = File.ReadAllText(Path.Combine(bundle, "address")).Trim()["unix://".Length..];
            if (!ShimSocket.IsServed(path))
            {
                File.Delete(path);
            }
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or ArgumentOutOfRangeException)
        {
            // It had not come so far.
        }

        int pid = File.Exists(Path.Combine(bundle, "init.pid")) ? Runtime.ReadPid(Path.Combine(bundle, "init.pid")) : 0;
        WireWriter answer = new WireWriter().Unsigned(1, (ulong)pid).Unsigned(2, KilledStatus).Message(3, Timestamp.Write(DateTime.UtcNow));
        using Stream output = Console.OpenStandardOutput();
        output.Write(answer.Written);
        return 0;
    }

    public static string Bundle(ShimArguments arguments) => Path.GetFullPath(arguments.Bundle.Length > 0 ? arguments.Bundle : Directory.GetCurrentDirectory());

    private static byte[] ReadInput()
    {
        using Stream input = Console.OpenStandardInput();
        using MemoryStream bytes = new();
        input.CopyTo(bytes);
        return bytes.ToArray();
    }

    /// <summary>A little more likely to be killed than containerd is, when the host's memory is used up, and less than containers are.</summary>
    private static void AdjustOomScore(int process)
    {
        try
        {
            int own = int.Parse(File.ReadAllText("/proc/self/oom_score_adj").AsSpan().Trim(), CultureInfo.InvariantCulture);
            File.WriteAllText($"/proc/{process}/oom_score_adj", Math.Min(own + 1, 1000).ToString(CultureInfo.InvariantCulture));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or FormatException)
        {
            // In a container that may not: the score stays.
        }
    }
}
