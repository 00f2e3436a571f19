namespace Runsc.NetStack.Core;

/// <summary>Something that must be done after the stack's lock is released: waking a socket, flushing a link, handing a packet to another stack.</summary>
/// <remarks>A node of the stack's list, so deferring allocates nothing; deferred twice before it runs, it runs once.</remarks>
internal abstract class DeferredWork
{
    /// <summary>Guarded by the lock of the list.</summary>
    internal DeferredWork? NextDeferred { get; set; }

    /// <summary>Guarded by the lock of the list.</summary>
    internal bool IsDeferred { get; set; }

    /// <summary>Called with no lock held, on whichever thread released the stack's lock; two calls may overlap.</summary>
    public abstract void Run();
}
