using Runsc.Linux;
using Runsc.NetStack;

namespace Runsc.Sentry.Sockets.Inet;

/// <summary>The one place where results of the network stack become errno values.</summary>
internal static class NetErrors
{
    public static Errno ToErrno(NetError error) => error switch
    {
        NetError.None => Errno.None,
        NetError.WouldBlock => Errno.EAGAIN,
        NetError.Busy => Errno.EBUSY,
        NetError.Loop => Errno.ELOOP,
        NetError.InvalidArgument => Errno.EINVAL,
        NetError.AddressInUse => Errno.EADDRINUSE,
        NetError.AddressNotAvailable => Errno.EADDRNOTAVAIL,
        NetError.FamilyNotSupported => Errno.EAFNOSUPPORT,
        NetError.DestinationRequired => Errno.EDESTADDRREQ,
        NetError.MessageTooLong => Errno.EMSGSIZE,
        NetError.NoBufferSpace => Errno.ENOBUFS,
        NetError.NoMemory => Errno.ENOMEM,
        NetError.ConnectionRefused => Errno.ECONNREFUSED,
        NetError.ConnectionReset => Errno.ECONNRESET,
        NetError.ConnectionAborted => Errno.ECONNABORTED,
        NetError.TimedOut => Errno.ETIMEDOUT,
        NetError.HostUnreachable => Errno.EHOSTUNREACH,
        NetError.HostDown => Errno.EHOSTDOWN,
        NetError.NetworkUnreachable => Errno.ENETUNREACH,
        NetError.NetworkDown => Errno.ENETDOWN,
        NetError.ProtocolOptionUnavailable => Errno.ENOPROTOOPT,
        NetError.NotConnected => Errno.ENOTCONN,
        NetError.AlreadyConnected => Errno.EISCONN,
        NetError.InProgress => Errno.EINPROGRESS,
        NetError.AlreadyInProgress => Errno.EALREADY,
        NetError.BrokenPipe => Errno.EPIPE,
        NetError.AccessDenied => Errno.EACCES,
        NetError.NotPermitted => Errno.EPERM,
        NetError.NotSupported => Errno.EOPNOTSUPP,
        NetError.Protocol => Errno.EPROTO,
        NetError.NoSuchDevice => Errno.ENODEV,
        NetError.NoSuchInterface => Errno.ENXIO,
        NetError.Exists => Errno.EEXIST,
        NetError.NotFound => Errno.ENOENT,
        NetError.NoSuchEntry => Errno.ESRCH,
        NetError.NoSpace => Errno.ENOSPC,
        _ => Errno.EIO,
    };
}
