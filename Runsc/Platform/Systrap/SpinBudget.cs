using System;

namespace Runsc.Platform.Systrap;

/// <summary>
/// How long to look for an answer before sleeping, learned from how it went: twice as long after a success, half after a failure. Where the other
/// side has no processor, or computes for long, next to nothing is lost; where it answers at once, the price of two wake-ups is saved.
/// Races between threads cost a wrong guess.
/// </summary>
internal struct SpinBudget(int maximum)
{
    private const int Minimum = 8;

    private int _rounds = maximum / 8;

    public readonly int Rounds => _rounds;

    public void Succeeded() => _rounds = Math.Min(_rounds * 2, maximum);

    public void Failed() => _rounds = Math.Max(_rounds / 2, Minimum);
}
