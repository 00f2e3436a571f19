namespace Runsc.Sentry.Sockets.Unix;

/// <summary>Linux: TCP_CLOSE, TCP_LISTEN and TCP_ESTABLISHED of sk_state.</summary>
internal enum UnixState
{
    Unconnected,
    Listening,

    /// <summary>Stays so when the peer is gone.</summary>
    Connected,
}
