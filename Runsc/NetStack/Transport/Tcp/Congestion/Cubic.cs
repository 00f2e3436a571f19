using System;

namespace Runsc.NetStack.Transport.Tcp.Congestion;

/// <summary>CUBIC (RFC 9438) with the two signs of HyStart that end slow start before a loss does.</summary>
internal sealed class Cubic(CongestionWindow window) : CongestionControl(window)
{
    private const double Beta = 717.0 / 1024;
    private const double C = 0.4;

    // Below this window HyStart does not look.
    private const int HyStartWindow = 16;
    private const int HyStartSamples = 8;
    private const long HyStartAckGap = 2_000_000;
    private const long HyStartDelayMinimum = 4_000;
    private const long HyStartDelayMaximum = 16_000;

    // Windows are in segments, times in nanoseconds (epoch) or microseconds (round trips).
    private double _lastMaximum;
    private double _origin;
    private double _renoEstimate;
    private double _k;
    private long _epoch = -1;
    private long _minimumDelay = long.MaxValue;

    private SeqNum _roundEnd;
    private long _roundStart = -1;
    private long _lastAck;
    private long _roundRtt;
    private int _roundSamples;
    private bool _found;

    public override string Name => "cubic";

    public override int ThresholdAfterLoss()
    {
        _epoch = -1;
        // Fast convergence: a flow that is losing its share gives room to newer ones.
        _lastMaximum = Window.Size < _lastMaximum ? Window.Size * (1 + Beta) / 2 : Window.Size;
        return Math.Max((int)(Window.Size * Beta), 2);
    }

    public override void OnTimeout()
    {
        _lastMaximum = 0;
        _origin = 0;
        _renoEstimate = 0;
        _k = 0;
        _epoch = -1;
        _minimumDelay = long.MaxValue;
        _found = false;
        _roundStart = -1;
    }

    public override void OnRestart(long idle, long now)
    {
        // A pause is no time in which the window could have grown.
        if (_epoch >= 0 && idle > 0)
        {
            _epoch = Math.Min(_epoch + idle, now);
        }
    }

    public override void Grow(int acked, long now)
    {
        if (Window.InSlowStart)
        {
            acked = Window.SlowStart(acked);
        }

        if (acked > 0)
        {
            Window.Grow(Interval(acked, now), acked);
        }
    }

    public override void OnSample(long rtt, SeqNum una, SeqNum next, long now)
    {
        rtt = Math.Max(rtt, 1);
        _minimumDelay = Math.Min(_minimumDelay, rtt);
        if (_found || !Window.InSlowStart || Window.Size < HyStartWindow)
        {
            return;
        }

        if (_roundStart < 0 || una > _roundEnd)
        {
            _roundEnd = next;
            _roundStart = _lastAck = now;
            _roundRtt = long.MaxValue;
            _roundSamples = 0;
        }

        // Acknowledgements that follow closely for half a round trip: the pipe is full.
        if (now - _lastAck <= HyStartAckGap)
        {
            _lastAck = now;
            _found = now - _roundStart > _minimumDelay * 1000 / 2;
        }

        // The first samples of a round grew: a queue builds up.
        _roundRtt = Math.Min(_roundRtt, rtt);
        if (_roundSamples < HyStartSamples)
        {
            _roundSamples++;
        }
        else if (_roundRtt > _minimumDelay + Math.Clamp(_minimumDelay / 8, HyStartDelayMinimum, HyStartDelayMaximum))
        {
            _found = true;
        }

        if (_found)
        {
            Window.Threshold = Window.Size;
        }
    }

    /// <summary>Acknowledged segments for each one that the window grows by.</summary>
    private int Interval(int acked, long now)
    {
        double size = Window.Size;
        if (_epoch < 0)
        {
            _epoch = now;
            _renoEstimate = size;
            if (_lastMaximum <= size)
            {
                _k = 0;
                _origin = size;
            }
            else
            {
                _k = Math.Cbrt((_lastMaximum - size) / C);
                _origin = _lastMaximum;
            }
        }

        long delay = _minimumDelay == long.MaxValue ? 0 : _minimumDelay;
        double t = ((now - _epoch) / 1e9) + (delay / 1e6) - _k;
        double target = Math.Min(_origin + (C * t * t * t), 1.5 * size);
        double interval = target > size ? size / (target - size) : 100 * size;
        if (_lastMaximum == 0)
        {
            // The first phase after slow start must find the limit within reasonable time.
            interval = Math.Min(interval, 20);
        }

        _renoEstimate += 3 * (1 - Beta) / (1 + Beta) * acked / size;
        if (_renoEstimate > size)
        {
            interval = Math.Min(interval, size / (_renoEstimate - size));
        }

        return (int)Math.Clamp(interval, 2, 1 << 20);
    }
}
