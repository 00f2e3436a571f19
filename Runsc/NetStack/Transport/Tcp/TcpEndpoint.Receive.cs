using System;

namespace Runsc.NetStack.Transport.Tcp;

/// <summary>Reading: the socket's side.</summary>
internal sealed partial class TcpEndpoint
{
    // A reader copies outside the lock: nothing is taken out of the queue.
    private bool _reading;
    private bool _readerWaits;

    // What the tuning of the receive buffer has measured (tcp_rcv_space_adjust).
    private SeqNum _spaceSeq;
    private long _spaceTime;
    private int _spaceBytes;

    /// <summary>Bytes that a read would give, for poll(2) and FIONREAD: an urgent byte at the front that is not inline does not count.</summary>
    public int ReadableBytes
    {
        get
        {
            int length = _receive.Length;
            if (_urgent != UrgentState.None && !Settings.OobInline && _urgentSeq.IsIn(_copied, _copied + length))
            {
                length--;
            }

            return length;
        }
    }

    /// <summary>SIOCATMARK.</summary>
    public bool IsAtMark
    {
        get
        {
            using (_stack.Enter())
            {
                return _urgent != UrgentState.None && _copied == _urgentSeq;
            }
        }
    }

    /// <summary>Copies up to a buffer's length under the lock: no user memory. None with 0 bytes is the end of the stream.</summary>
    public NetError Receive(Span<byte> buffer, bool peek, out int count)
    {
        using (_stack.Enter())
        {
            count = 0;
            NetError error = BeginReceiveLocked(buffer.Length, 0, peek, out TcpReadView view);
            if (error != NetError.None)
            {
                return error;
            }

            count = view.CopyTo(buffer);
            _reading = false;
            if (!peek)
            {
                ConsumeLocked(count);
            }

            return NetError.None;
        }
    }

    /// <summary>Begins a read of up to <paramref name="maximum"/> bytes, <paramref name="skip"/> bytes behind the front (SO_PEEK_OFF), that is copied without the lock.</summary>
    /// <remarks>
    /// On None the caller copies from the view and must call <see cref="EndReceive"/>, whatever happens. A view of length 0 is the end of
    /// the stream. WouldBlock: nothing is there, or another reader is at it; Readable is raised when that one is through.
    /// </remarks>
    public NetError BeginReceive(int maximum, int skip, bool peek, out TcpReadView view)
    {
        using (_stack.Enter())
        {
            return BeginReceiveLocked(maximum, skip, peek, out view);
        }
    }

    /// <summary>Ends a read: drops the bytes that were consumed (0 for MSG_PEEK, fewer than the view's after a fault).</summary>
    public void EndReceive(int consumed)
    {
        using (_stack.Enter())
        {
            _reading = false;
            ConsumeLocked(consumed);
            if (_readerWaits)
            {
                _readerWaits = false;
                Notifier.Raise(NetEvents.Readable);
            }
        }
    }

    /// <summary>MSG_OOB. EINVAL if there is no urgent byte or it is inline, WouldBlock if it did not come yet.</summary>
    public NetError ReceiveUrgent(bool peek, out byte value, out int count)
    {
        using (_stack.Enter())
        {
            value = 0;
            count = 0;
            if (Settings.OobInline || _urgent is UrgentState.None or UrgentState.Read)
            {
                return NetError.InvalidArgument;
            }

            if (_urgent == UrgentState.Valid)
            {
                value = _urgentByte;
                count = 1;
                if (!peek)
                {
                    _urgent = UrgentState.Read;
                }

                return NetError.None;
            }

            return _state == TcpState.Closed || _receiveShut ? NetError.None : NetError.WouldBlock;
        }
    }

    /// <summary>SO_RCVBUF, already doubled and limited by the caller.</summary>
    public void SetReceiveBuffer(int size)
    {
        using (_stack.Enter())
        {
            Settings.ReceiveBuffer = size;
            Settings.ReceiveBufferLocked = true;
        }
    }

    private NetError BeginReceiveLocked(int maximum, int skip, bool peek, out TcpReadView view)
    {
        view = default;
        if (_state == TcpState.Listen)
        {
            return NetError.NotConnected;
        }

        if (_reading)
        {
            _readerWaits = true;
            return NetError.WouldBlock;
        }

        int available = _receive.Length;
        if (_urgent != UrgentState.None)
        {
            int mark = _urgentSeq - _copied;
            if (mark == skip && available > skip && !Settings.OobInline)
            {
                // The urgent byte is not part of the stream that is read.
                if (peek)
                {
                    skip++;
                }
                else
                {
                    ConsumeLocked(1);
                    available--;
                }
            }
            else if (mark > skip && mark < available)
            {
                // A read ends before the mark.
                available = mark;
            }
        }

        int length = Math.Min(maximum, available - skip);
        if (length > 0 || (maximum == 0 && available > skip))
        {
            _reading = true;
            view = new TcpReadView(_receive.Head, skip, Math.Max(0, length));
            return NetError.None;
        }

        if (_error != NetError.None)
        {
            return TakeErrorLocked();
        }

        if (_receiveShut)
        {
            _reading = true;
            return NetError.None;
        }

        return _state == TcpState.Closed ? NetError.NotConnected : NetError.WouldBlock;
    }

    private void ConsumeLocked(int count)
    {
        if (count <= 0)
        {
            return;
        }

        _receive.Consume(count);
        _copied += count;
        if (_urgent != UrgentState.None && _copied > _urgentSeq)
        {
            _urgent = UrgentState.None;
        }

        Recharge();
        TuneReceiveBuffer();
        AckAfterRead(count);
    }

    /// <summary>Once a round trip: if the application reads faster than the buffer allows, the buffer grows (dynamic right-sizing).</summary>
    private void TuneReceiveBuffer()
    {
        long now = _stack.Now;
        if (now - _spaceTime < _receiveRtt * Microsecond || _receiveRtt == 0)
        {
            return;
        }

        int copied = _copied - _spaceSeq;
        if (copied > _spaceBytes)
        {
            if (_protocol.Parameters.ModerateReceiveBuffer && !Settings.ReceiveBufferLocked && !_protocol.IsUnderPressure)
            {
                // Twice what was read in the round trip, and as much more as it grew, for a sender in slow start.
                long wanted = (2L * copied) + (16L * _advertisedMss);
                long growth = wanted * (copied - _spaceBytes) / Math.Max(_spaceBytes, 1);
                wanted = Math.Min(wanted + (2 * growth), _protocol.Parameters.MaximumReceiveBuffer);
                int size = (int)Math.Min(SpaceFor(wanted), _protocol.Parameters.MaximumReceiveBuffer);
                if (size > Settings.ReceiveBuffer)
                {
                    Settings.ReceiveBuffer = size;
                }
            }

            _spaceBytes = copied;
        }

        _spaceSeq = _copied;
        _spaceTime = now;
    }
}
