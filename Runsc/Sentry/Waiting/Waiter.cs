namespace Runsc.Sentry.Waiting;

/// <summary>A node of one <see cref="WaitQueue"/>; whoever waits for several things owns one for each.</summary>
internal abstract class Waiter
{
    // Guarded by the queue's lock.
    internal Waiter? Previous;
    internal Waiter? Next;
    internal WaitQueue? Queue;

    /// <summary>The events it wants to hear of. Set before registration and constant while registered.</summary>
    public EventMask Mask { get; set; }

    /// <summary>
    /// Called with the queue's lock held, on the thread that made the event: takes no lock that is held around
    /// <see cref="WaitQueue.Notify"/> elsewhere, never blocks, never registers or unregisters.
    /// </summary>
    public abstract void Notify(EventMask events);

    /// <summary>Of those that are exclusive an event is told to one, the first that takes it. Constant while registered.</summary>
    public virtual bool IsExclusive => false;

    /// <summary>As <see cref="Notify"/>, of an exclusive waiter: false when it had no use for the event, so that the next one hears of it.</summary>
    public virtual bool TryNotify(EventMask events)
    {
        Notify(events);
        return true;
    }
}
