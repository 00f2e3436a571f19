using Runsc.Sentry.Auth;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.Sockets.Unix;

/// <summary>Who connected, listened or made the pair: SO_PEERCRED, SO_PEERGROUPS, SO_PEERPIDFD. Immutable.</summary>
internal sealed record PeerIdentity(UserCredentials Credentials, uint[] Groups, ThreadGroup? Process)
{
    public static PeerIdentity Of(ICaller caller)
    {
        Credentials credentials = caller.Credentials;
        return new PeerIdentity(
            new UserCredentials(caller.ProcessId, credentials.EffectiveUid, credentials.EffectiveGid), credentials.Groups, (caller as Task)?.ThreadGroup);
    }
}
