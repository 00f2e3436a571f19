using System;
using System.Runtime.InteropServices;
using System.Text;
using System.Threading;
using Runsc.Linux;
using Runsc.NetStack.Core;
using Runsc.Sentry.Auth;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.Sockets;

internal abstract partial class SocketDescription
{
    /// <summary>net.core.wmem_default and rmem_default, and what SO_SNDBUF and SO_RCVBUF may ask for (half of what is then reported).</summary>
    public const int DefaultBuffer = 212_992;
    public const int MaximumBuffer = 4 << 20;
    private const int MinimumSendBuffer = 4608;
    private const int MinimumReceiveBuffer = 2304;

    // Single words, written by setsockopt and read by anyone.
    private int _flags;
    private int _sendBuffer = DefaultBuffer;
    private int _receiveBuffer = DefaultBuffer;
    private int _receiveLowWater = 1;
    private int _lingerSeconds;
    private long _receiveTimeout = -1;
    private long _sendTimeout = -1;
    private ulong _cookie;

    public int SendBuffer => Volatile.Read(ref _sendBuffer);

    public int ReceiveBuffer => Volatile.Read(ref _receiveBuffer);

    /// <summary>Bytes below which a blocking read of a stream goes on waiting.</summary>
    public int ReceiveLowWater => Volatile.Read(ref _receiveLowWater);

    /// <summary>SO_RCVTIMEO and SO_SNDTIMEO in nanoseconds; −1: none.</summary>
    public long ReceiveTimeout => Volatile.Read(ref _receiveTimeout);

    public long SendTimeout => Volatile.Read(ref _sendTimeout);

    /// <summary>Seconds of SO_LINGER, or −1 when it is off.</summary>
    public int Linger => Has(SocketFlags.Linger) ? Volatile.Read(ref _lingerSeconds) : -1;

    public int Priority { get; private set; }

    public uint Mark { get; private set; }

    /// <summary>SO_BINDTODEVICE by index; 0: any.</summary>
    public int BoundInterface { get; protected set; }

    public bool Has(SocketFlags flag) => (Volatile.Read(ref _flags) & (int)flag) != 0;

    public void Set(SocketFlags flag, bool on)
    {
        _ = on ? Interlocked.Or(ref _flags, (int)flag) : Interlocked.And(ref _flags, ~(int)flag);
    }

    /// <summary>What an accepted socket has from its listener.</summary>
    protected void InheritOptions(SocketDescription from)
    {
        _flags = from._flags;
        _sendBuffer = from._sendBuffer;
        _receiveBuffer = from._receiveBuffer;
        _receiveLowWater = from._receiveLowWater;
        _lingerSeconds = from._lingerSeconds;
        _receiveTimeout = from._receiveTimeout;
        _sendTimeout = from._sendTimeout;
        Priority = from.Priority;
        Mark = from.Mark;
        BoundInterface = from.BoundInterface;
    }

    /// <summary>The pending error, taken (SO_ERROR).</summary>
    protected abstract Errno TakeError();

    /// <summary>SO_ACCEPTCONN.</summary>
    protected virtual bool IsListening => false;

    /// <summary>An option of SOL_SOCKET has a new value.</summary>
    protected virtual void OnOptionChanged(int name)
    {
    }

    /// <summary>setsockopt(2): 0 or −errno. Levels other than SOL_SOCKET, and options that the base does not know, are the family's.</summary>
    public virtual long SetOption(ICaller caller, int level, int name, ReadOnlySpan<byte> value)
    {
        if (level != Socket.SOL_SOCKET)
        {
            return -(long)Errno.EOPNOTSUPP;
        }

        Errno error = SetSocketOption(caller, name, value);
        if (error == Errno.None)
        {
            OnOptionChanged(name);
        }

        return -(long)error;
    }

