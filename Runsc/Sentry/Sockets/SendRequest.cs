using System;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.Sockets;

/// <summary>What goes with the data of sendmsg(2). Lives as long as the call, over its retries.</summary>
internal ref struct SendRequest
{
    /// <summary>MSG_*.</summary>
    public int Flags;

    /// <summary>sockaddr of the receiver; empty for none.</summary>
    public ReadOnlySpan<byte> Address;

    /// <summary>Control messages, whole and checked for their lengths; those of SCM_RIGHTS and SCM_CREDENTIALS are in the members below too.</summary>
    public ReadOnlySpan<byte> Control;

    /// <summary>SCM_RIGHTS: a reference on each. Whoever takes them over sets this to null.</summary>
    public FileDescription[]? Rights;

    /// <summary>Whose descriptors in flight they are, and how many there may be.</summary>
    public FlightLimits Limits;

    /// <summary>SCM_CREDENTIALS, checked.</summary>
    public UserCredentials? Credentials;
}
