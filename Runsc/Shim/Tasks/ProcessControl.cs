using System;
using System.Collections.Generic;
using System.IO;
using System.Threading.Tasks;
using Runsc.Common;
using Runsc.Control;
using Runsc.Shim.Events;
using Runsc.Shim.Io;
using Runsc.Shim.Messages;
using Runsc.Shim.Rpc;

namespace Runsc.Shim.Tasks;

/// <summary>The steps in the life of a process: commands of the runtime, standard descriptors, and the end.</summary>
internal sealed class ProcessControl(Reaper reaper, EventPublisher events, string ns)
{
    private const int DrainMilliseconds = 10_000, EndMilliseconds = 10_000;

    /// <summary>The status of a container that could not be started: that of the runtime's own failures.</summary>
    private const uint StartFailed = 128;

    /// <summary>Mounts the root and creates the container; on failure nothing is left.</summary>
    public ShimContainer Create(CreateTaskRequest request)
    {
        ShimOptions options = ShimOptions.Read(request.Options);
        options.Save(request.Bundle);
        Runtime runtime = new(reaper, options, ns, request.Bundle);
        ShimProcess process = new("", request.Stdio);
        ShimContainer container = new(request.Id, request.Bundle, runtime, process);
        string root = Path.Combine(request.Bundle, "rootfs"), pidFile = Path.Combine(request.Bundle, "init.pid");
        RootMounter.MountAll(request.Root, root);
        bool done = false;
        try
        {
            process.Io = new ProcessIo(request.Stdio, reaper, ns, request.Id);
            List<string> command = ["create", "--bundle", request.Bundle, "--pid-file", pidFile];
            if (process.Io.ConsoleSocket is string socket)
            {
                command.AddRange(["--console-socket", socket]);
            }

            command.Add(request.Id);
            runtime.Run(command, process.Io.Input, process.Io.Output, process.Io.Error);
            try
            {
                process.Io.Started();
                process.Pid = Runtime.ReadPid(pidFile);
            }
            catch (RunscException)
            {
                runtime.Run(["delete", "--force", request.Id]);
                throw;
            }

            container.Oom.Attach(process.Pid, Path.Combine(runtime.StateRoot, request.Id, StartInfo.MemoryEvents));
            done = true;
            return container;
        }
        finally
        {
            if (!done)
            {
                process.Io?.Dispose();
                RootMounter.UnmountAll(root);
            }
        }
    }

    /// <summary>Books the end of the first process when it comes.</summary>
    public void FollowFirst(ShimContainer container) => Follow(container, container.First, reaper.Claim(container.First.Pid), container.Id);

    public void StartFirst(ShimContainer container)
    {
        ShimProcess process = container.First;
        lock (process.Mu)
        {
            Expect(process, TaskStatus.Created, "start");
            try
            {
                container.Runtime.Run(["start", container.Id]);
            }
            catch (RpcException)
            {
                // Clients delete what has ended, but not what has never started.
                Abandon(container);
                throw;
            }

            process.Status = TaskStatus.Running;
            events.Publish(TaskEvents.Started(container.Id, process.Pid));
        }
    }

    /// <summary>Ends a container whose start has failed. Its lock is held.</summary>
    private void Abandon(ShimContainer container)
    {
        try
        {
            container.Runtime.Run(["kill", container.Id, "KILL"]);
        }
        catch (RpcException error)
        {
            Log.Debug($"kill {container.Id}: {error.Message}");
        }

        End(container, container.First, container.Id, new ExitInfo(StartFailed, DateTime.UtcNow));
    }

