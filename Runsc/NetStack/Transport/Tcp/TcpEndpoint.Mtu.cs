using System;
using Runsc.NetStack.Network;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Transport.Tcp;

/// <summary>Segment sizes: the peer's limit, the path MTU and its black holes (RFC 9293, 3.7; RFC 1191; RFC 4821's idea), and ICMP errors.</summary>
internal sealed partial class TcpEndpoint
{
    private const int MinimumMssClamp = 48;

    // The peer's MSS option; ours; payload of a full segment with the options that are always there.
    private int _mssClamp = 536;
    private int _advertisedMss = 536;
    private int _mssCache = 536;

    // A black hole was found: no packet is larger than this. 0 while none was.
    private int _blackHoleMss;

    // The MTU that the cache was computed for.
    private int _mtuOfCache;

    private int IpHeaderSize => TcpHeader.IpHeaderSize(RemoteAddress);

    /// <summary>Payload of a full segment now. Looks at the route again if it is stale.</summary>
    private int CurrentMss()
    {
        if (!_route.IsValid && Reroute() == NetError.None && _route.Mtu != _mtuOfCache)
        {
            SyncMss();
        }

        int mss = _mssCache;
        if (_sackOk && (!_ahead.IsEmpty || _reportDuplicate))
        {
            int blocks = Math.Min(_ahead.RunCount + (_reportDuplicate ? 1 : 0), _timestampsOk ? 3 : TcpOptions.MaxSackBlocks);
            mss -= 4 + (8 * blocks);
        }

        return Math.Max(mss, 8);
    }

    private void SyncMss()
    {
        _mtuOfCache = _route.Mtu;
        // Over loopback the MTU is more than the length field of IPv4 can say.
        int mss = Math.Min(_route.Mtu, MaximumPacket) - IpHeaderSize - TcpHeader.Size;
        mss = Math.Min(mss, _mssClamp);
        if (_blackHoleMss != 0)
        {
            mss = Math.Min(mss, _blackHoleMss);
        }

        mss = Math.Max(mss, _protocol.Parameters.MinimumSendMss);
        if (_timestampsOk)
        {
            mss -= TcpOptions.TimestampSize;
        }

        // No segment is more than half of the largest window: two of them must fit, or the peer would delay each acknowledgement.
        if (_maxWindow > 0)
        {
            int half = _maxWindow > 536 ? _maxWindow >> 1 : _maxWindow;
            if (mss > half)
            {
                mss = Math.Max(half, 68 - IpHeaderSize);
            }
        }

        _mssCache = mss;
    }

    /// <summary>The MSS that we announce: what our interface takes, or less if the application or the route says so.</summary>
    private void ComputeAdvertisedMss()
    {
        int mss = _route.AdvertisedMss != 0 ? _route.AdvertisedMss : _route.Mtu - IpHeaderSize - TcpHeader.Size;
        if (Settings.MaximumSegment != 0)
        {
            mss = Math.Min(mss, Settings.MaximumSegment);
        }

        _advertisedMss = Math.Clamp(mss, MinimumMssClamp, 65535 - TcpHeader.Size - IpHeaderSize);
    }

    private void TakePeerMss(int mss)
    {
        if (mss == 0)
        {
            mss = RemoteAddress.IsV4 ? 536 : 1220;
        }

        if (Settings.MaximumSegment != 0)
        {
            mss = Math.Min(mss, Settings.MaximumSegment);
        }

        // A peer may not make us send a packet for each few bytes (CVE-2019-11479).
        _mssClamp = Math.Max(mss, MinimumMssClamp);
    }

    /// <summary>Several time-outs: large packets may vanish on the way without a word. Try smaller ones.</summary>
    private void ShrinkForBlackHole()
    {
        TcpParameters parameters = _protocol.Parameters;
        if (parameters.MtuProbing == 0 || !IsSynchronized)
        {
            return;
        }

        int mss = _blackHoleMss == 0 ? Math.Min(parameters.BaseMss, _mssCache) : _blackHoleMss / 2;
        _blackHoleMss = Math.Max(mss, parameters.MinimumSendMss);
        _protocol.Statistics.MtuProbeBlackHole++;
        SyncMss();
    }

    public override void OnIcmp(in IcmpError error, SeqNum seq)
    {
        if (_state is TcpState.Closed or TcpState.Listen)
        {
            return;
        }

        // Only what is about data that are out can be believed (RFC 5927).
        if (!seq.IsIn(_sndUna, _sndNxt + 1))
        {
            return;
        }

        if (error.Kind == IcmpErrorKind.PacketTooBig)
        {
            OnPacketTooBig();
            return;
        }

        if (_state is TcpState.SynSent or TcpState.SynReceived && error.Kind is not (IcmpErrorKind.SourceQuench or IcmpErrorKind.TimeExceeded))
        {
            if (_state == TcpState.SynSent || !_isFastOpen)
            {
                Fail(error.Error);
            }

            return;
        }

        // RFC 1122, 4.2.3.9: a connection that works is not ended by what a router says.
        if (Settings.ReceiveErrors && error.IsFatal)
        {
            _error = error.Error;
            Notifier.Raise(NetEvents.Error);
        }
        else
        {
            _softError = error.Error;
        }
    }

    private void OnPacketTooBig()
    {
        _route.Invalidate();
        if (Reroute() != NetError.None)
        {
            return;
        }

        int before = _mssCache;
        SyncMss();
        if (_mssCache >= before || !IsSynchronized)
        {
            return;
        }

        // What was larger is lost, and the network is not to blame.
        for (TxSegment? segment = _flight.First; segment is not null; segment = segment.Next)
        {
            if (!segment.IsSacked && segment.DataLength > _mssCache)
            {
                MarkLost(segment);
            }
        }

        if (_lostOut == 0)
        {
            return;
        }

        if (_congestionState != CongestionState.Loss)
        {
            _highSeq = _sndNxt;
            _window.Threshold = _window.CurrentThreshold(_congestionState);
            _priorThreshold = 0;
            _undoMarker = default;
            _canUndo = false;
            _congestionState = CongestionState.Loss;
        }

        RetransmitLost();
    }
}
