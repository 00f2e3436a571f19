using System;
using System.Collections.Generic;
using Runsc.Shim.Io;
using Runsc.Shim.Messages;
using Runsc.Shim.Wire;

namespace Runsc.Shim.Events;

/// <summary>An event of a task: its topic, and its message with the type's name.</summary>
internal sealed record ShimEvent(string Topic, AnyMessage Message, DateTime Time);

/// <summary>The events of containerd.events (task.proto).</summary>
internal static class TaskEvents
{
    public static ShimEvent Created(string container, string bundle, List<RootMount> root, StdioPaths paths, int pid)
    {
        WireWriter message = new WireWriter().Text(1, container).Text(2, bundle);
        root.ForEach(mount => message.Message(3, mount.Write()));
        WireWriter io = new WireWriter().Text(1, paths.Stdin).Text(2, paths.Stdout).Text(3, paths.Stderr).Flag(4, paths.Terminal);
        return Make("create", "TaskCreate", message.Message(4, io).Unsigned(6, (ulong)pid));
    }

    public static ShimEvent Started(string container, int pid) => Make("start", "TaskStart", new WireWriter().Text(1, container).Unsigned(2, (ulong)pid));

    public static ShimEvent Deleted(string container, string id, int pid, uint status, DateTime time) =>
        Make("delete", "TaskDelete", new WireWriter().Text(1, container).Unsigned(2, (ulong)pid).Unsigned(3, status).Message(4, Timestamp.Write(time)).Text(5, id));

    /// <param name="id">The exec's id; the container's for its first process.</param>
    public static ShimEvent Exited(string container, string id, int pid, uint status, DateTime time) =>
        Make("exit", "TaskExit", new WireWriter().Text(1, container).Text(2, id).Unsigned(3, (ulong)pid).Unsigned(4, status).Message(5, Timestamp.Write(time)));

    public static ShimEvent OutOfMemory(string container) => Make("oom", "TaskOOM", new WireWriter().Text(1, container));

    public static ShimEvent ExecAdded(string container, string id) => Make("exec-added", "TaskExecAdded", new WireWriter().Text(1, container).Text(2, id));

    public static ShimEvent ExecStarted(string container, string id, int pid) =>
        Make("exec-started", "TaskExecStarted", new WireWriter().Text(1, container).Text(2, id).Unsigned(3, (ulong)pid));

    public static ShimEvent Paused(string container) => Make("paused", "TaskPaused", new WireWriter().Text(1, container));

    public static ShimEvent Resumed(string container) => Make("resumed", "TaskResumed", new WireWriter().Text(1, container));

    private static ShimEvent Make(string topic, string type, WireWriter message) => new($"/tasks/{topic}", new AnyMessage($"containerd.events.{type}", message.ToArray()), DateTime.UtcNow);
}
