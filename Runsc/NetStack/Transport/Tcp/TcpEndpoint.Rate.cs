using System;
using System.Diagnostics.CodeAnalysis;
using Runsc.NetStack.Core;
using Runsc.NetStack.Transport.Tcp.Congestion;

namespace Runsc.NetStack.Transport.Tcp;

/// <summary>Samples of the delivery rate (draft-cheng-iccrg-delivery-rate-estimation), and pacing for algorithms that want it.</summary>
internal sealed partial class TcpEndpoint
{
    // Packets delivered and believed lost in all, when the last one was delivered, and when the newest delivered one was sent.
    private long _delivered;
    private long _lost;
    private long _deliveredAt;
    private long _firstSentAt;

    // Until this many are delivered, what is sent is sent at the application's pace; 0 if it is not.
    private long _appLimited;

    // Of the acknowledgement that is being processed.
    private RateSample _rate;
    private long _ratePriorAt;
    private long _rateSendInterval;
    private SeqNum _rateEnd;

    // The last sample that counts, for TCP_INFO: packets in microseconds.
    private int _shownDelivered;
    private long _shownInterval;
    private bool _shownAppLimited;

    // See UseCongestion.
    private bool _isRateBased;

    // Bytes a second, 0 for no pacing; the application's limit; when the next packet may go.
    private long _pacingRate;
    private long _maximumPacing;
    private long _nextSendAt;
    private PaceTimer? _paceTimer;

    [MemberNotNull(nameof(_congestion))]
    private void UseCongestion(CongestionControl congestion)
    {
        _congestion = congestion;
        _isRateBased = congestion.IsRateBased;
        UpdatePacing();
    }

    /// <summary>The connection stands.</summary>
    private void BeginCongestion()
    {
        _congestion.OnEstablished(_rtt.HasSample ? _rtt.Smoothed : 0, _rtt.MinimumRtt, _mssCache, _stack.Now);
        UpdatePacing();
    }

    private void UpdatePacing()
    {
        long rate = _congestion.PacingRate;
        _pacingRate = rate == 0 || (_maximumPacing != 0 && _maximumPacing < rate) ? _maximumPacing : rate;
    }

    /// <summary>SO_MAX_PACING_RATE: bytes a second; 0 for no limit.</summary>
    public void SetMaximumPacing(long rate)
    {
        using (_stack.Enter())
        {
            _maximumPacing = rate;
            UpdatePacing();
        }
    }

    private void BeginRate()
    {
        _ratePriorAt = 0;
        _rate.Rtt = -1;
        _rate.IsAckDelayed = false;
        _rate.PriorInFlight = InFlight;
    }

    /// <summary>A segment is delivered: the newest one of an acknowledgement makes the sample.</summary>
    private void CountDelivered(TxSegment segment, int count, long now)
    {
        _delivered += count;
        _deliveredAt = now;
        if (_ratePriorAt == 0 || IsSentAfter(segment.SentAt, segment.End, _firstSentAt, _rateEnd))
        {
            _ratePriorAt = segment.DeliveredAt;
            _rate.PriorDelivered = segment.Delivered;
            _rate.IsAppLimited = segment.IsAppLimited;
            _rateSendInterval = segment.SentAt - segment.FirstSentAt;
            _rateEnd = segment.End;
            _firstSentAt = segment.SentAt;
        }
    }

    /// <summary>The sample of an acknowledgement.</summary>
    private void FinishRate(int delivered, int lost)
    {
        if (_appLimited != 0 && _delivered > _appLimited)
        {
            _appLimited = 0;
        }

        _rate.Interval = 0;
        if (_ratePriorAt != 0)
        {
            _rate.Delivered = (int)(_delivered - _rate.PriorDelivered);
            long interval = Math.Max(_rateSendInterval, _stack.Now - _ratePriorAt) / Microsecond;

            // Faster than any round trip was: times of retransmissions, or of acknowledgements that came in a heap.
            if (interval > 0 && interval >= Math.Min(_rtt.MinimumRtt, long.MaxValue / 2))
            {
                _rate.Interval = interval;
                if (!_rate.IsAppLimited || _rate.Delivered * _shownInterval >= _shownDelivered * interval)
                {
                    (_shownDelivered, _shownInterval, _shownAppLimited) = (_rate.Delivered, interval, _rate.IsAppLimited);
                }
            }
        }

        if (!_isRateBased)
        {
            return;
        }

        _rate.Acked = delivered;
        _rate.Lost = lost;
        _rate.InFlight = InFlight;
        _rate.TotalDelivered = _delivered;
        _rate.SmoothedRtt = _rtt.HasSample ? _rtt.Smoothed : 0;
        _rate.Mss = _mssCache;
        _rate.State = _congestionState;
        _rate.Now = _stack.Now;
        if (_congestion.HoldsBack)
        {
            _appLimited = Math.Max(1, _delivered + InFlight);
        }
    }

    /// <summary>Before a write: had the application left less than a segment to send, though more could go?</summary>
    private void CheckAppLimited()
    {
        if (_send.End - _sndNxt < _mssCache && _lostOut <= _retransOut && InFlight < _window.Size)
        {
            _appLimited = Math.Max(1, _delivered + InFlight);
        }
    }

    /// <summary>A packet with data went out.</summary>
    private void NotePaced(int bytes)
    {
        long now = _stack.Now;
        long time = (long)(bytes * 1e9 / _pacingRate);

        // Time that passed unused shortens the next wait, by half of it at most.
        long credit = Math.Max(0, now - _nextSendAt);
        _nextSendAt = Math.Max(_nextSendAt, now) + time - Math.Min(time / 2, credit);
    }

    /// <summary>Nothing may go out now; the timer goes on when it may.</summary>
    private bool IsPaced()
    {
        if (_nextSendAt <= _stack.Now)
        {
            return false;
        }

        _paceTimer ??= new PaceTimer(this);
        if (!_paceTimer.IsSet)
        {
            _stack.Schedule(_paceTimer, _nextSendAt);
        }

        return true;
    }

    /// <summary>Packets that go out at once: a millisecond's worth, and not less than two unless the rate is very low.</summary>
    private int PaceQuantum => Math.Max((int)Math.Min((_pacingRate >> 10) / Math.Max(_mssCache, 1), 44), _pacingRate < 150_000 ? 1 : 2);

    private void StopPacing()
    {
        if (_paceTimer is { IsSet: true } timer)
        {
            _stack.Cancel(timer);
        }
    }

    private void OnPaceTimer()
    {
        if (!CanSendData)
        {
            return;
        }

        if (_lostOut > _retransOut)
        {
            RetransmitLost();
        }

        Push(CurrentMss());
        Recharge();
    }

    private sealed class PaceTimer(TcpEndpoint endpoint) : NetTimer
    {
        public override void Fire() => endpoint.OnPaceTimer();
    }
}
