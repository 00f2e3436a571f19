namespace Runsc.NetStack.Transport;

/// <summary>The socket above an endpoint. Called with no lock of the stack held, from any thread, after the state has changed.</summary>
internal interface IEndpointEvents
{
    /// <summary>Something of <paramref name="events"/> became true since the last call: wake who waits for it and let them look again.</summary>
    void OnEvents(NetEvents events);
}
