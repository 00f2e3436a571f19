using System;
using System.Collections.Generic;
using System.Globalization;
using System.Threading;
using Runsc.Boot.Wiring;
using Runsc.Common;
using Runsc.Control;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.Sentry.Kernel.Tasks;

namespace Runsc.Boot;

/// <summary>Answers commands on the sandbox's control socket: a thread for each connection, since some wait long.</summary>
internal sealed class ControlServer(int listener, SandboxHost sandbox)
{
    private const int DrainMilliseconds = 2000;

    // Requests that are being answered.
    private int _open;

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

    /// <summary>Waits for those to be answered who wait for processes that have ended.</summary>
    public void Drain()
    {
        for (int waited = 0; Volatile.Read(ref _open) > 0 && waited < DrainMilliseconds; waited++)
        {
            Thread.Sleep(1);
        }
    }

    private void Serve(int connection)
    {
        byte[] buffer = new byte[ControlSocket.MaxSize];
        int[] received = new int[HostPacketSocket.MaxDescriptors];
        while (ControlSocket.Take(connection, buffer, received, out int count) is ControlRequest request)
        {
            Interlocked.Increment(ref _open);
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
            Interlocked.Decrement(ref _open);
        }

        HostFile.Close(connection);
    }

    private ControlAnswer Handle(ControlRequest request, List<int> descriptors)
    {
        // These take the descriptors over.
        switch (request.Command)
        {
            case "create":
                return new ControlAnswer { Error = sandbox.Add(request.Container, descriptors) };
            case "network" when request.Network is { } network:
                return new ControlAnswer { Error = sandbox.SetNetwork(network, descriptors) };
            case "forward" when descriptors.Count > 0 && request.Size is > 0 and <= ushort.MaxValue && sandbox.Find(request.Container) is { State: "running" } target:
                descriptors[1..].ForEach(fd => HostFile.Close(fd));
                return new ControlAnswer { Error = PortForwarder.Join(sandbox.Kernel, target.Mounts, (ushort)request.Size, descriptors[0]) };
            case "start" when sandbox.Find(request.Container) is ContainerHost started:
            {
                string? problem = started.Start(request.Hooks, descriptors);
                if (problem is not null && started.State == "created")
                {
                    // It never runs: it ends, once the answer is out.
                    new Thread(started.Fail, 256 << 10) { IsBackground = true, Name = "failed" }.Start();
                }

                return new ControlAnswer { Error = problem };
            }
            case "exec" when request.Exec?.Args is { Count: > 0 } && sandbox.Find(request.Container) is ContainerHost container:
            {
                ThreadGroup? group = container.Execute(request.Exec, descriptors, out string message);
                return group is null ? new ControlAnswer { Error = message } : new ControlAnswer { ProcessId = group.Id };
            }
        }

        ControlAnswer answer = sandbox.Find(request.Container) is ContainerHost host
            ? Handle(request, host, descriptors)
            : new ControlAnswer { Error = $"container \"{request.Container}\" does not exist in this sandbox" };
        descriptors.ForEach(fd => HostFile.Close(fd));
        return answer;
    }

    private ControlAnswer Handle(ControlRequest request, ContainerHost container, List<int> descriptors)
    {
        switch (request.Command)
        {
            case "state":
                return new ControlAnswer { State = container.State };
            case "signal":
                return new ControlAnswer { Error = container.SendSignal(request.ProcessId, request.Signal, request.All) };
            case "wait" when request.ProcessId == 0:
                return container.AwaitInit() is ThreadGroup init
                    ? new ControlAnswer { Status = ContainerHost.WaitFor(init), ProcessId = init.Id }
                    : new ControlAnswer { Status = container.WaitForEnd() };
            case "wait" or "reap":
            {
                if (container.Find(request.ProcessId) is not ThreadGroup group)
                {
                    return new ControlAnswer { Error = "no such process" };
                }

                int status = ContainerHost.WaitFor(group);
                if (request.Command == "reap")
                {
                    container.Release(group);
                }

                return new ControlAnswer { Status = status, ProcessId = group.Id };
            }

            case "destroy":
                sandbox.Remove(request.Container);
                return new ControlAnswer();
            case "pause":
                sandbox.Kernel.Pause(container.Name);
                return new ControlAnswer();
            case "resume":
                sandbox.Kernel.Resume(container.Name);
                return new ControlAnswer();
            case "ps":
                return new ControlAnswer { Processes = ProcessList.Of(sandbox.Kernel, container) };
            case "stats":
                {
                ControlAnswer stats = ProcessList.Stats(sandbox.Kernel, container);
                stats.Interfaces = SandboxNetwork.Counters(sandbox.Network);
                return stats;
            }

            case "limit":
                container.SetTaskLimit(request.Size);
                return new ControlAnswer();
            case "memory" when request.Size > 0 && request.Container.Length > 0:
                container.SetMemoryLimit((ulong)request.Size);
                return new ControlAnswer();
            case "memory" when request.Size > 0:
                sandbox.Kernel.TotalMemory = (ulong)request.Size;
                return new ControlAnswer();
            case "read" when descriptors.Count > 0:
                return new ControlAnswer { Error = ContainerReader.ReadTo(sandbox.Kernel, container.Mounts, request.Text, request.Offset, request.Size, descriptors[0]) };
            case "tar" when descriptors.Count > 0:
                return new ControlAnswer { Error = UpperLayer.WriteTo(container.Mounts, descriptors[0]) };
            case "stacks":
                return new ControlAnswer { Text = sandbox.DescribeTasks() };
            case "strace":
                LogWriter.Open(descriptors);
                sandbox.Trace(request.Text);
                return new ControlAnswer();
            case "log":
                return Enum.TryParse(request.Text, ignoreCase: true, out LogLevel level) ? SetLevel(level, descriptors) : new ControlAnswer { Error = $"unknown log level \"{request.Text}\"" };
            case "usage":
                return new ControlAnswer { Memory = (long)sandbox.Kernel.Memory.Used };
            default:
                return new ControlAnswer { Error = string.Create(CultureInfo.InvariantCulture, $"unknown request {request.Command}") };
        }
    }

    private static ControlAnswer SetLevel(LogLevel level, List<int> descriptors)
    {
        LogWriter.Open(descriptors);
        LogWriter.SetLevel(level);
        return new ControlAnswer();
    }
}
