namespace Runsc.NetStack.Transport.Tcp;

/// <summary>shutdown(2), close(2), and the ends of a connection.</summary>
internal sealed partial class TcpEndpoint
{
    // bind(2) chose the address or port, so they stay after a disconnect.
    private bool _isBound;

    private bool _destroyed;

    // In the count of orphans.
    private bool _countedOrphan;

    /// <summary>close(2) with SO_LINGER waits while this is true.</summary>
    public bool IsLingering
    {
        get
        {
            using (_stack.Enter())
            {
                return _state is TcpState.FinWait1 or TcpState.Closing or TcpState.LastAck;
            }
        }
    }

    /// <summary>Ends reading, writing or both. ENOTCONN if there is no connection.</summary>
    public NetError Shutdown(bool reading, bool writing)
    {
        using (_stack.Enter())
        {
            switch (_state)
            {
                case TcpState.Closed:
                    return NetError.NotConnected;
                case TcpState.Listen:
                    if (reading)
                    {
                        DisconnectLocked();
                        Notifier.Raise(NetEvents.Readable | NetEvents.Hangup);
                    }

                    return NetError.None;
                case TcpState.SynSent:
                    DisconnectLocked();
                    _receiveShut |= reading;
                    _sendShut |= writing;
                    Notifier.Raise(NetEvents.Writable | NetEvents.Hangup);
                    return NetError.None;
            }

            if (reading)
            {
                _receiveShut = true;
                Notifier.Raise(NetEvents.Readable | NetEvents.ReadHangup | (_sendShut ? NetEvents.Hangup : NetEvents.None));
            }

            if (writing && !_sendShut)
            {
                _sendShut = true;
                Notifier.Raise(NetEvents.Writable | (_receiveShut ? NetEvents.Hangup : NetEvents.None));
                QueueFin();
            }

            return NetError.None;
        }
    }

    /// <summary>The application lets go. What was written is still sent; unread data or SO_LINGER with 0 make it a reset (RFC 9293, 3.6; RFC 2525, 2.17).</summary>
    public void Close()
    {
        using (_stack.Enter())
        {
            if (_orphaned)
            {
                return;
            }

            _orphaned = true;
            _receiveShut = _sendShut = true;
            bool unread = _receive.Length > 0 || !_ahead.IsEmpty;
            switch (_state)
            {
                case TcpState.Closed:
                case TcpState.Listen:
                case TcpState.SynSent:
                    DisconnectLocked();
                    Destroy();
                    return;
            }

            if (unread && _state != TcpState.TimeWait)
            {
                _protocol.Statistics.AbortOnClose++;
                AbortLocked();
                return;
            }

            if (Settings.Linger && Settings.LingerSeconds == 0)
            {
                _protocol.Statistics.AbortOnLinger++;
                AbortLocked();
                return;
            }

            _protocol.Orphans++;
            _countedOrphan = true;
            if (_protocol.Orphans > _protocol.Parameters.MaxOrphans || _protocol.IsOutOfMemory)
            {
                _protocol.Statistics.AbortOnMemory++;
                AbortLocked();
                return;
            }

            QueueFin();
            if (_state == TcpState.FinWait2)
            {
                StartFinWait2();
            }
        }
    }

    /// <summary>Ends the connection with a reset and gives everything back (a listener that closes, a sandbox that stops).</summary>
    public void Abort()
    {
        using (_stack.Enter())
        {
            _orphaned = true;
            if (_state == TcpState.Listen)
            {
                DisconnectLocked();
            }

            AbortLocked();
        }
    }

    internal void AbortLocked()
    {
        if (IsSynchronized || _state == TcpState.SynReceived)
        {
            SendReset();
        }

        _error = NetError.None;
        Finish();
    }

    private void DisconnectLocked()
    {
        switch (_state)
        {
            case TcpState.Listen:
                StopListening();
                break;
            case TcpState.Established or TcpState.CloseWait or TcpState.FinWait1 or TcpState.FinWait2 or TcpState.SynReceived:
                SendReset();
                _error = NetError.ConnectionReset;
                break;
            case TcpState.SynSent:
                _error = NetError.ConnectionReset;
                break;
        }

        Detach();
        ClearQueues();
        _receiveShut = _sendShut = false;
        _deferredConnect = false;
        RemoteAddress = IsV6 ? IpAddress.AnyV6 : IpAddress.AnyV4;
        RemotePort = 0;
        if (_isBound)
        {
            LocalAddress = _port.Address;
        }
        else
        {
            LocalAddress = RemoteAddress;
            LocalPort = 0;
            _stack.Ports.Release(_port);
        }
    }

