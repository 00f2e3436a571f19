using System;
using Runsc.Linux;
using Runsc.Sentry.Waiting;

namespace Runsc.Sentry.FileSystems.DevPts;

/// <summary>Bytes through a pseudo-terminal.</summary>
internal sealed partial class Pty
{
    /// <summary>From the master to the line discipline: bytes taken, or −EAGAIN.</summary>
    public long WriteLine(ReadOnlySpan<byte> bytes)
    {
        Effects effects = default;
        int taken;
        lock (_mu)
        {
            BeginLocked();
            taken = _line.Write(bytes);
            PumpLocked(ref effects);

            // What the discipline did not take at once may go on now.
            while (taken < bytes.Length && _line.Free > 0)
            {
                taken += _line.Write(bytes[taken..]);
                PumpLocked(ref effects);
            }
        }

        Apply(effects);
        return taken > 0 || bytes.IsEmpty ? taken : -(long)Errno.EAGAIN;
    }

    /// <summary>TIOCSTI: a byte as if it came from the line.</summary>
    public void Simulate(byte c)
    {
        Effects effects = default;
        lock (_mu)
        {
            BeginLocked();
            if (_discipline.HasRoom)
            {
                ReceiveLocked([c], ref effects);
                FlushEchoLocked(ref effects);
            }
        }

        Apply(effects);
    }

    /// <summary>Gives the discipline what is on the line, as long as it takes bytes.</summary>
    private void PumpLocked(ref Effects effects)
    {
        Span<byte> chunk = stackalloc byte[1];
        while (_discipline.HasRoom && _line.Read(chunk) == 1)
        {
            ReceiveLocked(chunk, ref effects);
        }

        FlushEchoLocked(ref effects);
        if (_line.Free > 0)
        {
            effects.Master |= EventMask.Writable;
        }
    }

    private void ReceiveLocked(ReadOnlySpan<byte> bytes, ref Effects effects)
    {
        long finished = _discipline.Input.LineStart;
        bool wasStopped = _discipline.IsStopped;
        foreach (byte c in bytes)
        {
            _discipline.Receive(c);
            if (_discipline.WantsOutputFlush)
            {
                // The discipline has dropped its echo itself, and then echoed the signal's character.
                _discipline.WantsOutputFlush = false;
                _output.Truncate(_delivered);
                TellPacketLocked(Ioctls.TIOCPKT_FLUSHREAD | Ioctls.TIOCPKT_FLUSHWRITE, 0, ref effects);
                effects.Slave |= EventMask.Writable;
            }
        }

        effects.Signals |= _discipline.Signals;
        _discipline.Signals = 0;
        FlowChangedLocked(wasStopped, ref effects);
        bool news = _discipline.Modes.ReadsLines ? _discipline.Input.LineStart != finished : _discipline.Input.Count > 0;
        if (news)
        {
            effects.Slave |= EventMask.Readable;
        }

        // Else echo goes out when all that came together has been looked at: a STOP among it holds all of it back, as in Linux.
        if (_discipline.WantsEchoNow)
        {
            _discipline.WantsEchoNow = false;
            FlushEchoLocked(ref effects);
        }
    }

    private void FlowChangedLocked(bool wasStopped, ref Effects effects)
    {
        if (wasStopped && !_discipline.IsStopped)
        {
            effects.Slave |= EventMask.Writable;
        }

        if (_discipline.FlowEvent is int flow and not 0)
        {
            _discipline.FlowEvent = 0;
            TellPacketLocked(flow, flow == Ioctls.TIOCPKT_STOP ? Ioctls.TIOCPKT_START : Ioctls.TIOCPKT_STOP, ref effects);
        }
    }

    private void BeginLocked() => _delivered = Math.Min(_output.Count, MasterCapacity);

    private void FlushOutputLocked()
    {
        _output.Truncate(_delivered);
        _discipline.Echo.Clear();
    }

    private void FlushEchoLocked(ref Effects effects)
    {
        if (!_discipline.Echo.IsEmpty && !_discipline.IsStopped && _discipline.Echo.Flush(_discipline.Modes, _output))
        {
            effects.Master |= EventMask.Readable;
        }
    }

