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
    private void StartInSandbox(ContainerState state, Spec spec, IReadOnlyList<int> standard)
    {
        ContainerState sandbox = states.TryRead(state.SandboxId) ?? throw new RunscException($"sandbox container \"{state.SandboxId}\" does not exist");
        if (sandbox.Status is not ("created" or "running"))
        {
            throw new RunscException($"sandbox container \"{state.SandboxId}\" is not running: it is {sandbox.Status}");
        }

        state.SandboxPid = sandbox.SandboxPid;
        state.SandboxStart = sandbox.SandboxStart;
        NamespacePlan plan = NamespacePlan.For(spec.Linux, config.Network, config.Rootless);
        int program = Own(HostFile.OpenAt(Fcntl.AT_FDCWD, "/proc/self/exe\0"u8, Fcntl.O_RDONLY | Fcntl.O_CLOEXEC), "/proc/self/exe");
        int log = OpenLog(state.Id);
        List<TreeInfo> goferTrees = [], bootTrees = [];
        AddTrees(state, spec, goferTrees, bootTrees);

        // The limits are the pod's: its processes are in the pod's group. The container's own group is made for those who look for it.
        _ = MakeGroup(state, spec);
        ControlGroup? group = ControlGroup.Load(sandbox.SandboxCgroupPaths) ?? ControlGroup.Load(sandbox.CgroupPaths);
        Pair(out int goferReady, out int goferReadyChild);
        StartGofer(state, spec, plan, program, log, goferTrees, goferReady, goferReadyChild, group, HostLabels.Check(spec));
        CloseOwn(goferReadyChild);
        goferTrees.ForEach(tree => CloseOwn(tree.Socket));
        OciState seen = state.Describe("creating");
        HookRunner.Run("prestart", spec.Hooks?.Prestart, seen);
        HookRunner.Run("createRuntime", spec.Hooks?.CreateRuntime, seen);
        GoOn(goferReady, spec, seen);
        AwaitReady(goferReady, "gofer");
        _ = HostFile.Write(goferReady, "c"u8);

        // The information first, then the trees, the exit file, and the standard descriptors; in the message they have no numbers.
        StartInfo info = new()
        {
            Id = state.Id,
            Config = config,
            Spec = spec,
            Trees = bootTrees,
            TaskLimit = System.Math.Max(spec.Linux?.Resources?.Pids?.Limit ?? 0, 0),
        };
        List<int> descriptors = [Pack(info)];
        bootTrees.ForEach(tree => descriptors.Add(tree.Socket));
        descriptors.Add(OpenExitFile(state.Id));
        descriptors.AddRange(standard);
        if (descriptors.Count > HostPacketSocket.MaxDescriptors)
        {
            throw new RunscException($"a container in a sandbox can have at most {HostPacketSocket.MaxDescriptors} mounts and descriptors");
        }

        ControlSocket.Call(states.SocketOf(state.SandboxId), new ControlRequest { Command = "create", Container = state.Id }, [.. descriptors]);
        state.Phase = "created";
        states.Save(state);
    }

    private void EndInSandbox(ContainerState state)
    {
        if (state.Status == "stopped" && !HostProcesses.IsAlive(state.SandboxPid, state.SandboxStart))
        {
            return;
        }

        try
        {
            ControlSocket.Call(states.SocketOf(state.SandboxId), new ControlRequest { Command = "destroy", Container = state.Id });
        }
        catch (RunscException error)
        {
            // It has gone with its sandbox, or never came to be.
            Log.Debug($"destroy {state.Id}: {error.Message}");
        }
    }
}
