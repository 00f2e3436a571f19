using System;
using System.Collections.Concurrent;
using System.Globalization;
using System.IO;
using System.Text;
using System.Text.Json;
using System.Threading.Tasks;
using Runsc.Common;
using Runsc.Host.Processes;
using Runsc.Linux;
using Runsc.Shim.Events;
using Runsc.Shim.Messages;
using Runsc.Shim.Rpc;
using Runsc.Shim.Wire;

namespace Runsc.Shim.Tasks;

/// <summary>containerd.task.v2.Task (shim.proto): what containerd asks of a shim. Version 3 has the same messages.</summary>
/// <param name="reaper">Waits for all children.</param>
/// <param name="events">Where things that happen are told.</param>
/// <param name="ns">containerd's namespace.</param>
/// <param name="shutdown">Called when the shim has nothing left to do and is told to end; returns at once.</param>
internal sealed class TaskService(Reaper reaper, EventPublisher events, string ns, Action shutdown)
{
    private readonly ConcurrentDictionary<string, ShimContainer> _containers = new();

    private ProcessControl Control { get; } = new(reaper, events, ns);

    /// <summary>Looks for processes that were killed because memory was used up; called now and then.</summary>
    public void CheckMemory()
    {
        foreach (ShimContainer container in _containers.Values)
        {
            Control.CheckMemory(container);
        }
    }

    public async Task<byte[]> Handle(TtrpcRequest call)
    {
        if (call.Service is not ("containerd.task.v2.Task" or "containerd.task.v3.Task"))
        {
            throw new RpcException(RpcCode.Unimplemented, $"service {call.Service} is not implemented");
        }

        Log.Debug($"{call.Method}");
        switch (call.Method)
        {
            case "Create": return Create(CreateTaskRequest.Read(call.Payload));
            case "Start": return Start(ProcessRequest.Read(call.Payload));
            case "Delete": return Delete(ProcessRequest.Read(call.Payload));
            case "State": return State(ProcessRequest.Read(call.Payload));
            case "Pids": return Pids(ProcessRequest.Read(call.Payload));
            case "Kill": return Kill(ProcessRequest.Read(call.Payload));
            case "Exec": return Exec(ExecProcessRequest.Read(call.Payload));
            case "ResizePty": return Resize(ProcessRequest.Read(call.Payload));
            case "CloseIO": return CloseIo(ProcessRequest.Read(call.Payload));
            case "Wait": return await Wait(ProcessRequest.Read(call.Payload)).ConfigureAwait(false);
            case "Connect": return Connect(ProcessRequest.Read(call.Payload));
            case "Shutdown": return Shutdown();
            case "Stats": return Stats(ProcessRequest.Read(call.Payload));
            case "Pause": return Freeze(ProcessRequest.Read(call.Payload), pause: true);
            case "Resume": return Freeze(ProcessRequest.Read(call.Payload), pause: false);
            case "Update": return Update(UpdateTaskRequest.Read(call.Payload));
            default: throw new RpcException(RpcCode.Unimplemented, $"{call.Method} is not implemented");
        }
    }

    private ShimContainer Container(string id) => _containers.TryGetValue(id, out ShimContainer? container)
        ? container
        : throw new RpcException(RpcCode.NotFound, $"container {id} does not exist: not found");

    private byte[] Create(CreateTaskRequest request)
    {
        if (request.Checkpoint.Length > 0)
        {
            throw new RpcException(RpcCode.Unimplemented, "restoring a checkpoint is not implemented");
        }

        if (_containers.ContainsKey(request.Id))
        {
            throw new RpcException(RpcCode.AlreadyExists, $"container {request.Id} already exists");
        }

        ShimContainer container = Control.Create(request);
        if (!_containers.TryAdd(request.Id, container))
        {
            throw new RpcException(RpcCode.AlreadyExists, $"container {request.Id} already exists");
        }

        events.Publish(TaskEvents.Created(request.Id, request.Bundle, request.Root, request.Stdio, container.First.Pid));
        Control.FollowFirst(container);
        return new WireWriter().Unsigned(1, (ulong)container.First.Pid).ToArray();
    }

    private byte[] Start(ProcessRequest request)
    {
        ShimContainer container = Container(request.Id);
        ShimProcess process = container.Process(request.ExecId);
        if (process == container.First)
        {
            Control.StartFirst(container);
        }
        else
        {
            Control.StartExec(container, process);
        }

        return new WireWriter().Unsigned(1, (ulong)process.Pid).ToArray();
    }

    private byte[] Delete(ProcessRequest request)
    {
        ShimContainer container = Container(request.Id);
        ShimProcess process = container.Process(request.ExecId);
        if (process == container.First)
        {
            Control.DeleteFirst(container);
            _containers.TryRemove(request.Id, out _);
        }
        else
        {
            Control.DeleteExec(container, process);
        }

        ExitInfo exit = process.Exit ?? new ExitInfo(0, DateTime.UtcNow);
        if (process == container.First)
        {
            events.Publish(TaskEvents.Deleted(request.Id, "", process.Pid, exit.Status, exit.Time));
        }

        return new WireWriter().Unsigned(1, (ulong)process.Pid).Unsigned(2, exit.Status).Message(3, Timestamp.Write(exit.Time)).ToArray();
    }

