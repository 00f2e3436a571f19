using System.Threading;
using System.Threading.Tasks;
using Runsc.Shim.Io;

namespace Runsc.Shim.Tasks;

/// <summary>A process of a container that containerd knows: its first one, or one of `exec`.</summary>
/// <param name="execId">Empty for the first process.</param>
/// <param name="stdio">Where its input and output are.</param>
internal sealed class ShimProcess(string execId, StdioPaths stdio)
{
    private readonly TaskCompletionSource<ExitInfo> _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>
    /// Held while the process is started, stopped or deleted, commands of the runtime included: steps of one process come one after the other, and its exit
    /// event after its start event.
    /// </summary>
    public Lock Mu { get; } = new();

    public string ExecId { get; } = execId;

    public StdioPaths Stdio { get; } = stdio;

    /// <summary>Guarded by <see cref="Mu"/>, as all below.</summary>
    public ProcessIo? Io { get; set; }

    /// <summary>On the host: the sandbox's, or the agent's that stands for a process of `exec`.</summary>
    public int Pid { get; set; }

    /// <summary>exec: the number inside; 0 where the runtime does not tell.</summary>
    public int InnerPid { get; set; }

    /// <summary>Changed under <see cref="Mu"/>; may be read without it.</summary>
    public volatile TaskStatus Status = TaskStatus.Created;

    /// <summary>exec: the OCI process in JSON, until it is started.</summary>
    public byte[] Spec { get; set; } = [];

    public Task<ExitInfo> Ended => _ended.Task;

    public ExitInfo? Exit => _ended.Task.IsCompletedSuccessfully ? _ended.Task.Result : null;

    public void End(ExitInfo exit)
    {
        Status = TaskStatus.Stopped;
        _ended.TrySetResult(exit);
    }
}
