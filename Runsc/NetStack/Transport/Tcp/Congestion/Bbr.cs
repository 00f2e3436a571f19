using System;

namespace Runsc.NetStack.Transport.Tcp.Congestion;

/// <summary>BBR, version 1 (draft-cardwell-iccrg-bbr-congestion-control-00): sends at the rate that the path delivers, measured, and keeps one to two of its pipes' worth of data out.</summary>
/// <remarks>
/// Startup → Drain: the rate has not grown by a quarter for three round trips. Drain → ProbeBandwidth: no more is out than the pipe holds. Any → ProbeRtt: the smallest round trip was
/// not seen for ten seconds; ProbeRtt → ProbeBandwidth, or Startup if the pipe was never full: after 200 ms and a round trip with four segments out. Loss alone changes
/// the model not at all; the window follows delivery for the first round trip of a recovery.
/// Rates are segments a microsecond inside, bytes a second outside.
/// </remarks>
internal sealed class Bbr(CongestionWindow window) : CongestionControl(window)
{
    /// <summary>2 / ln 2, and what undoes it, in Linux's 256ths.</summary>
    private const double HighGain = 739 / 256.0;
    private const double DrainGain = 88 / 256.0;

    private const double WindowGain = 2;
    private const int MinimumWindow = 4;
    private const int BandwidthRounds = 10;
    private const double FullGrowth = 1.25;
    private const int FullRounds = 3;
    private const long MinimumRttLife = 10_000_000_000;
    private const long ProbeRttTime = 200_000_000;
    private const long UnknownRtt = 1000;

    /// <summary>A little below the estimate, so that a queue that there is gets shorter.</summary>
    private const double PacingMargin = 0.99;

    private static readonly double[] s_cycle = [1.25, 0.75, 1, 1, 1, 1, 1, 1];

    private BbrMode _mode = BbrMode.Startup;

    // 0 until the first acknowledgement, as Linux shows them.
    private double _pacingGain;
    private double _windowGain;
    private long _pacingRate;
    private bool _hasSeenRtt;
    private int _mss;

    // The model: the rate over the last rounds, and the smallest round trip (microseconds) with when it was seen (nanoseconds).
    private WindowedMaximum _bandwidth;
    private long _minimumRtt = long.MaxValue;
    private long _minimumRttAt;

    // A round ends when something that was sent after its start is delivered.
    private long _round;
    private long _roundEnd;
    private bool _roundStarts;

    private double _fullBandwidth;
    private int _fullCount;
    private bool _isFull;

    private int _cycle;
    private long _cycleAt;

    private long _probeRttEnd;
    private bool _probeRttRoundDone;
    private bool _restartsIdle;

    // Recovery: the state before, the window to go back to, and whether only what was delivered may be replaced.
    private CongestionState _priorState;
    private int _priorWindow;
    private bool _conserves;

    public override string Name => "bbr";

    public override bool IsRateBased => true;

    public override long PacingRate => _pacingRate;

    public override bool HoldsBack => _mode == BbrMode.ProbeRtt;

    public BbrMode Mode => _mode;

    /// <summary>The estimate in bytes a second.</summary>
    public long Bandwidth => (long)(_bandwidth.Value * _mss * 1e6);

    /// <summary>Microseconds; long.MaxValue while unknown.</summary>
    public long MinimumRtt => _minimumRtt;

    public double PacingGain => _pacingGain;

    public double CurrentWindowGain => _windowGain;

    public override void OnEstablished(long smoothedRtt, long minimumRtt, int mss, long now)
    {
        _minimumRtt = minimumRtt;
        _mss = mss;
        _minimumRttAt = now;
        StartPacing(smoothedRtt);
    }

    public override int ThresholdAfterLoss()
    {
        SaveWindow();
        return Window.Threshold;
    }

    public override void Grow(int acked, long now)
    {
        // OnRate sets the window.
    }

    public override int WindowAfterUndo()
    {
        (_fullBandwidth, _fullCount) = (0, 0);
        return Window.Size;
    }

    public override void OnTimeout()
    {
        _priorState = CongestionState.Loss;
        _fullBandwidth = 0;
    }

