using System.Collections.Generic;
using Runsc.Common;

namespace Runsc.Container;

/// <summary>How containerd's CRI and CRI-O say that a container belongs to a pod.</summary>
internal static class PodAnnotations
{
    private static readonly (string Type, string Sandbox)[] s_keys =
        [("io.kubernetes.cri.container-type", "io.kubernetes.cri.sandbox-id"), ("io.kubernetes.cri-o.ContainerType", "io.kubernetes.cri-o.SandboxID")];

    /// <summary>The id of the sandbox that a container is to run in; null when it has one of its own.</summary>
    /// <exception cref="RunscException">The annotations contradict each other.</exception>
    public static string? SandboxOf(Dictionary<string, string>? annotations)
    {
        foreach ((string typeKey, string sandboxKey) in s_keys)
        {
            if (annotations is null || !annotations.TryGetValue(typeKey, out string? type))
            {
                continue;
            }

            switch (type)
            {
                case "sandbox":
                    return null;
                case "container":
                    return annotations.TryGetValue(sandboxKey, out string? sandbox) && sandbox.Length > 0
                        ? sandbox
                        : throw new RunscException($"annotation {typeKey} is container, but {sandboxKey} is missing");
                default:
                    throw new RunscException($"annotation {typeKey}: \"{type}\" is not sandbox or container");
            }
        }

        return null;
    }
}
