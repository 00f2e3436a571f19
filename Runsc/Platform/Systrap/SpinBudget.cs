using System;

namespace Runsc.Platform.Systrap;

/// <summary>
/// How long to look for an answer before sleeping, learned from how it went: all of the maximum after a success, half after a failure. Where the other
/// side has no processor, or computes for long, little is lost; where it answers at once, the price of two wake-ups is saved. Both sides of a hand-over
/// have a budget, and one that sleeps makes the other's time look long; so now and then the whole maximum is tried again.
/// Races between threads cost a wrong guess.
/// </summary>
internal struct SpinBudget(int maximum)
{
    private const int Minimum = 8;
    private const int FailuresBeforeTrial = 16;

    private int _rounds = maximum / 8;
    private int _failures;

    public readonly int Rounds => _failures >= FailuresBeforeTrial ? maximum : _rounds;

    public void Succeeded()
    {
        _rounds = maximum;
        _failures = 0;
    }

    public void Failed()
    {
        _rounds = Math.Max(_rounds / 2, Minimum);
        _failures = _failures >= FailuresBeforeTrial ? 0 : _failures + 1;
    }
}
