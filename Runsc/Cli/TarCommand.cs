using System.CommandLine;
using System.Text;
using Runsc.Common;
using Runsc.Container;
using Runsc.Control;
using Runsc.Host.Syscalls;
using Runsc.Linux;

namespace Runsc.Cli;

/// <summary>tar rootfs-upper: what a container has changed of its root, as a layer of an image.</summary>
internal static class TarCommand
{
    public static Command Make()
    {
        Argument<string> what = new("WHAT") { Description = "rootfs-upper: what a container has changed of its root, where that lies in memory", Arity = ArgumentArity.ExactlyOne };
        Argument<string> id = Commands.Id();
        Option<string> file = new("--file") { Description = "where the archive goes (default standard output)", HelpName = "PATH" };
        Command command = new("tar", "write files of a container as an archive") { what, id, file };
        command.SetAction(result =>
        {
            if (result.GetRequiredValue(what) is string other and not "rootfs-upper")
            {
                throw new RunscException($"tar: \"{other}\" is not rootfs-upper");
            }

            ContainerManager manager = Commands.Manager(result);
            ContainerState state = manager.States.Load(result.GetRequiredValue(id));
            int fd = result.GetValue(file) is string path ? Open(path) : 1;
            manager.Call(state, new ControlRequest { Command = "tar" }, [fd]);
            return 0;
        });
        return command;
    }

    private static int Open(string path)
    {
        byte[] name = [.. Encoding.UTF8.GetBytes(path), 0];
        int fd = HostFile.OpenAt(Fcntl.AT_FDCWD, name, Fcntl.O_WRONLY | Fcntl.O_CREAT | Fcntl.O_TRUNC | Fcntl.O_CLOEXEC, 0x1a4);
        return fd >= 0 ? fd : throw new RunscException($"cannot open {path}: errno {-fd}");
    }
}