    /// <summary>The application or close(2) has ended writing: a FIN goes out behind the data (RFC 9293, 3.10.4).</summary>
    private void QueueFin()
    {
        switch (_state)
        {
            case TcpState.SynReceived:
            case TcpState.Established:
                SetState(TcpState.FinWait1);
                break;
            case TcpState.CloseWait:
                SetState(TcpState.LastAck);
                break;
            default:
                return;
        }

        _finQueued = true;
        Push(CurrentMss(), forceSmall: true);
    }

    private void SetState(TcpState state)
    {
        if (_state == TcpState.Established && state == TcpState.Closed)
        {
            _protocol.Statistics.EstabResets++;
        }

        _state = state;
    }

    /// <summary>The peer reset the connection, or the state cannot go on: the error is kept for the application.</summary>
    private void Fail(NetError error)
    {
        if (_state == TcpState.SynSent || _state == TcpState.SynReceived)
        {
            _protocol.Statistics.AttemptFails++;
        }

        _error = error;
        Finish();
    }

    /// <summary>No connection any more (tcp_done): out of the table, timers stopped. What was received can still be read.</summary>
    private void Finish()
    {
        if (_state == TcpState.Closed)
        {
            if (_orphaned)
            {
                Destroy();
            }

            return;
        }

        bool wasFastOpen = _state == TcpState.SynReceived && _isFastOpen;
        SetState(TcpState.Closed);
        _receiveShut = _sendShut = true;
        Detach();
        if (wasFastOpen)
        {
            EndFastOpen(failed: true);
        }

        _flight.Clear();
        _send.Clear();
        ResetScoreboard();
        Recharge();
        Notifier.Raise(NetEvents.Readable | NetEvents.Writable | NetEvents.Hangup | NetEvents.ReadHangup | (_error != NetError.None ? NetEvents.Error : NetEvents.None));
        if (_orphaned)
        {
            Destroy();
        }
    }

    /// <summary>Leaves the tables and stops the timers.</summary>
    private void Detach()
    {
        _protocol.Flows.Remove(this);
        StopTimers();
        _state = TcpState.Closed;
    }

    private void ClearQueues()
    {
        _flight.Clear();
        _send.Clear();
        _receive.Clear();
        _ahead.Clear();
        ResetScoreboard();
        Recharge();
    }

    /// <summary>Gives everything back. Precondition: closed, and no application holds it.</summary>
    private void Destroy()
    {
        if (_destroyed)
        {
            return;
        }

        _destroyed = true;
        if (_countedOrphan)
        {
            _protocol.Orphans--;
        }

        ClearQueues();
        _stack.Ports.Release(_port);
        _route.Invalidate();
    }

    /// <summary>FIN-WAIT-2 without an application: the peer gets a limited time to end its side, in the small form of TIME-WAIT where that is all that is left to do.</summary>
    private void StartFinWait2()
    {
        if (Settings.Linger2 < 0)
        {
            AbortLocked();
            return;
        }

        long time = (Settings.Linger2 == 0 ? _protocol.Parameters.FinTimeout : Settings.Linger2) * Second;
        _stack.Schedule(_keepAliveTimer, _stack.Now + time);
    }

    /// <summary>Both sides have ended: the small TIME-WAIT takes over the addresses and the port.</summary>
    private void EnterTimeWait()
    {
        bool orphaned = _orphaned;
        TimeWait? rest = _protocol.TimeWaits.TryCreate(this);
        SetState(TcpState.Closed);
        _receiveShut = _sendShut = true;
        Detach();
        _flight.Clear();
        _send.Clear();
        _ahead.Clear();
        ResetScoreboard();
        Recharge();
        rest?.Start(_port);
        Notifier.Raise(NetEvents.Readable | NetEvents.Writable | NetEvents.Hangup | NetEvents.ReadHangup);
        if (orphaned)
        {
            Destroy();
        }
    }

    internal TimeWaitState StateForTimeWait() => new()
    {
        Local = LocalAddress,
        LocalPort = LocalPort,
        Remote = RemoteAddress,
        RemotePort = RemotePort,
        SndNxt = _sndNxt,
        RcvNxt = _rcvNxt,
        Window = _rcvWnd >> _rcvScale,
        TimestampsOk = _timestampsOk,
        TimestampOffset = _timestampOffset,
        TsRecent = _tsRecent,
        TsRecentAt = _tsRecentAt,
        Interface = _port.Interface,
        TrafficClass = Settings.TrafficClass,
    };
}
