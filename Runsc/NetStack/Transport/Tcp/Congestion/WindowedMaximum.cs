namespace Runsc.NetStack.Transport.Tcp.Congestion;

/// <summary>The largest of the samples in a moving window of time, from the best three (Kathleen Nichols' filter). Time is any number that grows.</summary>
internal struct WindowedMaximum
{
    // The best, the best after it, and the best after that one.
    private (long Time, double Value) _first;
    private (long Time, double Value) _second;
    private (long Time, double Value) _third;

    public readonly double Value => _first.Value;

    public void Add(long window, long time, double value)
    {
        (long, double) sample = (time, value);
        if (value >= _first.Value || time - _third.Time > window)
        {
            _first = _second = _third = sample;
            return;
        }

        if (value >= _second.Value)
        {
            _second = _third = sample;
        }
        else if (value >= _third.Value)
        {
            _third = sample;
        }

        if (time - _first.Time > window)
        {
            (_first, _second, _third) = (_second, _third, sample);
            if (time - _first.Time > window)
            {
                (_first, _second) = (_second, _third);
            }
        }
        else if (_second.Time == _first.Time && time - _first.Time > window / 4)
        {
            // A quarter of the window passed without a second choice: take one from what is left of it.
            _second = _third = sample;
        }
        else if (_third.Time == _second.Time && time - _second.Time > window / 2)
        {
            _third = sample;
        }
    }
}