    /// <summary>getsockopt(2): bytes written to <paramref name="value"/>, or −errno; more than its length: ERANGE, and how long it is.</summary>
    public virtual long GetOption(ICaller caller, int level, int name, Span<byte> value) =>
        level == Socket.SOL_SOCKET ? GetSocketOption(name, value) : -(long)Errno.EOPNOTSUPP;

    private Errno SetSocketOption(ICaller caller, int name, ReadOnlySpan<byte> value)
    {
        if (name == Socket.SO_BINDTODEVICE)
        {
            return BindToDevice(caller, value);
        }

        if (name is Socket.SO_ATTACH_FILTER or Socket.SO_DETACH_FILTER or Socket.SO_LOCK_FILTER)
        {
            return ChangeFilter(caller, name, value);
        }

        if (value.Length < sizeof(int))
        {
            return Errno.EINVAL;
        }

        int number = MemoryMarshal.Read<int>(value);
        Credentials credentials = caller.Credentials;
        bool admin = credentials.HasCapability(Capability.CAP_NET_ADMIN);
        switch (name)
        {
            case Socket.SO_DEBUG when number != 0 && !admin:
                return Errno.EACCES;
            case Socket.SO_TYPE or Socket.SO_PROTOCOL or Socket.SO_DOMAIN or Socket.SO_ERROR or Socket.SO_ACCEPTCONN:
                return Errno.ENOPROTOOPT;
            case Socket.SO_REUSEPORT when number != 0 && !IsInternet:
            case Socket.SO_ZEROCOPY when !IsInternet:
                return Errno.EOPNOTSUPP;
            case Socket.SO_ZEROCOPY when number is < 0 or > 1:
                return Errno.EINVAL;
            case Socket.SO_PASSCRED or Socket.SO_PASSSEC or Socket.SO_PASSPIDFD or Socket.SO_PASSRIGHTS when !PassesCredentials:
                return Errno.EOPNOTSUPP;
            case Socket.SO_PASSRIGHTS:
                Set(SocketFlags.NoRights, number == 0);
                return Errno.None;
            case Socket.SO_SNDBUF:
                Volatile.Write(ref _sendBuffer, Math.Max((int)Math.Min(unchecked((uint)number), MaximumBuffer) * 2, MinimumSendBuffer));
                return Errno.None;
            case Socket.SO_RCVBUF:
                Volatile.Write(ref _receiveBuffer, Math.Max((int)Math.Min(unchecked((uint)number), MaximumBuffer) * 2, MinimumReceiveBuffer));
                return Errno.None;
            case Socket.SO_SNDBUFFORCE or Socket.SO_RCVBUFFORCE:
                return admin ? SetSocketOption(caller, name == Socket.SO_SNDBUFFORCE ? Socket.SO_SNDBUF : Socket.SO_RCVBUF, value) : Errno.EPERM;
            case Socket.SO_PRIORITY:
                if (number is < 0 or > 6 && !IsNetworkAdmin(credentials))
                {
                    return Errno.EPERM;
                }

                Priority = number;
                return Errno.None;
            case Socket.SO_MARK:
                if (!IsNetworkAdmin(credentials))
                {
                    return Errno.EPERM;
                }

                Mark = unchecked((uint)number);
                return Errno.None;
            case Socket.SO_RCVLOWAT:
                Volatile.Write(ref _receiveLowWater, number < 0 ? int.MaxValue : Math.Max(number, 1));
                return Errno.None;
            case Socket.SO_SNDLOWAT:
                return Errno.ENOPROTOOPT;
            case Socket.SO_LINGER:
                return SetLinger(value, number);
            case Socket.SO_RCVTIMEO_OLD or Socket.SO_RCVTIMEO_NEW:
                return ReadTimeout(value, ref _receiveTimeout);
            case Socket.SO_SNDTIMEO_OLD or Socket.SO_SNDTIMEO_NEW:
                return ReadTimeout(value, ref _sendTimeout);
            case Socket.SO_TIMESTAMP_OLD or Socket.SO_TIMESTAMP_NEW or Socket.SO_TIMESTAMPNS_OLD or Socket.SO_TIMESTAMPNS_NEW:
                Set(SocketFlags.Timestamp | SocketFlags.TimestampNanoseconds | SocketFlags.TimestampNew, false);
                Set(name is Socket.SO_TIMESTAMP_OLD or Socket.SO_TIMESTAMP_NEW ? SocketFlags.Timestamp : SocketFlags.TimestampNanoseconds, number != 0);
                Set(SocketFlags.TimestampNew, number != 0 && name is Socket.SO_TIMESTAMP_NEW or Socket.SO_TIMESTAMPNS_NEW);
                return Errno.None;
            case Socket.SO_BSDCOMPAT:
                return Errno.None;
            case Socket.SO_BINDTOIFINDEX:
                return BindToIndex(caller, number);
            case Socket.SO_BUSY_POLL or Socket.SO_BUSY_POLL_BUDGET or Socket.SO_INCOMING_CPU or Socket.SO_MAX_PACING_RATE or Socket.SO_TXREHASH or Socket.SO_BUF_LOCK:
                return SetTuning(name, number, admin);
        }

        SocketFlags flag = FlagOf(name);
        if (flag == SocketFlags.None)
        {
            return Errno.ENOPROTOOPT;
        }

        Set(flag, number != 0);
        return Errno.None;
    }

