using System;

namespace Runsc.NetStack.Transport.Tcp;

/// <summary>The receive window, and when acknowledgements go out (RFC 9293, 3.8.6; RFC 1122, 4.2.3.2).</summary>
internal sealed partial class TcpEndpoint
{
    /// <summary>The shortest and longest time an acknowledgement is held back.</summary>
    private const long DelayMinimum = 40 * Millisecond;

    // Segments that came at once and are acknowledged by who received them, whatever the window: the reader, who would do it, is the slower side of a stream.
    private const int BulkAck = 8;
    private const long DelayMaximum = 200 * Millisecond;

    /// <summary>Acknowledgements sent at once at the start and after a pause, so that a slow start is not slowed down.</summary>
    private const int MaximumQuickAcks = 16;

    // Next byte expected; edge and size of the window as last announced; how far the application has read.
    private SeqNum _rcvNxt;
    private SeqNum _rcvAcked;
    private int _rcvWnd;
    private SeqNum _copied;
    private SeqNum _irs;
    private byte _rcvScale;
    private int _windowClamp;

    // Payload to memory, in 1/256, as seen with full segments: what a byte of the buffer is worth in window.
    private int _scalingRatio = 128;
    private int _receiveMss = 536;

    private bool _ackPending;
    private bool _ackNow;
    private int _quickAcks;
    private bool _pingPong;
    private long _ackDelay;
    private long _lastReceived;
    private long _lastSent;
    private bool _sawPush;

    // The receiver's own measure of the round trip, in microseconds.
    private long _receiveRtt;
    private SeqNum _receiveRttEdge;
    private long _receiveRttStart = -1;

    /// <summary>The receive buffer holds all it may.</summary>
    private bool ReceiveIsFull => _receive.Footprint + _ahead.Footprint >= Settings.ReceiveBuffer;

    /// <summary>What of the announced window is left; 0 or more.</summary>
    private int CurrentReceiveWindow => Math.Max(0, _rcvAcked + _rcvWnd - _rcvNxt);

    private int WindowFrom(long space) => (int)Math.Min(space * _scalingRatio >> 8, 1 << 30);

    private long SpaceFor(long window) => (window << 8) / _scalingRatio;

    /// <summary>The window to announce: what the buffer can take, in steps that are worth a segment (silly-window avoidance).</summary>
    private int ComputeWindow()
    {
        int full = WindowFrom(Settings.ReceiveBuffer);
        int free = WindowFrom(Math.Max(0, (long)Settings.ReceiveBuffer - _receive.Footprint - _ahead.Footprint));
        int clamp = _windowClamp > 0 ? Math.Min(_windowClamp, full) : full;
        int mss = Math.Max(Math.Min(_receiveMss, clamp), 1);
        if (free < full / 2)
        {
            _quickAcks = 0;
            if (_protocol.IsUnderPressure)
            {
                free = Math.Min(free, 4 * _advertisedMss);
            }

            if (free < mss || free < full / 16)
            {
                return 0;
            }
        }

        free = Math.Min(free, clamp);
        if (_rcvScale > 0)
        {
            return (free + (1 << _rcvScale) - 1) >> _rcvScale << _rcvScale;
        }

        // Without a scale the window keeps its value until a whole segment of room has come or gone.
        int window = _rcvWnd;
        return window <= free - mss || window > free ? free / mss * mss : window;
    }

    /// <summary>The window field of a segment that goes out now. The right edge never moves back.</summary>
    private ushort AnnounceWindow()
    {
        int current = CurrentReceiveWindow;
        int window = ComputeWindow();
        if (window < current)
        {
            _protocol.Statistics.WantZeroWindowAdv += window == 0 ? 1 : 0;
            window = (current + (1 << _rcvScale) - 1) >> _rcvScale << _rcvScale;
        }

        window = Math.Min(window, 65535 << _rcvScale);
        if (_rcvWnd == 0 && window != 0)
        {
            _protocol.Statistics.FromZeroWindowAdv++;
        }
        else if (_rcvWnd != 0 && window == 0)
        {
            _protocol.Statistics.ToZeroWindowAdv++;
        }

        _rcvWnd = window;
        _rcvAcked = _rcvNxt;
        return (ushort)(window >> _rcvScale);
    }

    /// <summary>Data came in order or not: an acknowledgement is due, and the estimates of the peer's habits are brought up to date.</summary>
    private void OnDataReceived(in TcpSegment segment)
    {
        long now = _stack.Now;
        _ackPending = true;
        MeasureReceiveMss(segment);
        MeasureReceiveRtt(now);
        if (_ackDelay == 0)
        {
            RaiseQuickAcks(MaximumQuickAcks);
            _ackDelay = DelayMinimum;
        }
        else
        {
            long gap = now - _lastReceived;
            if (gap <= DelayMinimum / 2)
            {
                _ackDelay = (_ackDelay >> 1) + (DelayMinimum / 2);
            }
            else if (gap < _ackDelay)
            {
                _ackDelay = Math.Min((_ackDelay >> 1) + gap, _rto * Microsecond);
            }
            else if (gap > _rto * Microsecond)
            {
                // The peer was quiet: it probably slow-starts.
                RaiseQuickAcks(MaximumQuickAcks);
            }
        }

        _lastReceived = now;
        NoteCongestionMark(segment);
    }

