using System.Collections.Generic;
using Runsc.Common;
using Runsc.Container.Cgroups;
using Runsc.Container.Hooks;
using Runsc.Container.Namespaces;
using Runsc.Control;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.Oci;

namespace Runsc.Container;

/// <summary>A further container of a sandbox that is there (a pod): a gofer of its own, and the Sentry hears of it through its control socket.</summary>
internal sealed partial class Launcher
{
    private void StartInSandbox(ContainerState state, Spec spec, IReadOnlyList<int> standard, SandboxState sandbox, bool isPod, Dictionary<string, string> shared)
    {
        state.SandboxPid = sandbox.Pid;
        state.SandboxStart = sandbox.Start;
        NamespacePlan plan = NamespacePlan.For(spec.Linux, config.Network, config.Rootless);
        int program = Own(HostFile.OpenAt(Fcntl.AT_FDCWD, "/proc/self/exe\0"u8, Fcntl.O_RDONLY | Fcntl.O_CLOEXEC), "/proc/self/exe");
        int log = OpenLog(state.Id);
        List<TreeInfo> goferTrees = [], bootTrees = [];
        AddTrees(state, spec, goferTrees, bootTrees);

        // The Sentry's limits are those of its own group. In a pod, all processes are in the pod's group, and the container's own is made for those who look for it.
        ControlGroup? group = MakeGroup(state, spec, null);
        group = isPod ? ControlGroup.Load(sandbox.CgroupPaths) : group;
        Pair(out int holder, out int holderChild);
        Pair(out int goferReady, out int goferReadyChild);
        StartGofer(state, spec, plan, program, log, goferTrees, goferReady, goferReadyChild, group, HostLabels.Check(spec));
        StartHolder(state, spec, holderChild, -1, group);
        CloseOwn(goferReadyChild);
        goferTrees.ForEach(tree => CloseOwn(tree.Socket));
        OciState seen = state.Describe("creating");
        HookRunner.Run("prestart", spec.Hooks?.Prestart, seen);
        HookRunner.Run("createRuntime", spec.Hooks?.CreateRuntime, seen);
        GoOn(goferReady, spec, seen);
        AwaitReady(goferReady, "gofer");
        _ = HostFile.Write(goferReady, "c"u8);

        // The information first, then the trees, the exit file, the file of kills, the holder's socket, and the standard descriptors; in the message they have no numbers.
        StartInfo info = new()
        {
            Id = state.Id,
            Config = config,
            Spec = spec,
            Trees = bootTrees,
            Shared = shared,
            TaskLimit = System.Math.Max(spec.Linux?.Resources?.Pids?.Limit ?? 0, 0),
            MemoryLimit = (ulong)System.Math.Max(spec.Linux?.Resources?.Memory?.Limit ?? 0, 0),
        };
        List<int> descriptors = [Pack(info)];
        bootTrees.ForEach(tree => descriptors.Add(tree.Socket));
        descriptors.Add(OpenStateFile(states.ExitFileOf(state.Id)));
        descriptors.Add(OpenStateFile(states.MemoryEventsOf(state.Id)));
        descriptors.Add(holder);
        descriptors.AddRange(standard);
        if (descriptors.Count > HostPacketSocket.MaxDescriptors)
        {
            throw new RunscException($"a container in a sandbox can have at most {HostPacketSocket.MaxDescriptors} mounts and descriptors");
        }

        ControlSocket.Call(states.SocketOf(sandbox.Key), new ControlRequest { Command = "create", Container = state.Id }, [.. descriptors]);
        state.Phase = "created";
        states.Save(state);
    }

    private void EndInSandbox(ContainerState state)
    {
        if (!HostProcesses.IsAlive(state.SandboxPid, state.SandboxStart))
        {
            return;
        }

        try
        {
            ControlSocket.Call(states.SocketOf(state.Sandbox), new ControlRequest { Command = "destroy", Container = state.IsFirst ? "" : state.Id });
        }
        catch (RunscException error)
        {
            // It has gone with its sandbox, or never came to be.
            Log.Debug($"destroy {state.Id}: {error.Message}");
        }
    }
}
