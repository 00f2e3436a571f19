using System;

namespace Runsc.NetStack.Transport;

/// <summary>Readiness of an endpoint; the sockets map it to the events of poll(2).</summary>
[Flags]
internal enum NetEvents
{
    None = 0,

    /// <summary>Data, a connection to accept, or the end of the stream.</summary>
    Readable = 1,

    /// <summary>Room in the send buffer, or a connection attempt that has ended.</summary>
    Writable = 2,

    /// <summary>An error is pending, or the error queue has an entry.</summary>
    Error = 4,

    /// <summary>Both directions are shut.</summary>
    Hangup = 8,

    /// <summary>The peer sends no more.</summary>
    ReadHangup = 16,

    /// <summary>Urgent data.</summary>
    Urgent = 32,
}