    private void RaiseQuickAcks(int maximum)
    {
        int count = _rcvWnd / (2 * Math.Max(_receiveMss, 1));
        _quickAcks = Math.Max(_quickAcks, Math.Min(Math.Max(count, 2), maximum));
    }

    private void EnterQuickAck(int maximum)
    {
        RaiseQuickAcks(maximum);
        _pingPong = false;
        _ackDelay = DelayMinimum;
    }

    /// <summary>TCP_QUICKACK; it does not last, as on Linux.</summary>
    public void SetQuickAck(bool on)
    {
        using (_stack.Enter())
        {
            _pingPong = !on;
            if (on && _ackPending && _state is TcpState.Established or TcpState.CloseWait)
            {
                SendAck();
            }
        }
    }

    public bool IsQuickAck => !_pingPong;

    private void MeasureReceiveMss(in TcpSegment segment)
    {
        int length = segment.Packet.GsoSize > 0 ? Math.Min(segment.Packet.GsoSize, segment.Length) : segment.Length;
        if (length >= _receiveMss)
        {
            _receiveMss = Math.Max(Math.Min(length, _advertisedMss), 1);
            int ratio = (int)Math.Clamp(((long)segment.Length << 8) / Math.Max(segment.Packet.Footprint, 1), 16, 255);
            _scalingRatio = ratio;
        }
        else if (length >= 536 && (segment.Flags & Wire.TcpFlags.Psh) == 0 && length >= _receiveMss / 2)
        {
            // The path MTU fell: full segments are smaller now.
            _receiveMss = length;
        }
    }

    /// <summary>Without timestamps of use: a round trip is the time in which a window's worth of data comes.</summary>
    private void MeasureReceiveRtt(long now)
    {
        if (_receiveRttStart >= 0)
        {
            if (_rcvNxt < _receiveRttEdge)
            {
                return;
            }

            SampleReceiveRtt((now - _receiveRttStart) / Microsecond, isUpperBound: true);
        }

        _receiveRttEdge = _rcvNxt + _rcvWnd;
        _receiveRttStart = now;
    }

    private void SampleReceiveRtt(long sample, bool isUpperBound)
    {
        sample = Math.Max(sample, 1);
        if (_receiveRtt == 0)
        {
            _receiveRtt = sample;
        }
        else if (isUpperBound)
        {
            _receiveRtt = Math.Min(_receiveRtt, sample);
        }
        else
        {
            _receiveRtt += (sample - _receiveRtt) / 8;
        }
    }

    /// <summary>After a segment was processed: acknowledge now, later, or not.</summary>
    private void CheckAck()
    {
        if (!_ackPending)
        {
            return;
        }

        int unacknowledged = _rcvNxt - _rcvAcked;
        if (_ackNow
            || (unacknowledged > _receiveMss && ComputeWindow() >= _rcvWnd)
            || unacknowledged > BulkAck * _receiveMss
            || (_quickAcks > 0 && !_pingPong)
            || !_ahead.IsEmpty)
        {
            SendAck();
        }
        else
        {
            DelayAck();
        }
    }

    private void DelayAck()
    {
        long delay = _ackDelay;
        if (delay > DelayMinimum)
        {
            long maximum = _pingPong || _sawPush ? DelayMaximum : 500 * Millisecond;
            if (_rtt.HasSample)
            {
                maximum = Math.Min(maximum, Math.Max(_rtt.Smoothed * Microsecond, DelayMinimum));
            }

            delay = Math.Min(delay, maximum);
        }

        delay = Math.Max(delay, DelayMinimum);
        long deadline = _stack.Now + delay;
        if (!_ackTimer.IsSet || deadline < _ackTimer.Deadline)
        {
            _stack.Schedule(_ackTimer, deadline);
        }
    }

    /// <summary>The application has read: an acknowledgement that waited, or a window that has opened, may be worth a segment (tcp_cleanup_rbuf).</summary>
    private void AckAfterRead(int copied)
    {
        if (!MayReceive)
        {
            return;
        }

        if (_ackPending
            && (_rcvNxt - _rcvAcked > _receiveMss || (copied > 0 && _receive.Length == 0 && _sawPush && !_pingPong)))
        {
            SendAck();
            return;
        }

        if (copied > 0 && !_receiveShut)
        {
            int current = CurrentReceiveWindow;
            if (2L * current <= WindowFrom(Settings.ReceiveBuffer))
            {
                int window = ComputeWindow();
                if (window > 0 && window >= 2L * current)
                {
                    SendAck();
                }
            }
        }
    }

    private void OnAckSent()
    {
        if (_quickAcks > 0)
        {
            _quickAcks--;
            if (_quickAcks == 0)
            {
                _ackDelay = DelayMinimum;
            }
        }

        _ackPending = false;
        _ackNow = false;
        _sawPush = false;
        if (_ackTimer.IsSet)
        {
            _stack.Cancel(_ackTimer);
        }
    }

    private void OnAckTimer()
    {
        if (!_ackPending || _state is TcpState.Closed or TcpState.Listen)
        {
            return;
        }

        if (_pingPong)
        {
            // The reply that was to carry it did not come.
            _pingPong = false;
            _ackDelay = DelayMinimum;
        }
        else
        {
            _ackDelay = Math.Min(_ackDelay << 1, _rto * Microsecond);
        }

        _protocol.Statistics.DelayedAcks++;
        SendAck();
    }
}
