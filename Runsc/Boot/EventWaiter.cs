using System.Threading;
using Runsc.Sentry.Waiting;

namespace Runsc.Boot;

/// <summary>Waits as a thread of the Sentry's own, which is no task.</summary>
internal sealed class EventWaiter : Waiter
{
    private readonly ManualResetEventSlim _event;

    public EventWaiter(ManualResetEventSlim signal, EventMask mask = EventMask.All)
    {
        _event = signal;
        Mask = mask;
    }

    public override void Notify(EventMask events) => _event.Set();
}
