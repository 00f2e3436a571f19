using System.Threading;

namespace Runsc.Sentry.Waiting;

/// <summary>How often something has changed, and who wants to hear of the next time: each open file that shows it remembers what count it has told of.</summary>
internal sealed class ChangeCount
{
    private int _value;

    public int Value => Volatile.Read(ref _value);

    public WaitQueue Waiters { get; } = new();

    /// <summary>Call after the change, with no lock held that a waiter takes.</summary>
    public void Raise()
    {
        Interlocked.Increment(ref _value);
        Waiters.Notify(EventMask.Pri | EventMask.Err);
    }
}
