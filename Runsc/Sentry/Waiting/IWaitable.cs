namespace Runsc.Sentry.Waiting;

/// <summary>Something that becomes ready and tells its waiters.</summary>
/// <remarks>
/// No wake-up is lost when the waiter registers first, then looks at <see cref="Readiness"/> (or tries the operation),
/// and sleeps only after that: an event in between finds the waiter in the queue.
/// </remarks>
internal interface IWaitable
{
    /// <summary>The events of <paramref name="mask"/> (and <see cref="EventMask.Unmaskable"/>) that hold now. Never blocks.</summary>
    EventMask Readiness(EventMask mask);

    /// <summary>Adds a waiter that stands in no queue yet; it hears of events in its <see cref="Waiter.Mask"/>.</summary>
    void Register(Waiter waiter);

    /// <summary>Removes the waiter; on return no call of <see cref="Waiter.Notify"/> for it is under way.</summary>
    void Unregister(Waiter waiter);
}