    /// <summary>SO_ATTACH_FILTER.</summary>
    public SocketFilter? Filter => Volatile.Read(ref _filter);

    private SocketFilter? _filter;

    /// <summary>The family puts the filter where its packets come in. ENOPROTOOPT where it filters none.</summary>
    protected virtual Errno OnFilterChanged(SocketFilter? filter) => Errno.ENOPROTOOPT;

    private Errno ChangeFilter(ICaller caller, int name, ReadOnlySpan<byte> value)
    {
        bool isLocked = Has(SocketFlags.LockFilter);
        if (name != Socket.SO_ATTACH_FILTER && value.Length < sizeof(int))
        {
            return Errno.EINVAL;
        }

        if (name == Socket.SO_LOCK_FILTER)
        {
            bool on = MemoryMarshal.Read<int>(value) != 0;
            Set(SocketFlags.LockFilter, on || isLocked);
            return isLocked && !on ? Errno.EPERM : Errno.None;
        }

        SocketFilter? filter = null;
        Errno error = name == Socket.SO_ATTACH_FILTER ? SocketFilter.TryRead(caller.UserMemory, value, out filter) : Errno.None;
        error = error != Errno.None ? error : isLocked ? Errno.EPERM : name == Socket.SO_DETACH_FILTER && Filter is null ? Errno.ENOENT : OnFilterChanged(filter);
        if (error == Errno.None)
        {
            Volatile.Write(ref _filter, filter);
        }

        return error;
    }

    // The room and the result are counted in instructions.
    private long GetFilter(Span<byte> value)
    {
        if (Filter is not { } filter)
        {
            return 0;
        }

        ReadOnlySpan<byte> bytes = MemoryMarshal.AsBytes(filter.Code);
        if (value.IsEmpty)
        {
            // How long it is.
            return bytes.Length;
        }

        return value.Length < bytes.Length ? -(long)Errno.EINVAL : Put(value, bytes);
    }

    /// <summary>Values that only tell the kernel how to be quick: kept, and reported.</summary>
    private int _busyPoll;
    private int _incomingCpu = -1;
    private long _pacingRate = -1;

    /// <summary>SO_MAX_PACING_RATE in bytes a second; -1 for no limit.</summary>
    protected long MaximumPacing => _pacingRate;
    private int _transmitRehash = 1;
    private int _bufferLock;

