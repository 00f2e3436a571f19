using System;
using Runsc.NetStack.Core;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Transport.Tcp;

/// <summary>Timers: retransmission (RFC 6298), window probes, keep-alive (RFC 1122, 4.2.3.6), user time-out (RFC 5482).</summary>
internal sealed partial class TcpEndpoint
{
    // Microseconds.
    internal const long InitialRto = 1_000_000;
    internal const long MinimumRto = 200_000;
    internal const long MaximumRto = 120_000_000;

    private readonly TransmitTimer _transmitTimer;
    private readonly AckTimer _ackTimer;
    private readonly KeepAliveTimer _keepAliveTimer;

    private PendingTimer _pendingTimer;
    private RttEstimator _rtt;

    /// <summary>The current time-out in microseconds, backed off.</summary>
    private long _rto = InitialRto;

    private int _backoff;

    // Consecutive time-outs without progress; probes of a closed window or a quiet peer without an answer.
    private int _retransmits;
    private int _probesOut;
    private long _probesStart;

    /// <summary>Time-outs after which the connection is given up, and the time after which it is.</summary>
    private int RetryLimit
    {
        get
        {
            TcpParameters parameters = _protocol.Parameters;
            if (_orphaned)
            {
                return parameters.OrphanRetries == 0 ? 8 : parameters.OrphanRetries;
            }

            return parameters.Retries2;
        }
    }

    private void SetTimer(PendingTimer kind, long deadline)
    {
        _pendingTimer = kind;
        _stack.Schedule(_transmitTimer, deadline);
    }

    private void StopTransmitTimer()
    {
        _pendingTimer = PendingTimer.None;
        if (_transmitTimer.IsSet)
        {
            _stack.Cancel(_transmitTimer);
        }
    }

    private void StopTimers()
    {
        StopTransmitTimer();
        _stack.Cancel(_ackTimer);
        _stack.Cancel(_keepAliveTimer);
        StopPacing();
        _ackPending = false;
    }

    /// <summary>Sets the retransmission timer anew, or stops it when nothing is out.</summary>
    private void RearmRetransmit()
    {
        if (_packetsOut == 0)
        {
            StopTransmitTimer();
            return;
        }

        long now = _stack.Now;
        long deadline = now + (_rto * Microsecond);
        if (_pendingTimer is PendingTimer.LossProbe or PendingTimer.Reordering && _flight.First is { } head)
        {
            // The probe's time counts: the time-out is that of the oldest segment.
            deadline = Math.Max(head.SentAt + (_rto * Microsecond), now + 1);
        }

        SetTimer(PendingTimer.Retransmit, deadline);
    }

    private void ArmWindowProbe()
    {
        if (_pendingTimer == PendingTimer.None || !_transmitTimer.IsSet)
        {
            long when = Math.Min(Math.Max(_rtt.Rto, MinimumRto) << Math.Min(_backoff, 20), MaximumRto);
            SetTimer(PendingTimer.WindowProbe, _stack.Now + (when * Microsecond));
        }
    }

    private void OnTransmitTimer()
    {
        PendingTimer kind = _pendingTimer;
        _pendingTimer = PendingTimer.None;
        if (_state is TcpState.Closed or TcpState.Listen)
        {
            return;
        }

        switch (kind)
        {
            case PendingTimer.Retransmit:
                OnRetransmitTimeout();
                break;
            case PendingTimer.LossProbe:
                SendLossProbe();
                break;
            case PendingTimer.Reordering:
                OnReorderingTimeout();
                break;
            case PendingTimer.WindowProbe:
                OnWindowProbe();
                break;
        }

        Recharge();
    }

