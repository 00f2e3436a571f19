using System;
using System.Runtime.InteropServices;
using System.Text;
using Runsc.Linux;
using Runsc.NetStack;
using Runsc.NetStack.Transport;
using Runsc.NetStack.Transport.Tcp;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.Sockets.Inet;

internal sealed partial class TcpSocket
{
    private const int MaximumName = 16;

    // TCP_QUICKACK is a wish of the moment; it is reported as set.
    private bool _quickAck = true;

    private void InheritIpOptions(TcpSocket listener)
    {
        EndpointOptions own = IpOptions, from = listener.IpOptions;
        own.Ttl = from.Ttl;
        own.UnicastHops = from.UnicastHops;
        own.Tos = from.Tos;
        own.TrafficClass = from.TrafficClass;
        own.PathMtu = from.PathMtu;
        own.PathMtuV6 = from.PathMtuV6;
        own.FreeBind = from.FreeBind;
        own.ReceiveErrors = from.ReceiveErrors;
        own.ReceiveErrorsV6 = from.ReceiveErrorsV6;
        own.V6Only = from.V6Only;
        own.ReuseAddress = from.ReuseAddress;
        own.ReusePort = from.ReusePort;
        own.BoundInterface = from.BoundInterface;
        own.Mark = from.Mark;
        own.Priority = from.Priority;
    }

    protected override void OptionsChanged()
    {
        EndpointOptions options = IpOptions;
        using (Stack.Enter())
        {
            TcpSettings settings = _endpoint.Settings;
            bool v6 = IsV6 && !_endpoint.Remote.Address.IsV4;
            settings.HopLimit = v6 ? options.UnicastHops : options.Ttl;
            settings.TrafficClass = v6 ? options.TrafficClass : options.Tos;
            settings.PathMtu = v6 ? options.PathMtuV6 : options.PathMtu;
            settings.ReceiveErrors = v6 ? options.ReceiveErrorsV6 : options.ReceiveErrors;
            settings.Mark = options.Mark;
            settings.Priority = options.Priority;
            settings.OnLinkOnly = options.DontRoute;
            settings.AnySource = options.FreeBind;
            settings.OobInline = Has(SocketFlags.OobInline);
            settings.ReceiveLowWater = ReceiveLowWater;
            settings.Linger = Linger >= 0;
            settings.LingerSeconds = Math.Max(Linger, 0);
            PortReservation port = _endpoint.Port;
            port.ReuseAddress = options.ReuseAddress;
            port.ReusePort = options.ReusePort;
            port.V6Only = options.V6Only;
            port.User = User;
            if (options.BoundInterface != 0 || port.Port == 0)
            {
                port.Interface = options.BoundInterface;
            }
        }
    }

    protected override bool TryGetFlow(out IpEndpoint local, out IpEndpoint remote)
    {
        (local, remote) = (_endpoint.Local, _endpoint.Remote);
        return remote.Port != 0;
    }

    protected override void OnOptionChanged(int name)
    {
        base.OnOptionChanged(name);
        switch (name)
        {
            case Socket.SO_RCVBUF or Socket.SO_RCVBUFFORCE:
                _endpoint.SetReceiveBuffer(ReceiveBuffer);
                break;
            case Socket.SO_SNDBUF or Socket.SO_SNDBUFFORCE:
                _endpoint.SetSendBuffer(SendBuffer);
                break;
            case Socket.SO_KEEPALIVE:
                _endpoint.SetKeepAlive(Has(SocketFlags.KeepAlive));
                break;
            case Socket.SO_MAX_PACING_RATE:
                _endpoint.SetMaximumPacing(Math.Max(MaximumPacing, 0));
                break;
        }
    }

    // Seconds up to the end of a time-out of SYN-ACKs, which double up to two minutes (Linux: secs_to_retrans).
    private static int WholeTimeouts(int seconds)
    {
        const int longest = 120, most = 255;
        if (seconds == 0)
        {
            return 0;
        }

        int period = 1, step = 1;
        for (int count = 1; seconds > period && count < most; count++)
        {
            step = Math.Min(step * 2, longest);
            period += step;
        }

        return period;
    }