    /// <summary>From the slave to the master, with output processing: bytes taken, −EAGAIN when stopped or full, −EIO when nobody is there.</summary>
    public long WriteOutput(ReadOnlySpan<byte> bytes)
    {
        Effects effects = default;
        long taken = 0;
        lock (_mu)
        {
            if (_isMasterClosed)
            {
                return -(long)Errno.EIO;
            }

            FlushEchoLocked(ref effects);
            if (!_discipline.IsStopped && _discipline.Echo.IsEmpty)
            {
                taken = ProcessLocked(bytes);
            }

            if (taken > 0)
            {
                effects.Master |= EventMask.Readable;
            }
        }

        Apply(effects);
        return taken > 0 || bytes.IsEmpty ? taken : -(long)Errno.EAGAIN;
    }

    private int ProcessLocked(ReadOnlySpan<byte> bytes)
    {
        TerminalModes modes = _discipline.Modes;
        if (!modes.HasOutput(Ioctls.OPOST))
        {
            return _output.Write(bytes);
        }

        Span<byte> processed = stackalloc byte[OutputProcessor.MaxExpansion];
        int taken = 0;
        while (taken < bytes.Length && _output.Free >= OutputProcessor.MaxExpansion)
        {
            int n = _column.Process(modes, bytes[taken++], processed);
            _ = _output.Write(processed[..n]);
        }

        return taken;
    }

    /// <summary>
    /// What the master reads: bytes of output; in packet mode a status byte before them, or alone. −EAGAIN; −EIO when the slave is closed and nothing is left.
    /// </summary>
    public long ReadOutput(Span<byte> bytes)
    {
        Effects effects = default;
        long n;
        lock (_mu)
        {
            if (_isPacketMode && _packetStatus != 0)
            {
                bytes[0] = (byte)_packetStatus;
                _packetStatus = 0;
                return 1;
            }

            int header = _isPacketMode ? 1 : 0;
            bool isEmpty = _output.Count == 0;
            n = _output.Read(bytes[header..]);
            if (isEmpty)
            {
                return _isSlaveClosed ? -(long)Errno.EIO : -(long)Errno.EAGAIN;
            }

            if (_isPacketMode)
            {
                bytes[0] = Ioctls.TIOCPKT_DATA;
                n++;
            }

            FlushEchoLocked(ref effects);
            if (!_discipline.IsStopped)
            {
                effects.Slave |= EventMask.Writable;
            }

            effects.Master = EventMask.None;
        }

        Apply(effects);
        return n;
    }

    /// <summary>
    /// What the slave reads. <paramref name="ended"/>: the read is over even if there is room, since a line or the input has ended. −EAGAIN when there is nothing.
    /// </summary>
    public long ReadInput(Span<byte> bytes, out bool ended)
    {
        Effects effects = default;
        long n;
        lock (_mu)
        {
            ended = false;
            if (!_discipline.HasInput)
            {
                return -(long)Errno.EAGAIN;
            }

            BeginLocked();
            n = _discipline.Modes.ReadsLines ? _discipline.Input.TakeLine(bytes, out ended) : _discipline.Input.Take(bytes);
            PumpLocked(ref effects);
            effects.Slave &= ~EventMask.Readable;
        }

        Apply(effects);
        return n;
    }

    /// <summary>So many bytes can be given to <see cref="WriteLine"/> at once.</summary>
    public int LineRoom
    {
        get
        {
            lock (_mu)
            {
                return _line.Free;
            }
        }
    }

    public EventMask MasterReadiness(EventMask mask)
    {
        lock (_mu)
        {
            EventMask events = EventMask.None;
            if (_isPacketMode && _packetStatus != 0)
            {
                events |= EventMask.Pri | EventMask.Readable;
            }

            if (_output.Count > 0)
            {
                events |= EventMask.Readable;
            }

            if (_isSlaveClosed)
            {
                events |= EventMask.Hup;
            }

            if (_line.Free > 0)
            {
                events |= EventMask.Writable;
            }

            return events & (mask | EventMask.Unmaskable);
        }
    }

    public EventMask SlaveReadiness(EventMask mask)
    {
        lock (_mu)
        {
            EventMask events = EventMask.None;
            if (_discipline.IsReadable)
            {
                events |= EventMask.Readable;
            }

            if (!_discipline.IsStopped && _output.Free >= OutputProcessor.MaxExpansion)
            {
                events |= EventMask.Writable;
            }

            return events & (mask | EventMask.Unmaskable);
        }
    }
}
