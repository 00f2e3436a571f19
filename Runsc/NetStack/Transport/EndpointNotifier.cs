using System.Threading;
using Runsc.NetStack.Core;

namespace Runsc.NetStack.Transport;

/// <summary>Collects the events of one endpoint under the stack's lock and hands them to the socket after it.</summary>
internal sealed class EndpointNotifier(NetworkStack stack) : DeferredWork
{
    private int _pending;
    private IEndpointEvents? _listener;

    /// <summary>The socket. Null while nobody listens, as with a connection that is not accepted yet: look at the readiness after setting it.</summary>
    public IEndpointEvents? Listener
    {
        get => Volatile.Read(ref _listener);
        set => Volatile.Write(ref _listener, value);
    }

    /// <summary>Precondition: the stack's lock is held.</summary>
    public void Raise(NetEvents events)
    {
        if (Listener is not null)
        {
            Interlocked.Or(ref _pending, (int)events);
            stack.Defer(this);
        }
    }

    public override void Run()
    {
        NetEvents events = (NetEvents)Interlocked.Exchange(ref _pending, 0);
        if (events != NetEvents.None)
        {
            Listener?.OnEvents(events);
        }
    }
}