    public void StartExec(ShimContainer container, ShimProcess process)
    {
        lock (process.Mu)
        {
            Expect(process, TaskStatus.Created, "start");
            string prefix = Path.Combine(container.Bundle, $"exec-{process.ExecId}");
            string spec = prefix + ".json", pidFile = prefix + ".pid", innerFile = prefix + ".inner";
            bool done = false;
            try
            {
                File.WriteAllBytes(spec, process.Spec);
                process.Io = new ProcessIo(process.Stdio, reaper, ns, container.Id);
                List<string> command = ["exec", "--process", spec, "--detach", "--pid-file", pidFile];
                if (container.Runtime.IsOwn)
                {
                    command.AddRange(["--internal-pid-file", innerFile]);
                }

                if (process.Io.ConsoleSocket is string socket)
                {
                    command.AddRange(["--console-socket", socket]);
                }

                command.Add(container.Id);
                container.Runtime.Run(command, process.Io.Input, process.Io.Output, process.Io.Error);
                process.Io.Started();
                process.Pid = Runtime.ReadPid(pidFile);
                process.InnerPid = container.Runtime.IsOwn ? Runtime.ReadPid(innerFile) : 0;
                process.Spec = [];
                process.Status = TaskStatus.Running;
                done = true;
            }
            finally
            {
                if (!done)
                {
                    process.Io?.Dispose();
                    process.Io = null;
                }

                File.Delete(spec);
                File.Delete(pidFile);
                File.Delete(innerFile);
            }

            events.Publish(TaskEvents.ExecStarted(container.Id, process.ExecId, process.Pid));
            Follow(container, process, reaper.Claim(process.Pid), process.ExecId);
        }
    }

    /// <summary>Removes a container that has ended, or has never been started.</summary>
    public void DeleteFirst(ShimContainer container)
    {
        ShimProcess process = container.First;
        if (process.Status == TaskStatus.Running)
        {
            throw new RpcException(RpcCode.FailedPrecondition, $"container {container.Id} is running: it must be stopped first");
        }

        // Not under the lock, which the end of the process takes.
        process.Io?.Drain(process.Status == TaskStatus.Stopped ? DrainMilliseconds : 0);
        try
        {
            container.Runtime.Run(["delete", "--force", container.Id]);
        }
        catch (RpcException error) when (error.Code == RpcCode.NotFound)
        {
            Log.Debug($"delete {container.Id}: {error.Message}");
        }

        _ = process.Ended.Wait(EndMilliseconds);
        lock (process.Mu)
        {
            process.Io?.Dispose();
            process.Io = null;
            foreach (ShimProcess exec in container.Execs.Values)
            {
                exec.Io?.Dispose();
            }
        }

        RootMounter.UnmountAll(Path.Combine(container.Bundle, "rootfs"));
    }

    public void DeleteExec(ShimContainer container, ShimProcess process)
    {
        if (process.Status == TaskStatus.Running)
        {
            throw new RpcException(RpcCode.FailedPrecondition, $"process {process.ExecId} is running: it must be stopped first");
        }

        process.Io?.Drain(DrainMilliseconds);
        lock (process.Mu)
        {
            process.Io?.Dispose();
            process.Io = null;
        }

        container.Execs.TryRemove(process.ExecId, out _);
    }

    public void CheckMemory(ShimContainer container)
    {
        lock (container.Oom)
        {
            if (container.Oom.Check())
            {
                events.Publish(TaskEvents.OutOfMemory(container.Id));
            }
        }
    }

    private async void Follow(ShimContainer container, ShimProcess process, Task<int> ended, string id)
    {
        int status = await ended.ConfigureAwait(false);

        // The event of the memory first: whoever hears of the end asks why.
        CheckMemory(container);
        lock (process.Mu)
        {
            End(container, process, id, ExitInfo.FromWait(status));
        }
    }

    private void End(ShimContainer container, ShimProcess process, string id, ExitInfo exit)
    {
        if (process.Exit is null)
        {
            process.End(exit);
            events.Publish(TaskEvents.Exited(container.Id, id, process.Pid, exit.Status, exit.Time));
        }
    }

    private static void Expect(ShimProcess process, TaskStatus status, string step)
    {
        if (process.Status != status)
        {
            throw new RpcException(RpcCode.FailedPrecondition, $"cannot {step} a process that is {process.Status.ToString().ToLowerInvariant()}");
        }
    }
}
