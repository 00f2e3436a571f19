using System;

namespace Runsc.Platform;

/// <summary>The platform cannot be set up on this host. The message is one line for the user.</summary>
internal sealed class PlatformException : Exception
{
    public PlatformException(string message)
        : base(message)
    {
    }
}
