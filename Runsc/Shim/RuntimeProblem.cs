using System;
using Runsc.Shim.Rpc;

namespace Runsc.Shim;

/// <summary>What a failed command of the runtime said, and the status by which containerd knows such failures.</summary>
internal static class RuntimeProblem
{
    public static RpcException Describe(string command, string message)
    {
        if (Has(message, "already exists"))
        {
            return new RpcException(RpcCode.AlreadyExists, message);
        }

        if (Has(message, "does not exist") || Has(message, "not running") || Has(message, "no such process") || Has(message, "process already finished"))
        {
            // Clients look for these words, too.
            return new RpcException(command is "kill" or "delete" ? RpcCode.NotFound : RpcCode.FailedPrecondition, $"process already finished: {message}");
        }

        return new RpcException(RpcCode.Unknown, $"OCI runtime {command} failed: {message}");
    }

    private static bool Has(string message, string words) => message.Contains(words, StringComparison.Ordinal);
}
