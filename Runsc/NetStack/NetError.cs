namespace Runsc.NetStack;

/// <summary>Results of the stack. The sockets above map them to errno, in one place; the comment names that errno.</summary>
internal enum NetError
{
    None = 0,

    /// <summary>EAGAIN: nothing to read, or no room to write, now.</summary>
    WouldBlock,

    /// <summary>EINVAL.</summary>
    InvalidArgument,

    /// <summary>EADDRINUSE.</summary>
    AddressInUse,

    /// <summary>EADDRNOTAVAIL: no such local address, or no free ephemeral port.</summary>
    AddressNotAvailable,

    /// <summary>EAFNOSUPPORT.</summary>
    FamilyNotSupported,

    /// <summary>EDESTADDRREQ.</summary>
    DestinationRequired,

    /// <summary>EMSGSIZE.</summary>
    MessageTooLong,

    /// <summary>ENOBUFS.</summary>
    NoBufferSpace,

    /// <summary>ENOMEM.</summary>
    NoMemory,

    /// <summary>ECONNREFUSED.</summary>
    ConnectionRefused,

    /// <summary>ECONNRESET.</summary>
    ConnectionReset,

    /// <summary>ECONNABORTED.</summary>
    ConnectionAborted,

    /// <summary>ETIMEDOUT.</summary>
    TimedOut,

    /// <summary>EHOSTUNREACH.</summary>
    HostUnreachable,

    /// <summary>EHOSTDOWN.</summary>
    HostDown,

    /// <summary>ENETUNREACH: no route.</summary>
    NetworkUnreachable,

    /// <summary>ENETDOWN.</summary>
    NetworkDown,

    /// <summary>ENOPROTOOPT: also what a protocol-unreachable ICMP message becomes.</summary>
    ProtocolOptionUnavailable,

    /// <summary>ENOTCONN.</summary>
    NotConnected,

    /// <summary>EISCONN.</summary>
    AlreadyConnected,

    /// <summary>EINPROGRESS: a connection attempt has begun.</summary>
    InProgress,

    /// <summary>EALREADY: a connection attempt is under way.</summary>
    AlreadyInProgress,

    /// <summary>EPIPE.</summary>
    BrokenPipe,

    /// <summary>EIO: a segment size where no device cuts.</summary>
    InputOutput,

    /// <summary>EACCES: broadcast without SO_BROADCAST, a prohibit route.</summary>
    AccessDenied,

    /// <summary>EPERM: refused by the packet filter.</summary>
    NotPermitted,

    /// <summary>EOPNOTSUPP.</summary>
    NotSupported,

    /// <summary>EPROTO.</summary>
    Protocol,

    /// <summary>ENODEV.</summary>
    NoSuchDevice,

    /// <summary>ENXIO.</summary>
    NoSuchInterface,

    /// <summary>EEXIST.</summary>
    Exists,

    /// <summary>ENOENT.</summary>
    NotFound,

    /// <summary>ESRCH: no such route or rule.</summary>
    NoSuchEntry,

    /// <summary>EBUSY.</summary>
    Busy,

    /// <summary>ELOOP: a bridge within a bridge.</summary>
    Loop,

    /// <summary>ENOSPC.</summary>
    NoSpace,
}
