using System;
using System.Globalization;
using Runsc.Boot;
using Runsc.Common;
using Runsc.Config;
using Runsc.Container;

namespace Runsc;

internal static class Program
{
    private static int Main(string[] args)
    {
        if (args.Length >= 2 && args[0] is "sandbox" or "boot" or "gofer")
        {
            int fd = int.Parse(args[^1], CultureInfo.InvariantCulture);
            return args[0] switch
            {
                "sandbox" => Stage.Run(args[1], fd),
                "gofer" => GoferMain.Run(fd),
                _ => BootMain.Run(fd),
            };
        }

        RunscConfig config = new() { Debug = true, Strace = Environment.GetEnvironmentVariable("STRACE") is not null, DebugLog = "/tmp/runsc.log" };
        ContainerManager manager = new(config);
        try
        {
            ContainerState state = manager.Create(args[1], args[2], null, [0, 1, 2]);
            manager.Start(state.Id);
            int status = manager.WaitForOwn(state);
            manager.Delete(state.Id, force: true);
            return status;
        }
        catch (RunscException error)
        {
            Console.Error.WriteLine(error.Message);
            return 128;
        }
    }
}