    protected override Errno BecomeV4()
    {
        if (_endpoint.State != TcpState.Established)
        {
            return Errno.ENOTCONN;
        }

        if (!_endpoint.Remote.Address.IsV4)
        {
            return Errno.EADDRNOTAVAIL;
        }

        Family = Socket.AF_INET;
        return Errno.None;
    }

    public override long SetOption(ICaller caller, int level, int name, ReadOnlySpan<byte> value)
    {
        if (level == Socket.SOL_SOCKET && name == Socket.SO_PEEK_OFF)
        {
            if (value.Length < sizeof(int))
            {
                return -(long)Errno.EINVAL;
            }

            _peekOffset = Math.Max(MemoryMarshal.Read<int>(value), -1);
            return 0;
        }

        return level == Socket.SOL_TCP ? -(long)SetTcpOption(name, value) : base.SetOption(caller, level, name, value);
    }

    private Errno SetTcpOption(int name, ReadOnlySpan<byte> value)
    {
        if (name == Socket.TCP_CONGESTION)
        {
            ReadOnlySpan<byte> text = value[..Math.Min(value.Length, MaximumName)];
            int end = text.IndexOf((byte)0);
            return text.IsEmpty ? Errno.EINVAL : NetErrors.ToErrno(_endpoint.SetCongestion(Encoding.ASCII.GetString(end < 0 ? text : text[..end])));
        }

        if (name == Socket.TCP_ULP)
        {
            return Errno.ENOENT;
        }

        if (value.Length < sizeof(int))
        {
            return Errno.EINVAL;
        }

        int number = MemoryMarshal.Read<int>(value);
        switch (name)
        {
            case Socket.TCP_NODELAY:
                _endpoint.SetNoDelay(number != 0);
                return Errno.None;
            case Socket.TCP_CORK:
                _endpoint.SetCork(number != 0);
                return Errno.None;
            case Socket.TCP_QUICKACK:
                _quickAck = number != 0;
                return Errno.None;
        }

        using (Stack.Enter())
        {
            Errno error = ChangeSettings(_endpoint.Settings, name, number);
            if (error != Errno.None || name is not (Socket.TCP_KEEPIDLE or Socket.TCP_KEEPINTVL))
            {
                return error;
            }
        }

        if (Has(SocketFlags.KeepAlive))
        {
            _endpoint.RestartKeepAlive();
        }

        return Errno.None;
    }

    private Errno ChangeSettings(TcpSettings settings, int name, int number)
    {
        const int longest = 32767, most = 127, tiny = 88;
        switch (name)
        {
            case Socket.TCP_MAXSEG when number == 0 || number is >= tiny and <= longest:
                settings.MaximumSegment = number;
                return Errno.None;
            case Socket.TCP_KEEPIDLE when number is >= 1 and <= longest:
                settings.KeepAliveTime = number;
                return Errno.None;
            case Socket.TCP_KEEPINTVL when number is >= 1 and <= longest:
                settings.KeepAliveInterval = number;
                return Errno.None;
            case Socket.TCP_KEEPCNT when number is >= 1 and <= most:
                settings.KeepAliveProbes = number;
                return Errno.None;
            case Socket.TCP_SYNCNT when number is >= 1 and <= most:
                settings.SynRetries = number;
                return Errno.None;
            case Socket.TCP_LINGER2:
                settings.Linger2 = number < 0 ? -1 : Math.Min(number, 120);
                return Errno.None;
            case Socket.TCP_DEFER_ACCEPT:
                settings.DeferAccept = WholeTimeouts(Math.Max(number, 0));
                return Errno.None;
            case Socket.TCP_WINDOW_CLAMP when number != 0 || _endpoint.State == TcpState.Closed:
                settings.WindowClamp = number == 0 ? 0 : Math.Max(number, 1152);
                return Errno.None;
            case Socket.TCP_USER_TIMEOUT when number >= 0:
                settings.UserTimeout = (uint)number;
                return Errno.None;
            case Socket.TCP_NOTSENT_LOWAT:
                settings.NotSentLowWater = unchecked((uint)number);
                return Errno.None;
            case Socket.TCP_FASTOPEN when number >= 0 && _endpoint.State is TcpState.Closed or TcpState.Listen:
                settings.FastOpenQueue = number;
                return Errno.None;
            case Socket.TCP_FASTOPEN_CONNECT when number is 0 or 1 && _endpoint.State == TcpState.Closed:
                settings.FastOpenConnect = number != 0;
                return Errno.None;
            case Socket.TCP_MAXSEG or Socket.TCP_KEEPIDLE or Socket.TCP_KEEPINTVL or Socket.TCP_KEEPCNT or Socket.TCP_SYNCNT or Socket.TCP_WINDOW_CLAMP
                or Socket.TCP_USER_TIMEOUT or Socket.TCP_FASTOPEN or Socket.TCP_FASTOPEN_CONNECT:
                return Errno.EINVAL;
            default:
                return Errno.ENOPROTOOPT;
        }
    }

