using System.Collections.Generic;
using System.Threading;
using Runsc.Common;
using Runsc.Container;
using Runsc.Container.Console;
using Runsc.Control;
using Runsc.Host.Syscalls;
using Runsc.Oci;

namespace Runsc.Cli;

/// <summary>What create, run and do have in common: a container from a specification, with its terminal or this process's descriptors.</summary>
internal sealed class Launch(ContainerManager manager)
{
    public required string Id { get; init; }

    public required string Bundle { get; init; }

    public required Spec Spec { get; init; }

    public string? PidFile { get; init; }

    public string? ConsoleSocket { get; init; }

    public int PreserveFds { get; init; }

    /// <summary>create, and `run --detach`: the terminal goes to --console-socket.</summary>
    public ContainerState CreateDetached()
    {
        if (Spec.Process!.Terminal != (ConsoleSocket is not null))
        {
            throw new RunscException(ConsoleSocket is null
                ? "process.terminal is set: --console-socket is needed for a container that is not attached"
                : "--console-socket is only for a process with a terminal (process.terminal)");
        }

        if (ConsoleSocket is null)
        {
            return manager.Create(Id, Bundle, Spec, PidFile, Commands.OwnDescriptors(PreserveFds));
        }

        using ConsolePair console = new(Spec.Process.ConsoleSize);
        ContainerState state = manager.Create(Id, Bundle, Spec, PidFile, WithTerminal(console));
        try
        {
            console.SendTo(ConsoleSocket);
        }
        catch (RunscException)
        {
            manager.Delete(Id, force: true);
            throw;
        }

        return state;
    }

    /// <summary>run: from the creation to the end, and away with it unless it is to be kept. The exit status as a shell tells it.</summary>
    public int RunAttached(bool keep)
    {
        bool relays = Spec.Process!.Terminal && ConsoleSocket is null;
        using ConsolePair? console = relays ? new ConsolePair(Spec.Process.ConsoleSize) : null;
        ContainerState state = console is null ? CreateDetached() : manager.Create(Id, Bundle, Spec, PidFile, WithTerminal(console));
        console?.CloseReplica();
        bool done = false;
        try
        {
            int status;
            using (SignalForwarder forwarder = new(signal => manager.Kill(Id, signal, 0, all: false)))
            {
                manager.Start(Id);
                using TerminalRelay? relay = console is null ? null : new TerminalRelay(console.Master, Resized);
                status = ContainerManager.WaitForOwn(state);
            }

            done = true;
            return status;
        }
        finally
        {
            if (!keep || !done)
            {
                manager.Delete(Id, force: true);
            }
        }
    }

    private List<int> WithTerminal(ConsolePair console)
    {
        List<int> descriptors = Commands.OwnDescriptors(PreserveFds);
        descriptors[0] = descriptors[1] = descriptors[2] = console.Replica;
        return descriptors;
    }

    // Off the caller's thread: at the very start and the very end nobody may answer.
    private void Resized(WindowSize size) => ThreadPool.QueueUserWorkItem(_ =>
    {
        try
        {
            manager.Call(manager.States.Load(Id), new ControlRequest { Command = "resize", Rows = size.Rows, Columns = size.Columns });
        }
        catch (RunscException error)
        {
            Log.Debug($"resize: {error.Message}");
        }
    });
}
