using System;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Filter.Tracking;

/// <summary>A TCP connection as somebody sees it who only looks on: its state, and which sequence numbers can be of it. Guarded by the stack's lock.</summary>
/// <remarks>The windows are those of "Real Stateful TCP Packet Filtering in IP Filter" (van Rooij), as Linux judges by them.</remarks>
internal sealed class TcpTracking
{
    private const byte No = (byte)TcpTrackState.None, Ss = (byte)TcpTrackState.SynSent, Sr = (byte)TcpTrackState.SynReceived, Es = (byte)TcpTrackState.Established,
        Fw = (byte)TcpTrackState.FinWait, Cw = (byte)TcpTrackState.CloseWait, La = (byte)TcpTrackState.LastAck, Tw = (byte)TcpTrackState.TimeWait,
        Cl = (byte)TcpTrackState.Close, S2 = (byte)TcpTrackState.SynSent2, Ig = (byte)TcpTrackState.Ignore, Iv = (byte)TcpTrackState.Invalid;

    private const int States = 10;

    // Acknowledgements may be this old at least.
    private const uint MinimumAckWindow = 66000;

    // By kind of segment and state, the states in the order of their values.
    private static readonly byte[] s_original =
    [
        Ss, Ss, Ig, Ig, Ig, Ig, Ig, Ss, Ss, S2,
        Iv, Iv, Sr, Iv, Iv, Iv, Iv, Iv, Iv, Sr,
        Iv, Iv, Fw, Fw, La, La, La, Tw, Cl, Iv,
        Es, Iv, Es, Es, Cw, Cw, Tw, Tw, Cl, Iv,
        Iv, Cl, Cl, Cl, Cl, Cl, Cl, Cl, Cl, Cl,
    ];

    private static readonly byte[] s_reply =
    [
        Iv, S2, Ig, Ig, Ig, Ig, Ig, Ss, Iv, S2,
        Iv, Sr, Ig, Ig, Ig, Ig, Ig, Ig, Ig, Sr,
        Iv, Iv, Fw, Fw, La, La, La, Tw, Cl, Iv,
        Iv, Ig, Sr, Es, Cw, Cw, Tw, Tw, Cl, Ig,
        Iv, Cl, Cl, Cl, Cl, Cl, Cl, Cl, Cl, Cl,
    ];

    private TcpSeen _original;
    private TcpSeen _reply;

    // The segment before, or the one that was ignored: the connection may be another one than what is known of it.
    private Kind _lastKind = Kind.None;
    private bool _lastIsReply;
    private uint _lastSequence;
    private uint _lastAck;
    private uint _lastEnd;
    private ushort _lastWindow;
    private byte _lastScale;
    private TcpSeenFlags _lastFlags;
    private int _retransmissions;

    // Rows of the tables, in their order.
    private enum Kind : byte
    {
        Syn,
        SynAck,
        Fin,
        Ack,
        Rst,
        None,
    }

    /// <summary>After <see cref="TcpTrackResult.Accept"/>: how many seconds the connection then stays without segments; after others, if it is not 0, the most that it does.</summary>
    public int Seconds { get; private set; }

    public ref TcpSeen Seen(bool isReply) => ref isReply ? ref _reply : ref _original;

    /// <summary>Nothing was looked at for a while: the windows are taken from the next segments.</summary>
    public void Forget() => _original.MaxWindow = _reply.MaxWindow = 0;

