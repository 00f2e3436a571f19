using System;

namespace Runsc.Sentry.Sockets;

/// <summary>Options of SOL_SOCKET that are on or off.</summary>
[Flags]
internal enum SocketFlags
{
    None = 0,
    Debug = 1,
    ReuseAddress = 2,
    ReusePort = 4,
    DontRoute = 8,
    Broadcast = 16,
    KeepAlive = 32,
    OobInline = 64,
    NoCheck = 128,
    PassCredentials = 256,
    PassPidFd = 512,
    Timestamp = 1024,
    TimestampNanoseconds = 2048,
    TimestampNew = 4096,
    OverflowCount = 8192,
    SelectErrorQueue = 16384,
    ZeroCopy = 32768,
    PreferBusyPoll = 65536,
    ReceiveMark = 131072,
    NoRights = 262144,
    PassSecurity = 524288,
    Linger = 1048576,
    LockFilter = 2097152,
}