    public override long GetOption(ICaller caller, int level, int name, Span<byte> value)
    {
        if (level == Socket.SOL_SOCKET)
        {
            switch (name)
            {
                case Socket.SO_PEEK_OFF:
                    return Put(value, _peekOffset);
                case Socket.SO_RCVBUF:
                    return Put(value, _endpoint.Settings.ReceiveBuffer);
                case Socket.SO_SNDBUF:
                    return Put(value, _endpoint.Settings.SendBuffer);
            }
        }

        return level == Socket.SOL_TCP ? GetTcpOption(name, value) : base.GetOption(caller, level, name, value);
    }

    private long GetTcpOption(int name, Span<byte> value)
    {
        switch (name)
        {
            case Socket.TCP_INFO:
                return TcpInfoBytes.Write(_endpoint, value);
            case Socket.TCP_CONGESTION:
                Span<byte> text = stackalloc byte[MaximumName];
                text.Clear();
                Encoding.ASCII.GetBytes(_endpoint.CongestionName, text);
                return Put(value, text);
            case Socket.TCP_CC_INFO:
                return TcpInfoBytes.WriteCongestion(_endpoint, value);
            case Socket.TCP_ULP:
                return 0;
        }

        TcpSettings settings = _endpoint.Settings;
        TcpParameters parameters = Network.Inet.Tcp.Parameters;
        int number = name switch
        {
            Socket.TCP_NODELAY => settings.NoDelay ? 1 : 0,
            Socket.TCP_CORK => settings.Cork ? 1 : 0,
            Socket.TCP_QUICKACK => _quickAck ? 1 : 0,
            Socket.TCP_MAXSEG => _endpoint.MaximumSegment,
            Socket.TCP_KEEPIDLE => settings.KeepAliveTime != 0 ? settings.KeepAliveTime : parameters.KeepAliveTime,
            Socket.TCP_KEEPINTVL => settings.KeepAliveInterval != 0 ? settings.KeepAliveInterval : parameters.KeepAliveInterval,
            Socket.TCP_KEEPCNT => settings.KeepAliveProbes != 0 ? settings.KeepAliveProbes : parameters.KeepAliveProbes,
            Socket.TCP_SYNCNT => settings.SynRetries != 0 ? settings.SynRetries : parameters.SynRetries,
            Socket.TCP_LINGER2 => settings.Linger2 != 0 ? settings.Linger2 : parameters.FinTimeout,
            Socket.TCP_DEFER_ACCEPT => settings.DeferAccept,
            Socket.TCP_WINDOW_CLAMP => settings.WindowClamp,
            Socket.TCP_USER_TIMEOUT => (int)settings.UserTimeout,
            Socket.TCP_NOTSENT_LOWAT => unchecked((int)settings.NotSentLowWater),
            Socket.TCP_FASTOPEN => settings.FastOpenQueue,
            Socket.TCP_FASTOPEN_CONNECT => settings.FastOpenConnect ? 1 : 0,
            _ => int.MinValue,
        };
        return number == int.MinValue ? -(long)Errno.ENOPROTOOPT : Put(value, number);
    }
}