    /// <summary>Judges a segment of a connection, and puts the connection into its next state.</summary>
    public TcpTrackResult Next(Connection connection, bool isReply, in TcpSegment segment, int[] settings)
    {
        Seconds = 0;
        Kind kind = KindOf(segment.Header.Flags);
        if (!connection.IsConfirmed && !Begin(kind, segment, settings))
        {
            return TcpTrackResult.Invalid;
        }

        TcpTrackState before = connection.Tcp;
        TcpTrackState next = (TcpTrackState)(isReply ? s_reply : s_original)[((int)kind * States) + (int)before];
        bool skipsWindow = false;
        switch (next)
        {
            case TcpTrackState.SynSent when before < TcpTrackState.TimeWait:
                break;
            case TcpTrackState.SynSent when ((_original.Flags | _reply.Flags) & TcpSeenFlags.CloseInit) != 0 || (_lastIsReply == isReply && _lastKind == Kind.Rst):
                return TcpTrackResult.Reopen;
            case TcpTrackState.SynSent or TcpTrackState.Ignore:
                if (kind != Kind.SynAck || _lastKind != Kind.Syn || _lastIsReply == isReply || segment.Header.Acknowledgment != _lastEnd)
                {
                    Note(kind, before, isReply, segment);
                    return TcpTrackResult.Ignore;
                }

                // It answers a SYN that was ignored: both sides agree, and here is what they agree on.
                (before, next) = (TcpTrackState.SynSent, TcpTrackState.SynReceived);
                _lastFlags &= ~TcpSeenFlags.ExpectsChallenge;
                Seen(_lastIsReply) = new TcpSeen { End = _lastEnd, MaxEnd = _lastEnd, MaxWindow = Math.Max(_lastWindow, (ushort)1), Scale = _lastScale, Flags = _lastFlags };
                Seen(isReply) = default;
                break;
            case TcpTrackState.Invalid:
                return TcpTrackResult.Invalid;
            case TcpTrackState.TimeWait:
                if (before == TcpTrackState.LastAck && kind == Kind.Ack && _lastIsReply != isReply && _lastKind == Kind.Syn && (_lastFlags & TcpSeenFlags.ExpectsChallenge) != 0)
                {
                    // It challenges that SYN, and does not acknowledge the FIN.
                    _lastFlags &= ~TcpSeenFlags.ExpectsChallenge;
                    return TcpTrackResult.Ignore;
                }

                break;
            case TcpTrackState.SynSent2:
                _lastFlags |= TcpSeenFlags.SimultaneousOpen;
                break;
            case TcpTrackState.SynReceived when isReply && kind == Kind.Ack && (_lastFlags & TcpSeenFlags.SimultaneousOpen) != 0:
                next = TcpTrackState.Established;
                break;
            case TcpTrackState.Close when kind == Kind.Rst:
                if (!JudgeReset(connection, isReply, segment, settings, ref next, out skipsWindow))
                {
                    return TcpTrackResult.Invalid;
                }

                break;
        }

        if (!skipsWindow)
        {
            TcpTrackResult result = Window(before, kind, isReply, segment);
            bool isLiberal = settings[(int)TrackingSetting.BeLiberal] != 0 || Seen(isReply).Has(TcpSeenFlags.BeLiberal);
            if (result != TcpTrackResult.Accept && !isLiberal)
            {
                if (result == TcpTrackResult.Invalid)
                {
                    NoteInvalid(kind, isReply, settings);
                }

                return result;
            }
        }

        (_lastKind, _lastIsReply) = (kind, isReply);
        if (next != connection.Tcp && next == TcpTrackState.FinWait)
        {
            Seen(isReply).Flags |= TcpSeenFlags.CloseInit;
        }

        connection.Pending |= next != connection.Tcp ? ConnectionEvents.ProtocolInfo : ConnectionEvents.None;
        connection.Tcp = next;
        Seconds = SecondsOf(kind, next, settings);
        return TcpTrackResult.Accept;
    }

    private static Kind KindOf(TcpFlags flags) => (flags & TcpFlags.Rst) != 0 ? Kind.Rst
        : (flags & TcpFlags.Syn) != 0 ? (flags & TcpFlags.Ack) != 0 ? Kind.SynAck : Kind.Syn
        : (flags & TcpFlags.Fin) != 0 ? Kind.Fin
        : Kind.Ack;

    // The first segment: a SYN, or any with an acknowledgement if connections may be picked up in the middle.
    private bool Begin(Kind kind, in TcpSegment segment, int[] settings)
    {
        TcpTrackState first = (TcpTrackState)s_original[(int)kind * States];
        if (first >= TcpTrackState.Ignore)
        {
            return false;
        }

        if (first == TcpTrackState.SynSent)
        {
            _original.Begin(segment);
            return true;
        }

        if (settings[(int)TrackingSetting.Loose] == 0)
        {
            return false;
        }

        uint window = Math.Max(segment.Header.Window, (ushort)1);
        _original = new TcpSeen { End = segment.End, MaxWindow = window, MaxEnd = unchecked(segment.End + window), Flags = TcpSeenFlags.SackPermitted | TcpSeenFlags.BeLiberal };
        _reply.Flags = TcpSeenFlags.SackPermitted | TcpSeenFlags.BeLiberal;
        return true;
    }