    private Errno SetTuning(int name, int number, bool admin)
    {
        switch (name)
        {
            case Socket.SO_BUSY_POLL:
                if (number < 0)
                {
                    return Errno.EINVAL;
                }

                if (number > _busyPoll && !admin)
                {
                    return Errno.EPERM;
                }

                _busyPoll = number;
                return Errno.None;
            case Socket.SO_INCOMING_CPU:
                _incomingCpu = number;
                return Errno.None;
            case Socket.SO_MAX_PACING_RATE:
                _pacingRate = number == -1 ? -1 : unchecked((uint)number);
                return Errno.None;
            case Socket.SO_TXREHASH:
                if (number is < -1 or > 1)
                {
                    return Errno.EINVAL;
                }

                _transmitRehash = number;
                return Errno.None;
            case Socket.SO_BUF_LOCK:
                if ((number & ~3) != 0)
                {
                    return Errno.EINVAL;
                }

                _bufferLock = number;
                return Errno.None;
            default:
                return Errno.ENOPROTOOPT;
        }
    }

    private static SocketFlags FlagOf(int name) => name switch
    {
        Socket.SO_DEBUG => SocketFlags.Debug,
        Socket.SO_REUSEADDR => SocketFlags.ReuseAddress,
        Socket.SO_REUSEPORT => SocketFlags.ReusePort,
        Socket.SO_DONTROUTE => SocketFlags.DontRoute,
        Socket.SO_BROADCAST => SocketFlags.Broadcast,
        Socket.SO_KEEPALIVE => SocketFlags.KeepAlive,
        Socket.SO_OOBINLINE => SocketFlags.OobInline,
        Socket.SO_NO_CHECK => SocketFlags.NoCheck,
        Socket.SO_PASSCRED => SocketFlags.PassCredentials,
        Socket.SO_PASSPIDFD => SocketFlags.PassPidFd,
        Socket.SO_PASSSEC => SocketFlags.PassSecurity,
        Socket.SO_RXQ_OVFL => SocketFlags.OverflowCount,
        Socket.SO_SELECT_ERR_QUEUE => SocketFlags.SelectErrorQueue,
        Socket.SO_ZEROCOPY => SocketFlags.ZeroCopy,
        Socket.SO_PREFER_BUSY_POLL => SocketFlags.PreferBusyPoll,
        Socket.SO_RCVMARK => SocketFlags.ReceiveMark,
        Socket.SO_LOCK_FILTER => SocketFlags.LockFilter,
        _ => SocketFlags.None,
    };

    private bool IsInternet => Family is Socket.AF_INET or Socket.AF_INET6;

    private Errno SetLinger(ReadOnlySpan<byte> value, int on)
    {
        if (value.Length < 8)
        {
            return Errno.EINVAL;
        }

        if (on != 0)
        {
            Volatile.Write(ref _lingerSeconds, MemoryMarshal.Read<int>(value[4..]));
        }

        Set(SocketFlags.Linger, on != 0);
        return Errno.None;
    }

    // struct timeval; zero means no timeout, a negative one means not to wait at all (Linux: sock_set_timeout).
    private static Errno ReadTimeout(ReadOnlySpan<byte> value, ref long timeout)
    {
        if (value.Length < Timeval.SizeInBytes)
        {
            return Errno.EINVAL;
        }

        Timeval time = MemoryMarshal.Read<Timeval>(value);
        if (time.Microseconds is < 0 or >= 1_000_000)
        {
            return Errno.EDOM;
        }

        long nanoseconds = time.Seconds < 0 ? 0
            : time.Seconds == 0 && time.Microseconds == 0 ? -1
            : time.Seconds >= long.MaxValue / 1_000_000_000 - 1 ? -1
            : (time.Seconds * 1_000_000_000) + (time.Microseconds * 1000);
        Volatile.Write(ref timeout, nanoseconds);
        return Errno.None;
    }

    private bool IsNetworkAdmin(Credentials credentials) =>
        credentials.HasCapability(Capability.CAP_NET_ADMIN, Network.Owner) || credentials.HasCapability(Capability.CAP_NET_RAW, Network.Owner);

