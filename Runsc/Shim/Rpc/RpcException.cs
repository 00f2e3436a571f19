using System;

namespace Runsc.Shim.Rpc;

/// <summary>A call that has failed, as its caller is told.</summary>
internal sealed class RpcException(RpcCode code, string message) : Exception(message)
{
    public RpcCode Code { get; } = code;
}
