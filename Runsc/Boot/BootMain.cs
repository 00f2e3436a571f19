using System;
using System.Text;
using System.Threading;
using Runsc.Boot.Filters;
using Runsc.Common;
using Runsc.Control;
using Runsc.Host.Syscalls;
using Runsc.Platform;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Syscalls;
using Runsc.Sentry.Vfs;

namespace Runsc.Boot;

/// <summary>The Sentry's second stage (`runsc boot`): builds the kernel, shuts itself in, and serves the control socket until the last container has ended.</summary>
internal static class BootMain
{
    public static int Run(int infoFd)
    {
        StartInfo info = Stage.ReadInfo(infoFd);
        HostFile.Close(infoFd);
        HostFile.Close(info.ProgramFd);
        LogWriter.Configure(info.LogFd, info.Config.Debug ? LogLevel.Debug : LogLevel.Info);
        HostMemory.LimitArenas(2);
        DentryCache.FitInto(HostLimits.OpenFiles());
        SandboxHost? sandbox = null;
        try
        {
            string[] only = info.Config.StraceSyscalls.Split(',', StringSplitOptions.RemoveEmptyEntries);
            SyscallTable.ITrace? trace = info.Config.Strace ? new Strace(line => LogWriter.Write("strace", line), only) : null;
            SentryKernel kernel = KernelFactory.Create(info.KvmFd, info.MemoryLimit, info.Processors, trace, error => Panic(error, sandbox), info.TotalMemory);
            if (info.KvmFd >= 0)
            {
                HostFile.Close(info.KvmFd);
            }

            sandbox = new SandboxHost(kernel, (SyscallTable)kernel.SystemCall.Target!, info);
            sandbox.Prepare();

            // From here on nothing can be opened: the application runs only behind this.
            FilterInstaller.Install(BootFilter.Create(info.Config.Platform, info.Config.Network));
        }
        catch (Exception error) when (error is RunscException or PlatformException)
        {
            Log.Error(error.Message);
            Handshake.Fail(info.ReadyFd, error.Message);
            return 128;
        }

        if (!Handshake.Begin(info.ReadyFd))
        {
            return 1;
        }

        ControlServer server = new(info.ControlFd, sandbox);
        new Thread(server.Run, 512 << 10) { IsBackground = true, Name = "control" }.Start();
        int status = sandbox.AwaitEnd();
        server.Drain();
        Log.Debug($"the last container has ended, the first with status {status:x}");
        int signal = status & 0x7f;
        Environment.Exit(signal != 0 ? 128 + signal : (status >> 8) & 0xff);
        return 0;
    }

    /// <summary>An internal error: all containers end, with the stack in the log.</summary>
    private static void Panic(Exception error, SandboxHost? sandbox)
    {
        Log.Error($"internal error of the application kernel: {error}");
        byte[] message = Encoding.UTF8.GetBytes($"runsc: internal error of the application kernel: {error.GetType().Name}: {error.Message}\n");
        _ = HostFile.Write(2, message);
        sandbox?.Abandon(128);
        Environment.Exit(128);
    }
}
