namespace Runsc.NetStack.Network;

/// <summary>A token bucket. Guarded by the stack's lock.</summary>
internal sealed class RateLimiter
{
    private const long Second = 1_000_000_000;

    private long _tokens = -1;
    private long _last;

    /// <summary>Takes one token; false if there is none.</summary>
    public bool TryTake(long now, int perSecond, int burst)
    {
        // Tokens are counted in nanoseconds times rate, so that no part is lost.
        long full = burst * Second;
        if (_tokens < 0)
        {
            _tokens = full;
            _last = now;
        }

        long gone = now - _last;
        _tokens = gone >= Second * burst ? full : System.Math.Min(full, _tokens + (gone * perSecond));
        _last = now;
        if (_tokens < Second)
        {
            return false;
        }

        _tokens -= Second;
        return true;
    }
}