    private void OnRetransmitTimeout()
    {
        if (_flight.First is not { } head)
        {
            return;
        }

        _tlpHighSeq = default;
        _tlpIsOut = false;
        long now = _stack.Now;
        if (_sndWnd == 0 && !_orphaned && IsSynchronized)
        {
            // The window was closed on data that are out: keep probing as long as the peer answers.
            if (now - _lastAckAt > MaximumRto * Microsecond && _lastAckAt != 0)
            {
                GiveUp();
                return;
            }

            EnterLoss();
            Retransmit(head, 1);
        }
        else
        {
            _protocol.Statistics.Timeouts++;
            if (HasTimedOut(now))
            {
                return;
            }

            EnterLoss();
            _retransmits++;
            if (_flight.First is { } first && !Retransmit(first, 1) && _retransmits > 1)
            {
                // Not sent for want of memory: that is no sign of congestion.
                _retransmits--;
                SetTimer(PendingTimer.Retransmit, now + Math.Min(_rto * Microsecond, 500 * Millisecond));
                return;
            }
        }

        _backoff = Math.Min(_backoff + 1, 30);
        _rto = Math.Min(_rto << 1, MaximumRto);
        long deadline = now + (_rto * Microsecond);
        SetTimer(PendingTimer.Retransmit, ClampToUserTimeout(deadline, _retransStamp));
        if (_retransmits > _protocol.Parameters.Retries1)
        {
            _route.Invalidate();
        }
    }

    /// <summary>Too many time-outs: the connection ends. Before that, suspects the path MTU.</summary>
    private bool HasTimedOut(long now)
    {
        if (_state is TcpState.SynSent or TcpState.SynReceived)
        {
            int limit = _state == TcpState.SynSent
                ? (Settings.SynRetries != 0 ? Settings.SynRetries : _protocol.Parameters.SynRetries)
                : _protocol.Parameters.SynAckRetries;
            if (_retransmits >= limit || IsPastUserTimeout(now))
            {
                GiveUp();
                return true;
            }

            if (_state == TcpState.SynSent && _retransmits > 0)
            {
                AbandonFastOpen();
            }

            return false;
        }

        if (_retransmits >= _protocol.Parameters.Retries1)
        {
            ShrinkForBlackHole();
        }

        bool expired = Settings.UserTimeout != 0
            ? IsPastUserTimeout(now)
            : _retransStamp != 0 && _retransmits > 0 && now - _retransStamp >= BackedOffTime(RetryLimit);
        if (expired)
        {
            GiveUp();
        }

        return expired;
    }

    /// <summary>The time that a number of time-outs take from the smallest one on: the limit is a time, so a growing round trip does not change it.</summary>
    private static long BackedOffTime(int retries)
    {
        const int Doublings = 9;
        long total = retries <= Doublings
            ? ((2L << retries) - 1) * MinimumRto
            : (((2L << Doublings) - 1) * MinimumRto) + ((retries - Doublings) * MaximumRto);
        return total * Microsecond;
    }

    private bool IsPastUserTimeout(long now) =>
        Settings.UserTimeout != 0 && _retransStamp != 0 && now - _retransStamp >= Settings.UserTimeout * Millisecond;

    private long ClampToUserTimeout(long deadline, long start) =>
        Settings.UserTimeout == 0 || start == 0 ? deadline : Math.Max(Math.Min(deadline, start + (Settings.UserTimeout * Millisecond)), _stack.Now + Millisecond);

    private void GiveUp()
    {
        _protocol.Statistics.AbortOnTimeout++;
        Fail(_softError != NetError.None ? _softError : NetError.TimedOut);
    }

    /// <summary>The peer's window is closed, or something small was held: send a bit to make it speak (RFC 9293, 3.8.6.1).</summary>
    private void OnWindowProbe()
    {
        if (_packetsOut > 0 || !HasUnsent)
        {
            _probesOut = 0;
            return;
        }

        long now = _stack.Now;
        if (_probesOut == 0)
        {
            _probesStart = now;
        }
        else if (Settings.UserTimeout != 0 && now - _probesStart >= Settings.UserTimeout * Millisecond)
        {
            GiveUp();
            return;
        }

        if (_probesOut >= RetryLimit)
        {
            GiveUp();
            return;
        }

        if (_orphaned && _protocol.IsOutOfMemory)
        {
            AbortLocked();
            return;
        }

        WakeUp();
        if (_packetsOut > 0 || !HasUnsent)
        {
            _probesOut = 0;
            _backoff = 0;
            return;
        }

        _probesOut++;
        if (_backoff < _protocol.Parameters.Retries2)
        {
            _backoff++;
        }

        long when = Math.Min(Math.Max(_rtt.Rto, MinimumRto) << Math.Min(_backoff, 20), MaximumRto);
        SetTimer(PendingTimer.WindowProbe, ClampToUserTimeout(now + (when * Microsecond), _probesStart));
    }

