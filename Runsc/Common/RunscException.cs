using System;

namespace Runsc.Common;

/// <summary>A failure of the command line, a specification or a set-up, with one line for the user. Never for what an application causes.</summary>
internal class RunscException(string message, int exitCode = 128) : Exception(message)
{
    public int ExitCode { get; } = exitCode;
}
