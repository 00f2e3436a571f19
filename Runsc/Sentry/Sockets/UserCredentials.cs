using System.Runtime.InteropServices;
using Runsc.Sentry.Auth;

namespace Runsc.Sentry.Sockets;

/// <summary>struct ucred (unix(7)).</summary>
[StructLayout(LayoutKind.Sequential)]
internal record struct UserCredentials(int ProcessId, uint Uid, uint Gid)
{
    public const int SizeInBytes = 12;

    /// <summary>Of a sender that did not give any: the receiver sees nobody (overflowuid).</summary>
    public static readonly UserCredentials Unknown = new(0, IdMap.Invalid, IdMap.Invalid);

    /// <summary>With the ids that a user namespace has for those of the kernel.</summary>
    public UserCredentials SeenBy(UserNamespace users) => new(ProcessId, users.Uids.Shown(Uid), users.Gids.Shown(Gid));
}
