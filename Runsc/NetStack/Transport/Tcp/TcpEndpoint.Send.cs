using System;
using Runsc.NetStack.Buffers;

namespace Runsc.NetStack.Transport.Tcp;

/// <summary>Writing: the socket's side.</summary>
internal sealed partial class TcpEndpoint
{
    /// <summary>Data in a SYN that asks to be opened fast: what surely fits beside its options.</summary>
    public const int MaximumSynData = 1200;

    // A writer was refused: tell it when there is room again.
    private bool _writerWaits;

    // The last write said MSG_MORE: a small segment waits for the next write.
    private bool _moreToCome;

    /// <summary>SO_SNDBUF, tuned or chosen.</summary>
    private int SendLimit => Settings.SendBuffer;

    /// <summary>poll(2)'s idea of writable: a third of the buffer is free, and not too much waits to be sent.</summary>
    private bool HasSendRoom =>
        _send.Charged < SendLimit && SendLimit - _send.Charged >= _send.Charged >> 1 && Unsent < NotSentLimit;

    /// <summary>Bytes that were written and never sent.</summary>
    private long Unsent => Math.Max(0, _send.End - _sndNxt);

    private uint NotSentLimit => Settings.NotSentLowWater != 0 ? Settings.NotSentLowWater : _protocol.Parameters.NotSentLowWater;

    /// <summary>How many bytes <see cref="Send(ReadOnlySpan{byte}, TcpSendFlags, out int)"/> would take now: for the size of the buffer that is filled first.</summary>
    public NetError CheckSend(out int room)
    {
        using (_stack.Enter())
        {
            return CheckSendLocked(out room);
        }
    }

    /// <summary>Copies and sends bytes; they are no user memory, for the copy is made under the lock. Returns what was taken, or WouldBlock.</summary>
    public NetError Send(ReadOnlySpan<byte> data, TcpSendFlags flags, out int sent)
    {
        using (_stack.Enter())
        {
            sent = 0;
            NetError error = CheckSendLocked(out int room);
            if (error != NetError.None || data.IsEmpty)
            {
                return error;
            }

            sent = _send.Append(data[..Math.Min(data.Length, room)], _stack.Pool);
            if (sent == 0)
            {
                _writerWaits = true;
                return NetError.WouldBlock;
            }

            AfterWrite(sent == data.Length ? flags : flags & TcpSendFlags.More);
            return NetError.None;
        }
    }

    /// <summary>Sends from a slab whose bytes do not change any more; it is retained as needed. Returns what was taken, or WouldBlock.</summary>
    public NetError Send(Slab slab, int offset, int length, TcpSendFlags flags, out int sent)
    {
        using (_stack.Enter())
        {
            sent = 0;
            NetError error = CheckSendLocked(out int room);
            if (error != NetError.None || length == 0)
            {
                return error;
            }

            sent = Math.Min(length, room);
            _send.Append(slab, offset, sent);
            AfterWrite(sent == length ? flags : flags & TcpSendFlags.More);
            return NetError.None;
        }
    }

    private NetError CheckSendLocked(out int room)
    {
        room = 0;
        if (_error != NetError.None)
        {
            return TakeErrorLocked();
        }

        if (_sendShut)
        {
            return NetError.BrokenPipe;
        }

        switch (_state)
        {
            case TcpState.Established:
            case TcpState.CloseWait:
                break;
            case TcpState.SynReceived when _isFastOpen:
                break;
            case TcpState.SynSent when _deferredConnect:
                room = MaximumSynData - _send.Length;
                return room > 0 ? NetError.None : NetError.WouldBlock;
            case TcpState.SynSent:
            case TcpState.SynReceived:
                _writerWaits = true;
                return NetError.WouldBlock;
            default:
                return NetError.BrokenPipe;
        }

        // A few bytes of room are no room: the buffer would be filled with crumbs.
        room = SendLimit - _send.Charged;
        if (room < Math.Min(4096, SendLimit / 4) || Unsent >= NotSentLimit || (_protocol.IsOutOfMemory && _send.Length > 0))
        {
            room = 0;
            _writerWaits = true;
            return NetError.WouldBlock;
        }

        CheckAppLimited();
        return NetError.None;
    }

    private void AfterWrite(TcpSendFlags flags)
    {
        Recharge();
        if ((flags & TcpSendFlags.Urgent) != 0)
        {
            _sndUp = _send.End;
            _sendsUrgent = true;
        }

        if (_deferredConnect)
        {
            _deferredConnect = false;
            SendConnectLocked();
            return;
        }

        _pushEnd = _send.End;
        _moreToCome = (flags & TcpSendFlags.More) != 0;
        Push(CurrentMss(), forceSmall: (flags & TcpSendFlags.Urgent) != 0);
    }

    /// <summary>TCP_NODELAY. Setting it sends what waits.</summary>
    public void SetNoDelay(bool on)
    {
        using (_stack.Enter())
        {
            Settings.NoDelay = on;
            if (on && CanSendData)
            {
                Push(CurrentMss());
            }
        }
    }

    /// <summary>TCP_CORK. Clearing it sends what waits.</summary>
    public void SetCork(bool on)
    {
        using (_stack.Enter())
        {
            Settings.Cork = on;
            if (!on)
            {
                _moreToCome = false;
                if (CanSendData)
                {
                    Push(CurrentMss(), forceSmall: true);
                }
            }
        }
    }

    /// <summary>SO_SNDBUF, already doubled and limited by the caller.</summary>
    public void SetSendBuffer(int size)
    {
        using (_stack.Enter())
        {
            Settings.SendBuffer = size;
            Settings.SendBufferLocked = true;
            RaiseWritable();
        }
    }

    private bool CanSendData => _state is TcpState.Established or TcpState.CloseWait or TcpState.FinWait1 or TcpState.Closing or TcpState.LastAck;

    /// <summary>Tells a writer that was refused, once there is room.</summary>
    private void RaiseWritable()
    {
        if (_writerWaits && HasSendRoom)
        {
            _writerWaits = false;
            Notifier.Raise(NetEvents.Writable);
        }
    }

    /// <summary>The send buffer follows the window: twice what may be out, so that the next round is written meanwhile.</summary>
    private void GrowSendBuffer()
    {
        if (Settings.SendBufferLocked || _protocol.IsUnderPressure)
        {
            return;
        }

        long segments = Math.Max(Math.Max(_window.Size, Congestion.CongestionWindow.Initial), _reordering + 1);
        long wanted = 2 * segments * (_mssCache + 256L);
        if (wanted > Settings.SendBuffer)
        {
            Settings.SendBuffer = (int)Math.Min(wanted, _protocol.Parameters.MaximumSendBuffer);
        }
    }
}
