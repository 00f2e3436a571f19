using System;
using System.Collections.Generic;
using System.Threading.Tasks;
using Runsc.Common;
using Runsc.Host.Processes;
using Runsc.Host.Syscalls;
using Runsc.Linux;

namespace Runsc.Shim.Io;

/// <summary>
/// A program that takes a container's output (binary: URIs): it reads standard output from descriptor 3, standard error from 4, and closes 5 when it is ready.
/// It ends by itself at the end of both.
/// </summary>
internal static class LoggingProgram
{
    private const int ReadyMilliseconds = 10_000;

    // A shell moves the three descriptors to the places where the program looks for them; the program takes the shell's place.
    private const string Move = "exec \"$@\" 3<&0 4<&1 5>&2 0</dev/null 1>/dev/null 2>&1";

    /// <summary>Starts the program with these read ends, which stay the caller's, and waits until it is ready.</summary>
    public static void Start(Reaper reaper, Uri uri, string ns, string container, int output, int error)
    {
        List<string> arguments = ["/bin/sh", "-c", Move, "sh", Uri.UnescapeDataString(uri.AbsolutePath), .. OutputTarget.LoggerArguments(uri)];
        List<string> environment = [.. Runtime.OwnEnvironment(), $"CONTAINER_ID={container}", $"CONTAINER_NAMESPACE={ns}"];
        if (HostFile.Pipe(out int ready, out int readyChild) < 0)
        {
            throw new RunscException("cannot make a pipe");
        }

        int process = reaper.Spawn(() => HostProcess.Spawn("/bin/sh", arguments, environment, output, error, readyChild), out Task<int> ended);
        _ = HostFile.Close(readyChild);
        int answer = process < 0 ? 0 : HostEvents.Poll(ready, Poll.POLLIN, ReadyMilliseconds);
        _ = HostFile.Close(ready);
        if (process < 0 || answer == 0 || (ended.Wait(50) && ended.Result != 0))
        {
            throw new RunscException($"the logging program {uri.AbsolutePath} {(process < 0 ? $"cannot be started: errno {-process}" : answer == 0 ? "is not ready in time" : "has failed")}");
        }
    }
}
