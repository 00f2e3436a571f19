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
}