    private byte[] State(ProcessRequest request)
    {
        ShimContainer container = Container(request.Id);
        ShimProcess process = container.Process(request.ExecId);
        TaskStatus status = container.IsPaused && process.Status == TaskStatus.Running ? TaskStatus.Paused : process.Status;
        WireWriter answer = new WireWriter().Text(1, request.Id).Text(2, container.Bundle).Unsigned(3, (ulong)process.Pid).Unsigned(4, (ulong)status)
            .Text(5, process.Stdio.Stdin).Text(6, process.Stdio.Stdout).Text(7, process.Stdio.Stderr).Flag(8, process.Stdio.Terminal);
        if (process.Exit is ExitInfo exit)
        {
            answer.Unsigned(9, exit.Status).Message(10, Timestamp.Write(exit.Time));
        }

        return answer.Text(11, process.ExecId).ToArray();
    }

    private byte[] Pids(ProcessRequest request)
    {
        string text = Container(request.Id).Runtime.Run(["ps", "--format", "json", request.Id]);
        WireWriter answer = new();
        foreach (int process in JsonSerializer.Deserialize(text, ShimJson.Default.Int32Array) ?? [])
        {
            answer.Message(1, new WireWriter().Unsigned(1, (ulong)process));
        }

        return answer.ToArray();
    }

    private byte[] Kill(ProcessRequest request)
    {
        ShimContainer container = Container(request.Id);
        ShimProcess process = container.Process(request.ExecId);
        if (process.Status == TaskStatus.Stopped)
        {
            throw new RpcException(RpcCode.NotFound, "process already finished: not found");
        }

        string signal = request.Third.ToString(CultureInfo.InvariantCulture);
        if (process == container.First)
        {
            container.Runtime.Run(request.Fourth != 0 ? ["kill", "--all", container.Id, signal] : ["kill", container.Id, signal]);
        }
        else if (process.Status != TaskStatus.Running)
        {
            throw new RpcException(RpcCode.FailedPrecondition, "process is not running");
        }
        else if (process.InnerPid != 0)
        {
            container.Runtime.Run(["kill", "--pid", process.InnerPid.ToString(CultureInfo.InvariantCulture), container.Id, signal]);
        }
        else
        {
            int result = HostProcess.Kill(process.Pid, (int)Math.Min(request.Third, 64));
            if (result < 0)
            {
                throw new RpcException(result == -(int)Errno.ESRCH ? RpcCode.NotFound : RpcCode.Unknown, $"kill: errno {-result}");
            }
        }

        return [];
    }

    private byte[] Exec(ExecProcessRequest request)
    {
        ShimContainer container = Container(request.Id);
        if (request.ExecId.Length == 0 || request.ExecId.AsSpan().IndexOfAny('/', '\0') >= 0)
        {
            throw new RpcException(RpcCode.InvalidArgument, $"\"{request.ExecId}\" is no id");
        }

        if (!container.Execs.TryAdd(request.ExecId, new ShimProcess(request.ExecId, request.Stdio) { Spec = request.Spec }))
        {
            throw new RpcException(RpcCode.AlreadyExists, $"process {request.ExecId} already exists");
        }

        events.Publish(TaskEvents.ExecAdded(request.Id, request.ExecId));
        return [];
    }

    private byte[] Resize(ProcessRequest request)
    {
        ShimProcess process = Container(request.Id).Process(request.ExecId);
        lock (process.Mu)
        {
            process.Io?.Resize((uint)request.Third, (uint)request.Fourth);
        }

        return [];
    }

    private byte[] CloseIo(ProcessRequest request)
    {
        ShimProcess process = Container(request.Id).Process(request.ExecId);
        if (request.Third != 0)
        {
            lock (process.Mu)
            {
                process.Io?.CloseInput();
            }
        }

        return [];
    }

    private async Task<byte[]> Wait(ProcessRequest request)
    {
        ExitInfo exit = await Container(request.Id).Process(request.ExecId).Ended.ConfigureAwait(false);
        return new WireWriter().Unsigned(1, exit.Status).Message(2, Timestamp.Write(exit.Time)).ToArray();
    }

    private byte[] Connect(ProcessRequest request)
    {
        int task = _containers.TryGetValue(request.Id, out ShimContainer? container) ? container.First.Pid : 0;
        return new WireWriter().Unsigned(1, (ulong)Environment.ProcessId).Unsigned(2, (ulong)task).ToArray();
    }

    private byte[] Shutdown()
    {
        if (_containers.IsEmpty)
        {
            shutdown();
        }

        return [];
    }

    private byte[] Stats(ProcessRequest request)
    {
        string text = Container(request.Id).Runtime.Run(["events", "--stats", request.Id]);
        RuntimeStats stats = JsonSerializer.Deserialize(text, ShimJson.Default.RuntimeStats) ?? new RuntimeStats();
        return new WireWriter().Message(1, stats.ToMetrics(File.Exists("/sys/fs/cgroup/cgroup.controllers")).Write()).ToArray();
    }

    private byte[] Freeze(ProcessRequest request, bool pause)
    {
        ShimContainer container = Container(request.Id);
        lock (container.First.Mu)
        {
            container.Runtime.Run([pause ? "pause" : "resume", container.Id]);
            container.IsPaused = pause;
            events.Publish(pause ? TaskEvents.Paused(container.Id) : TaskEvents.Resumed(container.Id));
        }

        return [];
    }

    private byte[] Update(UpdateTaskRequest request)
    {
        Container(request.Id).Runtime.Run(["update", "--resources", "-", request.Id], Encoding.UTF8.GetString(request.Resources));
        return [];
    }
}
