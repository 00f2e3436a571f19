using System;

namespace Runsc.NetStack.Transport.Tcp;

/// <summary>Round-trip time and retransmission time-out (RFC 6298) with Linux's refinements. Times are microseconds.</summary>
/// <remarks>
/// The variation is the largest mean deviation of the last round trip, so that a long train of equal samples does not shrink the
/// time-out, and a sample that falls moves it slowly (Linux, tcp_rtt_estimator). A value; the endpoint owns it.
/// </remarks>
internal struct RttEstimator
{
    /// <summary>The smoothed time, times 8.</summary>
    private long _smoothed8;

    /// <summary>The mean deviation, times 4.</summary>
    private long _deviation4;

    private long _deviationMax4;
    private long _variation4;
    private SeqNum _roundEnd;

    public long MinimumRto;
    public long MaximumRto;

    /// <summary>The time-out without back-off.</summary>
    public long Rto { get; private set; }

    /// <summary>The smallest sample in the last minutes, or long.MaxValue.</summary>
    public long MinimumRtt { get; private set; }

    private long _minimumAt;

    public readonly bool HasSample => _smoothed8 != 0;

    public readonly long Smoothed => _smoothed8 >> 3;

    /// <summary>tcpi_rttvar.</summary>
    public readonly long Variation => _deviation4 >> 2;

    public void Reset(long initialRto, long minimumRto, long maximumRto)
    {
        this = default;
        MinimumRto = minimumRto;
        MaximumRto = maximumRto;
        Rto = initialRto;
        MinimumRtt = long.MaxValue;
        _deviation4 = initialRto;
    }

    /// <summary>Takes a sample. <paramref name="una"/> and <paramref name="next"/> are the sender's edges: they tell where a round trip ends.</summary>
    public void Sample(long rtt, SeqNum una, SeqNum next)
    {
        rtt = Math.Max(rtt, 1);
        if (_smoothed8 == 0)
        {
            _smoothed8 = rtt << 3;
            _deviation4 = rtt << 1;
            _variation4 = Math.Max(_deviation4, MinimumRto);
            _deviationMax4 = _variation4;
            _roundEnd = next;
        }
        else
        {
            long error = rtt - (_smoothed8 >> 3);
            _smoothed8 = Math.Max(1, _smoothed8 + error);
            if (error < 0)
            {
                error = -error - (_deviation4 >> 2);
                if (error > 0)
                {
                    error >>= 3;
                }
            }
            else
            {
                error -= _deviation4 >> 2;
            }

            _deviation4 += error;
            if (_deviation4 > _deviationMax4)
            {
                _deviationMax4 = _deviation4;
                _variation4 = Math.Max(_variation4, _deviationMax4);
            }

            if (una > _roundEnd)
            {
                if (_deviationMax4 < _variation4)
                {
                    _variation4 -= (_variation4 - _deviationMax4) >> 2;
                }

                _roundEnd = next;
                _deviationMax4 = MinimumRto;
            }
        }

        Rto = Math.Clamp((_smoothed8 >> 3) + _variation4, MinimumRto, MaximumRto);
    }

    /// <summary>Keeps the smallest time of the last five minutes (tcp_min_rtt_wlen).</summary>
    public void UpdateMinimum(long rtt, long nowNanoseconds)
    {
        const long Window = 300L * 1_000_000_000;
        if (rtt <= MinimumRtt || nowNanoseconds - _minimumAt > Window)
        {
            MinimumRtt = Math.Max(rtt, 1);
            _minimumAt = nowNanoseconds;
        }
    }
}