    public override void OnRestart(long idle, long now)
    {
        if (!WasAppLimited)
        {
            return;
        }

        // What is sent after a pause fills no queue at the estimated rate.
        _restartsIdle = true;
        if (_mode == BbrMode.ProbeBandwidth)
        {
            SetPacingRate(1);
        }
        else if (_mode == BbrMode.ProbeRtt)
        {
            TryLeaveProbeRtt(now);
        }
    }

    public override void OnRate(in RateSample sample)
    {
        _mss = sample.Mss;
        UpdateBandwidth(sample);
        UpdateCycle(sample);
        CheckFull(sample);
        CheckDrain(sample);
        UpdateMinimumRtt(sample);
        (_pacingGain, _windowGain) = _mode switch
        {
            BbrMode.Startup => (HighGain, HighGain),
            BbrMode.Drain => (DrainGain, HighGain),
            BbrMode.ProbeBandwidth => (s_cycle[_cycle], WindowGain),
            _ => (1.0, 1.0),
        };
        if (!_hasSeenRtt)
        {
            StartPacing(sample.SmoothedRtt);
        }

        SetPacingRate(_pacingGain);
        SetWindow(sample);
    }

    /// <summary>Before there is a sample: the first window in a round trip, as far as that is known.</summary>
    private void StartPacing(long smoothedRtt)
    {
        _hasSeenRtt = smoothedRtt > 0;
        _pacingRate = ToBytes((double)Window.Size / (_hasSeenRtt ? smoothedRtt : UnknownRtt) * HighGain);
    }

    private long ToBytes(double segmentsPerMicrosecond) => Math.Max(1, (long)(segmentsPerMicrosecond * _mss * 1e6 * PacingMargin));

    private void SetPacingRate(double gain)
    {
        long rate = ToBytes(_bandwidth.Value * gain);
        if (_bandwidth.Value > 0 && (_isFull || rate > _pacingRate))
        {
            _pacingRate = rate;
        }
    }

    private void UpdateBandwidth(in RateSample sample)
    {
        _roundStarts = false;
        if (sample.Interval <= 0 || sample.Delivered < 0)
        {
            return;
        }

        if (sample.PriorDelivered >= _roundEnd)
        {
            _roundEnd = sample.TotalDelivered;
            _round++;
            _roundStarts = true;
            _conserves = false;
        }

        double rate = (double)sample.Delivered / sample.Interval;
        if (!sample.IsAppLimited || rate >= _bandwidth.Value)
        {
            _bandwidth.Add(BandwidthRounds, _round, rate);
        }
    }

    private void UpdateCycle(in RateSample sample)
    {
        if (_mode != BbrMode.ProbeBandwidth)
        {
            return;
        }

        double gain = s_cycle[_cycle];
        bool isLong = sample.Now - _cycleAt > Math.Min(_minimumRtt, long.MaxValue / 1000) * 1000;
        bool isDone = gain switch
        {
            // Up until the larger amount is out, or something is lost for it; down until the queue is gone.
            > 1 => isLong && (sample.Lost > 0 || sample.PriorInFlight >= Pipe(gain)),
            < 1 => isLong || sample.PriorInFlight <= Pipe(1),
            _ => isLong,
        };
        if (isDone)
        {
            _cycle = (_cycle + 1) % s_cycle.Length;
            _cycleAt = sample.Now;
        }
    }

    private void CheckFull(in RateSample sample)
    {
        if (_isFull || !_roundStarts || sample.IsAppLimited)
        {
            return;
        }

        if (_bandwidth.Value >= _fullBandwidth * FullGrowth)
        {
            (_fullBandwidth, _fullCount) = (_bandwidth.Value, 0);
            return;
        }

        _isFull = ++_fullCount >= FullRounds;
    }

    private void CheckDrain(in RateSample sample)
    {
        if (_mode == BbrMode.Startup && _isFull)
        {
            _mode = BbrMode.Drain;
            Window.Threshold = Pipe(1);
        }

        if (_mode == BbrMode.Drain && sample.InFlight <= Pipe(1))
        {
            EnterProbeBandwidth(sample.Now);
        }
    }

    private void EnterProbeBandwidth(long now)
    {
        _mode = BbrMode.ProbeBandwidth;

        // Anywhere but at the way down, so that flows that began together do not probe together.
        int start = (int)(now / 1000 % (s_cycle.Length - 1));
        _cycle = start == 0 ? 0 : start + 1;
        _cycleAt = now;
    }

