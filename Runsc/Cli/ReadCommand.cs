using System.CommandLine;
using Runsc.Container;
using Runsc.Control;

namespace Runsc.Cli;

/// <summary>read: a file of a container to standard output, as its root sees it; nothing runs inside for that.</summary>
internal static class ReadCommand
{
    public static Command Make()
    {
        Argument<string> id = Commands.Id();
        Argument<string> path = new("PATH") { Description = "absolute path inside", Arity = ArgumentArity.ExactlyOne };
        Option<long> offset = new("--offset") { Description = "where to begin", HelpName = "BYTES" }, size = new("--size") { Description = "so much at most (default all)", HelpName = "BYTES" };
        Command command = new("read", "copy a file of a container to standard output") { id, path, offset, size };
        command.SetAction(result =>
        {
            ContainerManager manager = Commands.Manager(result);
            ContainerState state = manager.States.Load(result.GetRequiredValue(id));
            ControlRequest request = new() { Command = "read", Text = result.GetRequiredValue(path), Offset = result.GetValue(offset), Size = result.GetValue(size) };
            manager.Call(state, request, [1]);
            return 0;
        });
        return command;
    }
}
