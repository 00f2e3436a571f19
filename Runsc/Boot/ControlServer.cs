using System;
using System.Collections.Generic;
using System.Globalization;
using System.Threading;
using Runsc.Common;
using Runsc.Control;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.Sentry.Kernel.Tasks;

namespace Runsc.Boot;

/// <summary>Answers commands on the sandbox's control socket: a thread for each connection, since some wait long.</summary>
internal sealed class ControlServer(int listener, ContainerHost container)
{
    public void Run()
    {
        while (true)
        {
            int connection = HostPacketSocket.Accept(listener);
            if (connection == -(int)Errno.EINTR)
            {
                continue;
            }

            if (connection < 0)
            {
                Log.Warning($"accept on the control socket: errno {-connection}");
                return;
            }

            new Thread(() => Serve(connection), 256 << 10) { IsBackground = true, Name = "control" }.Start();
        }
    }

    private void Serve(int connection)
    {
        byte[] buffer = new byte[ControlSocket.MaxSize];
        int[] received = new int[HostPacketSocket.MaxDescriptors];
        while (ControlSocket.Take(connection, buffer, received, out int count) is ControlRequest request)
        {
            List<int> descriptors = [.. received.AsSpan(0, count)];
            ControlAnswer answer;
            try
            {
                answer = Handle(request, descriptors);
            }
            catch (Exception error)
            {
                Log.Error($"control request {request.Command}: {error}");
                answer = new ControlAnswer { Error = $"internal error: {error.Message}" };
            }

            ControlSocket.Answer(connection, answer);
        }

        HostFile.Close(connection);
    }

    private ControlAnswer Handle(ControlRequest request, List<int> descriptors)
    {
        switch (request.Command)
        {
            case "start":
                return new ControlAnswer { Error = container.Start() };
            case "signal":
                return new ControlAnswer { Error = container.SendSignal(request.ProcessId, request.Signal, request.All) };
            case "wait":
                return container.Find(request.ProcessId) is ThreadGroup waited
                    ? new ControlAnswer { Status = ContainerHost.WaitFor(waited), ProcessId = waited.Id }
                    : new ControlAnswer { Error = "process not found" };
            case "exec" when request.Exec is not null:
            {
                ThreadGroup? group = container.Execute(request.Exec, descriptors, out string message);
                return group is null ? new ControlAnswer { Error = message } : new ControlAnswer { ProcessId = group.Id };
            }

            case "reap":
            {
                if (container.Find(request.ProcessId) is not ThreadGroup group)
                {
                    return new ControlAnswer { Error = "process not found" };
                }

                int status = ContainerHost.WaitFor(group);
                lock (container.Kernel.TaskLock)
                {
                    if (!group.IsDead && group.Parent is null && !group.IsInit)
                    {
                        group.ReleaseLocked();
                    }
                }

                return new ControlAnswer { Status = status, ProcessId = group.Id };
            }

            case "pause":
                container.Kernel.Pause();
                return new ControlAnswer();
            case "resume":
                container.Kernel.Resume();
                return new ControlAnswer();
            case "ps":
                return new ControlAnswer { Processes = Processes() };
            default:
                foreach (int fd in descriptors)
                {
                    HostFile.Close(fd);
                }

                return new ControlAnswer { Error = $"unknown request {request.Command}" };
        }
    }

    private List<ProcessEntry> Processes()
    {
        List<ProcessEntry> entries = [];
        foreach (ThreadGroup group in container.Kernel.SnapshotGroups())
        {
            (long user, long system) = group.CpuTime;
            long age = container.Kernel.Clock.Monotonic - group.StartTime;
            entries.Add(new ProcessEntry
            {
                Uid = group.Credentials.EffectiveUid,
                Pid = group.Id,
                Ppid = group.Parent?.Id ?? 0,
                Stime = DateTime.Now.AddMilliseconds(-age / 1e6).ToString("HH:mm", CultureInfo.InvariantCulture),
                Time = string.Create(CultureInfo.InvariantCulture, $"{(user + system) / 1_000_000}ms"),
                Cmd = group.Leader.Name,
            });
        }

        return entries;
    }
}