    // A segment that is let through although it does not fit: the answer tells who is wrong.
    private void Note(Kind kind, TcpTrackState state, bool isReply, in TcpSegment segment)
    {
        (_lastKind, _lastIsReply, _lastSequence, _lastEnd, _lastWindow) = (kind, isReply, segment.Header.Sequence, segment.End, segment.Header.Window);
        if (kind == Kind.Syn && !isReply)
        {
            TcpSeen seen = default;
            seen.Take(segment.Options);
            (_lastScale, _lastFlags) = (seen.Scale, seen.Flags | (state == TcpTrackState.LastAck ? TcpSeenFlags.ExpectsChallenge : TcpSeenFlags.None));
        }

        if (state == TcpTrackState.SynSent && kind == Kind.Ack && isReply)
        {
            _lastAck = segment.Header.Acknowledgment;
        }
    }

    // False: the reset is none of the connection's. The state stays where the receiver will challenge it (RFC 5961, 3.2).
    private bool JudgeReset(Connection connection, bool isReply, in TcpSegment segment, int[] settings, ref TcpTrackState next, out bool skipsWindow)
    {
        TcpTrackState before = connection.Tcp;
        ref TcpSeen receiver = ref Seen(!isReply);
        uint sequence = segment.Header.Sequence;
        skipsWindow = before is >= TcpTrackState.FinWait and <= TcpTrackState.Close;
        if (skipsWindow)
        {
            return true;
        }

        if (receiver.Has(TcpSeenFlags.HasMaxAck) && _lastKind != Kind.Syn)
        {
            bool isEstablished = before == TcpTrackState.Established && (connection.Status & ConnectionStatus.Assured) != 0;
            if (sequence == 0 && !isEstablished)
            {
                return true;
            }

            if (IsBefore(sequence, receiver.MaxAck) && settings[(int)TrackingSetting.IgnoreInvalidReset] == 0)
            {
                return false;
            }

            bool isExact = sequence == receiver.MaxAck || (_lastKind == Kind.Ack && _lastIsReply == isReply && sequence == _lastEnd);
            if (isEstablished && !isExact)
            {
                next = before;
            }
            else
            {
                return true;
            }
        }

        // The answer to a segment that was ignored.
        bool answersIgnored = ((connection.Status & ConnectionStatus.SeenReply) != 0 && _lastKind == Kind.Syn) || ((connection.Status & ConnectionStatus.Assured) == 0 && _lastKind == Kind.Ack);
        skipsWindow = (answersIgnored && segment.Header.Acknowledgment == _lastEnd)
            || (before == TcpTrackState.SynSent && _lastKind == Kind.Ack && _lastIsReply && sequence == _lastAck);
        return true;
    }

    // Out of the window of a connection that stays for long: two of these, from both sides, and it does not.
    private void NoteInvalid(Kind kind, bool isReply, int[] settings)
    {
        if (kind is not (Kind.Rst or Kind.Fin))
        {
            return;
        }

        if (_lastIsReply != isReply && _lastKind is Kind.Fin or Kind.Rst)
        {
            Seconds = settings[(int)TrackingSetting.TcpUnacknowledgedTimeout];
        }
        else
        {
            (_lastKind, _lastIsReply) = (kind, isReply);
        }
    }