    private Errno BindToDevice(ICaller caller, ReadOnlySpan<byte> value)
    {
        const int maximum = 15;
        if (BoundInterface != 0 && !caller.Credentials.HasCapability(Capability.CAP_NET_RAW, Network.Owner))
        {
            return Errno.EPERM;
        }

        ReadOnlySpan<byte> name = value[..Math.Min(value.Length, maximum)];
        int end = name.IndexOf((byte)0);
        name = end < 0 ? name : name[..end];
        if (name.IsEmpty)
        {
            BoundInterface = 0;
            return Errno.None;
        }

        int index = FindInterface(name);
        if (index == 0)
        {
            return Errno.ENODEV;
        }

        BoundInterface = index;
        return Errno.None;
    }

    private Errno BindToIndex(ICaller caller, int index)
    {
        if (BoundInterface != 0 && !caller.Credentials.HasCapability(Capability.CAP_NET_RAW, Network.Owner))
        {
            return Errno.EPERM;
        }

        if (index < 0)
        {
            return Errno.EINVAL;
        }

        BoundInterface = index;
        return Errno.None;
    }

    /// <summary>The index of an interface of the namespace; 0: there is none of that name.</summary>
    protected virtual int FindInterface(ReadOnlySpan<byte> name)
    {
        NetworkStack stack = Network.Inet.Stack;
        using (stack.Enter())
        {
            return stack.FindInterface(Encoding.Latin1.GetString(name))?.Index ?? 0;
        }
    }

    /// <summary>SO_BINDTODEVICE: the interface's name. EINVAL without room for any, ENODEV.</summary>
    private long GetDevice(Span<byte> value)
    {
        const int longestName = 16;
        if (BoundInterface == 0)
        {
            return 0;
        }

        if (value.Length < longestName)
        {
            return -(long)Errno.EINVAL;
        }

        NetworkStack stack = Network.Inet.Stack;
        using (stack.Enter())
        {
            return stack.FindInterface(BoundInterface) is { } found ? Put(value, Encoding.Latin1.GetBytes(found.Name + "\0")) : -(long)Errno.ENODEV;
        }
    }

