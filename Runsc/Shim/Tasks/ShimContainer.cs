using System.Collections.Concurrent;
using Runsc.Shim.Rpc;

namespace Runsc.Shim.Tasks;

/// <summary>A container (containerd says: task) of this shim.</summary>
internal sealed class ShimContainer(string id, string bundle, Runtime runtime, ShimProcess first)
{
    public string Id { get; } = id;

    public string Bundle { get; } = bundle;

    public Runtime Runtime { get; } = runtime;

    public ShimProcess First { get; } = first;

    /// <summary>Processes of `exec` by their ids.</summary>
    public ConcurrentDictionary<string, ShimProcess> Execs { get; } = new();

    public bool IsPaused { get; set; }

    /// <summary>Locked while it is used.</summary>
    public OomCounter Oom { get; } = new();

    /// <exception cref="RpcException">There is none with this id.</exception>
    public ShimProcess Process(string execId) =>
        execId.Length == 0 ? First
        : Execs.TryGetValue(execId, out ShimProcess? process) ? process
        : throw new RpcException(RpcCode.NotFound, $"process {execId} of container {Id} does not exist: not found");
}