    private void UpdateMinimumRtt(in RateSample sample)
    {
        bool isOld = sample.Now - _minimumRttAt > MinimumRttLife;
        if (sample.Rtt >= 0 && (sample.Rtt <= _minimumRtt || (isOld && !sample.IsAckDelayed)))
        {
            _minimumRtt = Math.Max(sample.Rtt, 1);
            _minimumRttAt = sample.Now;
        }

        if (isOld && !_restartsIdle && _mode != BbrMode.ProbeRtt)
        {
            SaveWindow();
            _mode = BbrMode.ProbeRtt;
            _probeRttEnd = 0;
        }

        if (_mode == BbrMode.ProbeRtt)
        {
            if (_probeRttEnd == 0)
            {
                if (sample.InFlight <= MinimumWindow)
                {
                    _probeRttEnd = sample.Now + ProbeRttTime;
                    _probeRttRoundDone = false;
                    _roundEnd = sample.TotalDelivered;
                }
            }
            else
            {
                _probeRttRoundDone |= _roundStarts;
                if (_probeRttRoundDone)
                {
                    TryLeaveProbeRtt(sample.Now);
                }
            }
        }

        if (sample.Acked > 0)
        {
            _restartsIdle = false;
        }
    }

    private void TryLeaveProbeRtt(long now)
    {
        if (_probeRttEnd == 0 || now <= _probeRttEnd)
        {
            return;
        }

        _minimumRttAt = now;
        Window.Size = Math.Max(Window.Size, _priorWindow);
        if (_isFull)
        {
            EnterProbeBandwidth(now);
        }
        else
        {
            _mode = BbrMode.Startup;
        }
    }

    /// <summary>Segments that fill the path so many times, without what offload adds.</summary>
    private int Pipe(double gain) => _minimumRtt == long.MaxValue || _bandwidth.Value == 0
        ? CongestionWindow.Initial
        : (int)Math.Min(Math.Ceiling(_bandwidth.Value * _minimumRtt * gain), 1 << 24);

    /// <summary>With room for a few large packets at the sender, the path and the receiver.</summary>
    private int TargetWindow()
    {
        int quantum = (int)Math.Clamp((_pacingRate >> 10) / Math.Max(_mss, 1), 2, 127);
        int target = Pipe(_windowGain) + (3 * quantum);
        target = (target + 1) & ~1;
        return _mode == BbrMode.ProbeBandwidth && _cycle == 0 ? target + 2 : target;
    }

    private void SetWindow(in RateSample sample)
    {
        int size = Window.Size;
        if (sample.Acked > 0 && !Recovers(sample, ref size))
        {
            int target = TargetWindow();
            if (_isFull)
            {
                size = Math.Min(size + sample.Acked, target);
            }
            else if (size < target || sample.TotalDelivered < CongestionWindow.Initial)
            {
                size += sample.Acked;
            }

            size = Math.Max(size, MinimumWindow);
        }

        size = Math.Min(size, Window.Clamp);
        Window.Size = _mode == BbrMode.ProbeRtt ? Math.Min(size, MinimumWindow) : size;
    }

    /// <summary>In the first round of a recovery a segment goes out for each that is delivered; then the window is what it was. True if that is all.</summary>
    private bool Recovers(in RateSample sample, ref int size)
    {
        if (sample.Lost > 0)
        {
            size = Math.Max(size - sample.Lost, 1);
        }

        CongestionState state = sample.State;
        if (state == CongestionState.Recovery && _priorState != CongestionState.Recovery)
        {
            _conserves = true;
            _roundEnd = sample.TotalDelivered;
            size = sample.InFlight + sample.Acked;
        }
        else if (_priorState >= CongestionState.Recovery && state < CongestionState.Recovery)
        {
            size = Math.Max(size, _priorWindow);
            _conserves = false;
        }

        _priorState = state;
        if (_conserves)
        {
            size = Math.Max(size, sample.InFlight + sample.Acked);
        }

        return _conserves;
    }

    private void SaveWindow() =>
        _priorWindow = _priorState < CongestionState.Recovery && _mode != BbrMode.ProbeRtt ? Window.Size : Math.Max(_priorWindow, Window.Size);
}