    private long GetSocketOption(int name, Span<byte> value)
    {
        switch (name)
        {
            case Socket.SO_LINGER:
            {
                Span<int> linger = [Has(SocketFlags.Linger) ? 1 : 0, Volatile.Read(ref _lingerSeconds)];
                return Put(value, MemoryMarshal.AsBytes(linger));
            }

            case Socket.SO_RCVTIMEO_OLD or Socket.SO_RCVTIMEO_NEW:
                return PutTimeout(value, ReceiveTimeout);
            case Socket.SO_SNDTIMEO_OLD or Socket.SO_SNDTIMEO_NEW:
                return PutTimeout(value, SendTimeout);
            case Socket.SO_COOKIE:
                if (value.Length < 8)
                {
                    return -(long)Errno.EINVAL;
                }

                return Put(value, Cookie);
            case Socket.SO_NETNS_COOKIE:
                return value.Length < 8 ? -(long)Errno.EINVAL : Put(value, Network.Number);
            case Socket.SO_PEERCRED:
                return Put(value, new UserCredentials(0, uint.MaxValue, uint.MaxValue));
            case Socket.SO_GET_FILTER:
                return GetFilter(value);
            case Socket.SO_PEERGROUPS or Socket.SO_PEERPIDFD or Socket.SO_PEERNAME:
                return -(long)Errno.ENOPROTOOPT;
            case Socket.SO_PASSCRED or Socket.SO_PASSSEC or Socket.SO_PASSPIDFD or Socket.SO_PASSRIGHTS when !PassesCredentials:
                return -(long)Errno.EOPNOTSUPP;
            case Socket.SO_BINDTODEVICE:
                return GetDevice(value);
            case Socket.SO_MAX_PACING_RATE:
                return value.Length >= 8 ? Put(value, _pacingRate) : Put(value, unchecked((int)_pacingRate));
        }

        long number = name switch
        {
            Socket.SO_TYPE => Type,
            Socket.SO_DOMAIN => Family,
            Socket.SO_PROTOCOL => Protocol,
            Socket.SO_ERROR => (int)TakeError(),
            Socket.SO_ACCEPTCONN => IsListening ? 1 : 0,
            Socket.SO_SNDBUF => SendBuffer,
            Socket.SO_RCVBUF => ReceiveBuffer,
            Socket.SO_PRIORITY => Priority,
            Socket.SO_MARK => unchecked((int)Mark),
            Socket.SO_RCVLOWAT => ReceiveLowWater,
            Socket.SO_SNDLOWAT => 1,
            Socket.SO_BSDCOMPAT => 0,
            Socket.SO_TIMESTAMP_OLD => Has(SocketFlags.Timestamp) && !Has(SocketFlags.TimestampNew) ? 1 : 0,
            Socket.SO_TIMESTAMP_NEW => Has(SocketFlags.Timestamp) && Has(SocketFlags.TimestampNew) ? 1 : 0,
            Socket.SO_TIMESTAMPNS_OLD => Has(SocketFlags.TimestampNanoseconds) && !Has(SocketFlags.TimestampNew) ? 1 : 0,
            Socket.SO_TIMESTAMPNS_NEW => Has(SocketFlags.TimestampNanoseconds) && Has(SocketFlags.TimestampNew) ? 1 : 0,
            Socket.SO_BINDTOIFINDEX => BoundInterface,
            Socket.SO_BUSY_POLL => _busyPoll,
            Socket.SO_INCOMING_CPU => _incomingCpu,
            Socket.SO_TXREHASH => _transmitRehash,
            Socket.SO_BUF_LOCK => _bufferLock,
            Socket.SO_PASSRIGHTS => Has(SocketFlags.NoRights) ? 0 : 1,
            _ => FlagOf(name) is SocketFlags flag and not SocketFlags.None ? (Has(flag) ? 1 : 0) : -(long)Errno.ENOPROTOOPT,
        };
        return number == -(long)Errno.ENOPROTOOPT ? number : Put(value, unchecked((int)number));
    }

    /// <summary>SO_TIMESTAMP and its kin: when a message came, or now when nobody took note (0).</summary>
    public void AddTimestamp(ref ControlWriter control, long realtime)
    {
        realtime = realtime != 0 ? realtime : Network.System.Kernel.Clock.Realtime;
        bool isNew = Has(SocketFlags.TimestampNew);
        if (Has(SocketFlags.Timestamp))
        {
            control.Add(Socket.SOL_SOCKET, isNew ? Socket.SO_TIMESTAMP_NEW : Socket.SO_TIMESTAMP_OLD, Timeval.FromNanoseconds(realtime));
        }
        else if (Has(SocketFlags.TimestampNanoseconds))
        {
            control.Add(Socket.SOL_SOCKET, isNew ? Socket.SO_TIMESTAMPNS_NEW : Socket.SO_TIMESTAMPNS_OLD, Timespec.FromNanoseconds(realtime));
        }
    }

    /// <summary>SO_COOKIE.</summary>
    public ulong Cookie
    {
        get
        {
            if (Volatile.Read(ref _cookie) == 0)
            {
                Interlocked.CompareExchange(ref _cookie, Network.System.NewCookie(), 0);
            }

            return _cookie;
        }
    }

    private static long PutTimeout(Span<byte> value, long timeout) => Put(value, timeout < 0 ? default : Timeval.FromNanoseconds(timeout));

    /// <summary>Writes as much of a value as was asked for: the bytes written.</summary>
    protected static long Put(Span<byte> room, scoped ReadOnlySpan<byte> value)
    {
        int length = Math.Min(room.Length, value.Length);
        value[..length].CopyTo(room);
        return length;
    }

    protected static long Put<T>(Span<byte> room, in T value)
        where T : unmanaged => Put(room, MemoryMarshal.AsBytes(new ReadOnlySpan<T>(in value)));
}
