using System.Runtime.InteropServices;

namespace Runsc.Sentry.Sockets;

/// <summary>struct ucred (unix(7)).</summary>
[StructLayout(LayoutKind.Sequential)]
internal record struct UserCredentials(int ProcessId, uint Uid, uint Gid)
{
    public const int SizeInBytes = 12;

    /// <summary>What a receiver sees of a sender that did not give any: nobody (overflowuid).</summary>
    public static readonly UserCredentials Unknown = new(0, 65534, 65534);
}
