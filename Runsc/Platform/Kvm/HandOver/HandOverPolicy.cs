using System;

namespace Runsc.Platform.Kvm.HandOver;

/// <summary>
/// When a task's calls are handed over instead of leaving the guest: once several in a row came after little computing. A hand-over keeps two
/// processors awake; where one of them slept all the same, because the task computes, blocks, or the machine is busy, the next trial comes later and later.
/// </summary>
internal struct HandOverPolicy
{
    private const int FirstTrial = 4;
    private const int LastTrial = 4096;

    /// <summary>Calls handed over in a row that make up for one wake-up.</summary>
    private const int Worthwhile = 32;

    private int _quick;
    private int _needed;
    private int _handed;

    /// <summary>Whether the next entry should be the runner's.</summary>
    public readonly bool IsDue => _quick >= Math.Max(_needed, FirstTrial);

    /// <summary>A system call left the guest after <paramref name="ticks"/> in it, with <paramref name="limit"/> the most that counts as little.</summary>
    public void CountExit(long ticks, long limit) => _quick = ticks < limit ? Math.Min(_quick + 1, LastTrial) : 0;

    /// <summary>A call was handed over and nobody slept.</summary>
    public void CountHandOver() => _handed++;

    /// <summary>One side slept: back to exits.</summary>
    public void Fail()
    {
        _needed = _handed >= Worthwhile ? FirstTrial : Math.Clamp(_needed * 2, FirstTrial, LastTrial);
        _handed = 0;
        _quick = 0;
    }
}
