using System;
using System.Globalization;
using System.IO;
using Runsc.Boot;
using Runsc.Cli;
using Runsc.Host.Syscalls;
using Runsc.Shim;

namespace Runsc;

/// <summary>One binary plays every part: the command line, and the processes of a sandbox, which it starts from itself.</summary>
internal static class Program
{
    private static int Main(string[] args)
    {
        // The parts of a sandbox start often and parse nothing: the last argument is the descriptor of their start information.
        if (args.Length >= 2 && args[0] is "sandbox" or "boot" or "gofer" && int.TryParse(args[^1], NumberStyles.None, CultureInfo.InvariantCulture, out int info))
        {
            return args[0] switch
            {
                "sandbox" => Stage.Run(args[1], info),
                "gofer" => GoferMain.Run(info),
                _ => BootMain.Run(info),
            };
        }

        HostFile.FillStandardDescriptors();

        // A link of another name makes it a shim of containerd.
        string program = Environment.GetCommandLineArgs()[0];
        return Path.GetFileName(program) == ShimMain.Name ? ShimMain.Run(program, args) : CommandLine.Run(args);
    }
}