    private TcpTrackResult Window(TcpTrackState state, Kind kind, bool isReply, in TcpSegment segment)
    {
        ref TcpSeen sender = ref Seen(isReply), receiver = ref Seen(!isReply);
        uint sequence = segment.Header.Sequence, ack = segment.Header.Acknowledgment, end = segment.End, window = segment.Header.Window;
        uint sack = receiver.Has(TcpSeenFlags.SackPermitted) ? segment.HighestAck() : ack;
        bool isSyn = segment.Has(TcpFlags.Syn), isAck = segment.Has(TcpFlags.Ack);
        if (sender.MaxWindow == 0 || (isSyn && isReply && state == TcpTrackState.SynSent))
        {
            Start(ref sender, ref receiver, isReply, sack, segment);
            if (isSyn && !isAck)
            {
                return TcpTrackResult.Accept;
            }
        }
        else if (((state == TcpTrackState.SynSent && !isReply) || (state == TcpTrackState.SynReceived && isReply)) && IsBefore(sender.End, end))
        {
            // Begun anew with higher numbers (RFC 9293, 3.4.2).
            sender.Begin(segment);
        }

        if (!isAck || (segment.Has(TcpFlags.Rst) && ack == 0))
        {
            ack = sack = receiver.End;
        }

        if (segment.Has(TcpFlags.Rst) && sequence == 0 && state == TcpTrackState.SynSent)
        {
            sequence = end = sender.End;
        }

        unchecked
        {
            uint ackWindow = Math.Max(sender.MaxWindow, MinimumAckWindow);
            bool isRecent = IsBefore(receiver.End - ackWindow - 1, sack);
            bool isInWindow = IsBefore(sender.End - receiver.MaxWindow - 1, end);
            if (!IsBefore(sequence, sender.MaxEnd + 1))
            {
                // More than there is room for; if the peer takes it nevertheless, it acknowledges it.
                if (receiver.MaxWindow != 0 && isInWindow && isRecent && end - sender.MaxEnd + 1 <= receiver.MaxWindow && IsBefore(sack, receiver.End + 1))
                {
                    sender.End = end;
                    sender.Flags |= TcpSeenFlags.DataUnacknowledged;
                    return TcpTrackResult.Ignore;
                }

                return TcpTrackResult.Invalid;
            }

            if (!IsBefore(sack, receiver.End + 1))
            {
                return TcpTrackResult.Invalid;
            }

            if (!isRecent || (receiver.MaxWindow != 0 && !isInWindow))
            {
                // Sent or acknowledged already: late, or once more.
                return TcpTrackResult.Ignore;
            }

            window = isSyn ? window : window << sender.Scale;
            sender.MaxWindow = Math.Max(sender.MaxWindow, window + (sack - ack));
            if (IsBefore(sender.End, end))
            {
                sender.End = end;
                sender.Flags |= TcpSeenFlags.DataUnacknowledged;
            }

            if (isAck && (!sender.Has(TcpSeenFlags.HasMaxAck) || IsBefore(sender.MaxAck, ack)))
            {
                sender.MaxAck = ack;
                sender.Flags |= TcpSeenFlags.HasMaxAck;
            }

            if (receiver.MaxWindow != 0 && IsBefore(sender.MaxEnd, end))
            {
                receiver.MaxWindow += end - sender.MaxEnd;
            }

            if (!IsBefore(sack + window, receiver.MaxEnd))
            {
                receiver.MaxEnd = sack + window + (window == 0 ? 1u : 0);
            }

            if (ack == receiver.End)
            {
                receiver.Flags &= ~TcpSeenFlags.DataUnacknowledged;
            }
        }

        if (kind == Kind.Ack)
        {
            bool isSame = _lastIsReply == isReply && _lastSequence == sequence && _lastAck == ack && _lastEnd == end && _lastWindow == segment.Header.Window;
            _retransmissions = isSame ? _retransmissions + 1 : 0;
            (_lastIsReply, _lastSequence, _lastAck, _lastEnd, _lastWindow) = (isReply, sequence, ack, end, segment.Header.Window);
        }

        return TcpTrackResult.Accept;
    }

    // The first segment that is seen of a side.
    private static void Start(ref TcpSeen sender, ref TcpSeen receiver, bool isReply, uint sack, in TcpSegment segment)
    {
        if (segment.Has(TcpFlags.Syn))
        {
            sender.Begin(segment);
            if (isReply && !(sender.Has(TcpSeenFlags.WindowScale) && receiver.Has(TcpSeenFlags.WindowScale)))
            {
                sender.Scale = receiver.Scale = 0;
            }

            return;
        }

        unchecked
        {
            sender.End = segment.End;
            sender.MaxWindow = Math.Max((uint)segment.Header.Window << sender.Scale, 1);
            sender.MaxEnd = segment.End + sender.MaxWindow;
            if (receiver.MaxWindow == 0)
            {
                receiver.End = receiver.MaxEnd = sack;
            }
            else if (sack == receiver.End + 1)
            {
                // Perhaps the answer to a keep-alive probe.
                receiver.End++;
            }
        }
    }

    private int SecondsOf(Kind kind, TcpTrackState state, int[] settings)
    {
        int seconds = settings[(int)TrackingSetting.TcpTimeout + (int)state], most = int.MaxValue;
        if (_retransmissions >= settings[(int)TrackingSetting.MaxRetransmissions])
        {
            most = settings[(int)TrackingSetting.TcpMaxRetransmissionsTimeout];
        }
        else if (kind == Kind.Rst)
        {
            return settings[(int)TrackingSetting.TcpTimeout + (int)TcpTrackState.Close];
        }
        else if (((_original.Flags | _reply.Flags) & TcpSeenFlags.DataUnacknowledged) != 0)
        {
            most = settings[(int)TrackingSetting.TcpUnacknowledgedTimeout];
        }
        else if (_lastWindow == 0)
        {
            most = settings[(int)TrackingSetting.TcpMaxRetransmissionsTimeout];
        }

        return Math.Min(seconds, most);
    }

    private static bool IsBefore(uint a, uint b) => unchecked((int)(a - b)) < 0;
}
