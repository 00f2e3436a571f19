using System;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Transport.Tcp;

/// <summary>LISTEN: SYNs, cookies, the accept queue, and fast open's server side.</summary>
internal sealed partial class TcpEndpoint
{
    /// <summary>For the queue of the listener.</summary>
    internal TcpEndpoint? NextToAccept { get; set; }

    /// <summary>The listener in whose accept queue it is, or null.</summary>
    internal TcpEndpoint? AcceptedBy { get; set; }

    /// <summary>For the protocol's list of listeners of a port.</summary>
    internal TcpEndpoint? NextListener { get; set; }

    internal AcceptQueue Queue => _acceptQueue!;

    /// <summary>LISTEN (RFC 9293, 3.10.7.2). Takes the packet.</summary>
    private void ReceiveListen(ref TcpSegment segment)
    {
        if (segment.IsRst)
        {
            segment.Packet.Release();
            return;
        }

        if (segment.IsAck && !segment.IsSyn)
        {
            if (SynCookies.Check(_protocol, this, segment) is { } request)
            {
                request.Complete(ref segment);
                return;
            }

            _protocol.ReplyReset(segment);
            segment.Packet.Release();
            return;
        }

        if (!segment.IsSyn || segment.IsAck || segment.IsFin)
        {
            if (segment.IsAck)
            {
                _protocol.ReplyReset(segment);
            }

            segment.Packet.Release();
            return;
        }

        OnSyn(ref segment, default);
        segment.Packet.Release();
    }

    /// <summary>A SYN for a new connection; <paramref name="iss"/> is set when it replaces one in TIME-WAIT. The packet stays the caller's.</summary>
    internal void OnSyn(ref TcpSegment segment, SeqNum? iss)
    {
        TcpParameters parameters = _protocol.Parameters;
        AcceptQueue queue = _acceptQueue!;
        bool full = queue.Requests >= Math.Max(queue.Backlog, 1) || queue.Requests >= parameters.MaxSynBacklog;
        bool wantsCookie = parameters.SynCookies == 2 || (full && iss is null);
        if (wantsCookie && parameters.SynCookies == 0)
        {
            _protocol.Statistics.ListenDrops++;
            return;
        }

        if (queue.IsFull || (full && !wantsCookie))
        {
            _protocol.Statistics.ListenOverflows++;
            _protocol.Statistics.ListenDrops++;
            return;
        }

        SynRequest? request = SynRequest.Create(_protocol, this, segment, iss, wantsCookie);
        if (request is null)
        {
            _protocol.Statistics.ListenDrops++;
            return;
        }

        if (wantsCookie)
        {
            queue.LastOverflow = _stack.Now;
            request.SendSynAck();
            return;
        }

        if (TryFastOpen(ref segment, request))
        {
            return;
        }

        request.Start();
    }

    /// <summary>A handshake is done; the connection waits for accept(2).</summary>
    internal void AddToAccept(TcpEndpoint child)
    {
        child.AcceptedBy = this;
        _acceptQueue!.Enqueue(child);
        _protocol.Statistics.PassiveOpens++;
        Notifier.Raise(NetEvents.Readable);
    }

    private void StopListening()
    {
        _protocol.RemoveListener(this);
        AcceptQueue queue = _acceptQueue!;
        _acceptQueue = null;
        _port.IsListening = false;
        while (queue.FirstRequest is { } request)
        {
            request.End(queue);
        }

        while (queue.Dequeue() is { } child)
        {
            child._orphaned = true;
            child.AbortLocked();
        }

        _state = TcpState.Closed;
    }

    /// <summary>Opens at once if the SYN has a good cookie: data before the handshake is done (RFC 7413, 4.2).</summary>
    private bool TryFastOpen(ref TcpSegment segment, SynRequest request)
    {
        TcpOptions options = segment.Options;
        if (!options.HasFastOpen || (_protocol.Parameters.FastOpen & 2) == 0 || Settings.FastOpenQueue == 0)
        {
            return false;
        }

        if (options.CookieLength == 0 || !_protocol.IsFastOpenCookie(RemoteOf(segment), LocalOf(segment), options))
        {
            _protocol.Statistics.FastOpenCookieReqd += options.CookieLength == 0 ? 1 : 0;
            _protocol.Statistics.FastOpenPassiveFail += options.CookieLength == 0 ? 0 : 1;
            request.GivesCookie = true;
            return false;
        }

        AcceptQueue queue = _acceptQueue!;
        if (queue.FastOpens >= Settings.FastOpenQueue)
        {
            _protocol.Statistics.FastOpenListenOverflow++;
            return false;
        }

        TcpEndpoint child = CreateChild(this, request);
        child._isFastOpen = true;
        child._fastOpenListener = queue;
        queue.FastOpens++;
        _protocol.Flows.Add(child);
        _protocol.Statistics.FastOpenPassive++;
        if (segment.Length > 0 && child._stack.Pool.TryAllocate(0, segment.Length) is { } data)
        {
            segment.Packet.CopyTo(0, data.Append(segment.Length));
            child._receive.Append(data);
            child._rcvNxt += segment.Length;
        }

        TxSegment syn = child._flight.Add(child._iss, child._iss + 1);
        syn.IsSyn = true;
        syn.Count = 1;
        child.NoteSent(syn);
        child._packetsOut = 1;
        child.Emit(child._iss, 0, TcpFlags.Syn | TcpFlags.Ack, 1, isNew: false);
        child.SetTimer(PendingTimer.Retransmit, _stack.Now + (child._rto * Microsecond));
        child.GrowSendBuffer();
        child.Recharge();
        AddToAccept(child);
        return true;
    }

    // The queue that counts this connection as an unfinished fast open.
    private AcceptQueue? _fastOpenListener;

    private void EndFastOpen(bool failed)
    {
        if (_fastOpenListener is { } queue)
        {
            queue.FastOpens--;
            _fastOpenListener = null;
            if (failed && AcceptedBy is { _acceptQueue: { } pending } && pending == queue)
            {
                AcceptedBy = null;
                queue.Remove(this);
                _orphaned = true;
            }
        }

        _isFastOpen = false;
    }

    private static IpAddress RemoteOf(in TcpSegment segment) => segment.Ip.Source;

    private static IpAddress LocalOf(in TcpSegment segment) => segment.Ip.Destination;
}