    /// <summary>Sends held data if the window has room for some, else an old byte that must be answered.</summary>
    private void WakeUp()
    {
        if (HasUnsent && _sndNxt < WindowEnd)
        {
            int mss = CurrentMss();
            int length = Math.Min(Math.Min(_send.End - _sndNxt, WindowEnd - _sndNxt), mss);
            TransmitNew(length, mss);
            return;
        }

        SendProbe();
    }

    /// <summary>A segment without data, one below what the peer has acknowledged: it answers with its window.</summary>
    private void SendProbe()
    {
        _protocol.Statistics.WinProbe++;
        Emit(_sndUna - 1, 0, TcpFlags.Ack, 1, isNew: false);
    }

    /// <summary>SO_KEEPALIVE.</summary>
    public void SetKeepAlive(bool on)
    {
        using (_stack.Enter())
        {
            Settings.KeepAlive = on;
            if (!on && !(_orphaned && _state == TcpState.FinWait2))
            {
                _stack.Cancel(_keepAliveTimer);
            }
            else if (on && IsSynchronized)
            {
                _stack.Schedule(_keepAliveTimer, _stack.Now + KeepAliveIdle);
            }
        }
    }

    /// <summary>After TCP_KEEPIDLE or TCP_KEEPINTVL were changed.</summary>
    public void RestartKeepAlive()
    {
        using (_stack.Enter())
        {
            if (Settings.KeepAlive && IsSynchronized)
            {
                _stack.Schedule(_keepAliveTimer, Math.Max(_stack.Now, LastActivity + KeepAliveIdle));
            }
        }
    }

    private long KeepAliveIdle => (Settings.KeepAliveTime != 0 ? Settings.KeepAliveTime : _protocol.Parameters.KeepAliveTime) * Second;

    private long KeepAliveInterval => (Settings.KeepAliveInterval != 0 ? Settings.KeepAliveInterval : _protocol.Parameters.KeepAliveInterval) * Second;

    private long LastActivity => Math.Max(_lastReceived, _lastAckAt);

    private void OnKeepAliveTimer()
    {
        if (_state == TcpState.FinWait2 && _orphaned)
        {
            // The peer had its time.
            Finish();
            return;
        }

        if (!Settings.KeepAlive || _state is TcpState.Closed or TcpState.SynSent or TcpState.Listen)
        {
            return;
        }

        long now = _stack.Now;
        if (_packetsOut > 0 || HasUnsent)
        {
            _stack.Schedule(_keepAliveTimer, now + KeepAliveIdle);
            return;
        }

        long elapsed = now - LastActivity;
        if (elapsed < KeepAliveIdle)
        {
            _stack.Schedule(_keepAliveTimer, LastActivity + KeepAliveIdle);
            return;
        }

        int limit = Settings.KeepAliveProbes != 0 ? Settings.KeepAliveProbes : _protocol.Parameters.KeepAliveProbes;
        bool dead = Settings.UserTimeout != 0
            ? elapsed >= Settings.UserTimeout * Millisecond && _probesOut > 0
            : _probesOut >= limit;
        if (dead)
        {
            SendReset();
            GiveUp();
            return;
        }

        _probesOut++;
        _protocol.Statistics.KeepAlive++;
        SendProbe();
        _stack.Schedule(_keepAliveTimer, now + KeepAliveInterval);
    }

    private sealed class TransmitTimer(TcpEndpoint endpoint) : NetTimer
    {
        public override void Fire() => endpoint.OnTransmitTimer();
    }

    private sealed class AckTimer(TcpEndpoint endpoint) : NetTimer
    {
        public override void Fire() => endpoint.OnAckTimer();
    }

    private sealed class KeepAliveTimer(TcpEndpoint endpoint) : NetTimer
    {
        public override void Fire() => endpoint.OnKeepAliveTimer();
    }
}
