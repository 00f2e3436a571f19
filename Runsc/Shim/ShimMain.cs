using System;
using System.Collections.Generic;
using System.IO;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Text;
using System.Threading;
using System.Threading.Tasks;
using Runsc.Common;
using Runsc.Host.Processes;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.Shim.Events;
using Runsc.Shim.Io;
using Runsc.Shim.Rpc;
using Runsc.Shim.Tasks;

namespace Runsc.Shim;

/// <summary>This program as a shim of containerd (runtime v2): its name is containerd-shim-runsc-v1.</summary>
internal static class ShimMain
{
    public const string Name = "containerd-shim-runsc-v1";

    private const int OomMilliseconds = 1000, FlushMilliseconds = 2000, GoodbyeMilliseconds = 20;

    private static readonly PosixSignal[] s_ignored = [PosixSignal.SIGTERM, PosixSignal.SIGINT, PosixSignal.SIGHUP];

    /// <param name="program">The name under which it was called.</param>
    /// <param name="words">The arguments.</param>
    public static int Run(string program, IReadOnlyList<string> words)
    {
        try
        {
            ShimArguments arguments = ShimArguments.Parse(words);
            if (arguments.Version)
            {
                Console.Out.WriteLine($"{Name}:\n  Version:  {Assembly.GetExecutingAssembly().GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion}");
                return 0;
            }

            if (arguments.Namespace.Length == 0 || (arguments.Id.Length == 0 && arguments.Action.Length > 0))
            {
                throw new RunscException("-namespace and -id are needed; containerd starts this program");
            }

            return arguments.Action switch
            {
                "start" => ShimActions.Start(program, arguments),
                "delete" => ShimActions.Delete(arguments),
                "serve" => Serve(arguments),
                _ => throw new RunscException($"unknown action \"{arguments.Action}\": start or delete"),
            };
        }
        catch (Exception error) when (error is RunscException or IOException or UnauthorizedAccessException or Wire.WireException)
        {
            Console.Error.WriteLine($"{Name}: {error.Message}");
            return 1;
        }
    }

    /// <summary>The shim itself: serves the socket that is its standard input until it is told to end.</summary>
    private static int Serve(ShimArguments arguments)
    {
        _ = HostProcess.NewSession();
        int listener = HostFile.Duplicate(0, 10);
        OpenLog(arguments);
        ReplaceInput();
        if (HostProcess.BecomeSubreaper() < 0)
        {
            Log.Error("cannot become a subreaper");
            return 1;
        }

        // A shim ends with its containers, not with the service that started it.
        List<PosixSignalRegistration> registrations = [];
        foreach (PosixSignal signal in s_ignored)
        {
            registrations.Add(PosixSignalRegistration.Create(signal, context => context.Cancel = true));
        }

        Reaper reaper = new();
        reaper.Start();
        EventPublisher events = new(reaper, arguments, Environment.GetEnvironmentVariable("TTRPC_ADDRESS"));
        events.Start();
        TaskService service = new(reaper, events, arguments.Namespace, () => _ = End(events, arguments.Socket));
        using Timer memory = new(_ => service.CheckMemory(), null, OomMilliseconds, OomMilliseconds);
        new TtrpcServer(listener, service.Handle).Run();
        GC.KeepAlive(registrations);
        return 1;
    }

    /// <summary>Ends the process once the answer to the request is on its way and the events are told.</summary>
    private static async Task End(EventPublisher events, string socket)
    {
        await Task.Delay(GoodbyeMilliseconds).ConfigureAwait(false);
        events.Flush(FlushMilliseconds);
        File.Delete(socket);
        Environment.Exit(0);
    }

    /// <summary>Lines go to the fifo "log" of the bundle, which containerd reads.</summary>
    private static void OpenLog(ShimArguments arguments)
    {
        int log = HostFile.OpenAt(Fcntl.AT_FDCWD, OutputTarget.Name(Path.Combine(ShimActions.Bundle(arguments), "log")), Fcntl.O_RDWR | Fcntl.O_NONBLOCK | Fcntl.O_CLOEXEC);
        _ = HostProcess.ChangeDirectory("/");
        if (log >= 0)
        {
            Log.Configure(arguments.Debug ? LogLevel.Debug : LogLevel.Info, (level, text) =>
                HostFile.Write(log, Encoding.UTF8.GetBytes($"time=\"{DateTime.UtcNow:yyyy-MM-dd'T'HH:mm:ss.fff'Z'}\" level={Word(level)} msg=\"{text.ReplaceLineEndings(" ").Replace('"', '\'')}\"\n")));
        }
    }

    private static string Word(LogLevel level) => level switch
    {
        LogLevel.Debug => "debug",
        LogLevel.Info => "info",
        LogLevel.Warning => "warning",
        _ => "error",
    };

    private static void ReplaceInput()
    {
        int none = HostFile.OpenAt(Fcntl.AT_FDCWD, "/dev/null\0"u8, Fcntl.O_RDWR | Fcntl.O_CLOEXEC);
        _ = HostFile.Syscall(SysNo.dup3, none, 0, 0);
        _ = HostFile.Close(none);
    }
}
