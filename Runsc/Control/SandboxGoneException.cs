using Runsc.Common;

namespace Runsc.Control;

/// <summary>The sandbox has ended, before or after it has read a request.</summary>
internal sealed class SandboxGoneException(string message, bool wasAsked) : RunscException(message)
{
    public bool WasAsked { get; } = wasAsked;
}
