using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.Sentry.Waiting;

namespace Runsc.Sentry.FileSystems.DevPts;

/// <summary>Modes, window size, packet mode and flow control of a pseudo-terminal (ioctl_tty(2)).</summary>
internal sealed partial class Pty
{
    private WindowSize _size;
    private bool _isPacketMode;
    private int _packetStatus;

    public TerminalModes Modes
    {
        get
        {
            lock (_mu)
            {
                return _discipline.Modes;
            }
        }
    }

    /// <summary>TCSETS*: with <paramref name="flush"/>, input that nobody has read is dropped.</summary>
    public void SetModes(TerminalAttributes wished, bool flush)
    {
        Effects effects = default;
        TerminalAttributes attributes = TerminalModes.Normalize(wished);
        lock (_mu)
        {
            BeginLocked();
            if (flush)
            {
                _discipline.Flush();
            }

            TerminalModes old = _discipline.Modes;
            bool wasStopped = _discipline.IsStopped;
            _discipline.SetModes(attributes);
            TerminalModes now = _discipline.Modes;
            FlowChangedLocked(wasStopped, ref effects);
            if (UsesUsualFlow(old) != UsesUsualFlow(now))
            {
                (int set, int clear) = UsesUsualFlow(now) ? (Ioctls.TIOCPKT_DOSTOP, Ioctls.TIOCPKT_NOSTOP) : (Ioctls.TIOCPKT_NOSTOP, Ioctls.TIOCPKT_DOSTOP);
                TellPacketLocked(set, clear, ref effects);
            }

            if (old.HasLocal(Ioctls.EXTPROC) || now.HasLocal(Ioctls.EXTPROC))
            {
                TellPacketLocked(Ioctls.TIOCPKT_IOCTL, 0, ref effects);
            }

            PumpLocked(ref effects);
            effects.Slave |= EventMask.Readable | EventMask.Writable;
        }

        Apply(effects);
    }

    // What TIOCPKT_DOSTOP promises: ^S and ^Q stop and start.
    private static bool UsesUsualFlow(in TerminalModes modes) =>
        modes.HasInput(Ioctls.IXON) && modes.Character(Ioctls.VSTOP) == 19 && modes.Character(Ioctls.VSTART) == 17;

    private void TellPacketLocked(int set, int clear, ref Effects effects)
    {
        if (_isPacketMode)
        {
            _packetStatus = (_packetStatus & ~clear) | set;
            effects.Master |= EventMask.Pri | EventMask.Readable;
        }
    }

    /// <summary>TIOCPKT. For the master.</summary>
    public bool IsPacketMode
    {
        get
        {
            lock (_mu)
            {
                return _isPacketMode;
            }
        }

        set
        {
            lock (_mu)
            {
                _packetStatus = _isPacketMode ? _packetStatus : 0;
                _isPacketMode = value;
            }
        }
    }

    public WindowSize Size
    {
        get
        {
            lock (_mu)
            {
                return _size;
            }
        }
    }

    /// <summary>TIOCSWINSZ: the foreground job hears of a change.</summary>
    public void SetSize(WindowSize size)
    {
        lock (_mu)
        {
            if (size.Equals(_size))
            {
                return;
            }

            _size = size;
        }

        SignalForeground(Signal.SIGWINCH);
    }

    /// <summary>TCOOFF, TCOON: stops and starts output.</summary>
    public void HoldOutput(bool on)
    {
        Effects effects = default;
        lock (_mu)
        {
            bool wasStopped = _discipline.IsStopped;
            _discipline.Hold(on);
            FlowChangedLocked(wasStopped, ref effects);
            FlushEchoLocked(ref effects);
        }

        Apply(effects);
    }

    /// <summary>TCIOFF, TCION: the other side is asked to stop or start by its character.</summary>
    public void SendFlowCharacter(bool stop)
    {
        Effects effects = default;
        lock (_mu)
        {
            byte c = _discipline.Modes.Character(stop ? Ioctls.VSTOP : Ioctls.VSTART);
            if (c != 0 && _output.Write([c]) == 1)
            {
                effects.Master |= EventMask.Readable;
            }
        }

        Apply(effects);
    }

    /// <summary>tcflush(3) at the slave: input that it has not read, output that the master has not read.</summary>
    public void FlushSlave(bool input, bool output)
    {
        Effects effects = default;
        lock (_mu)
        {
            BeginLocked();
            if (input)
            {
                _discipline.Flush();
                TellPacketLocked(Ioctls.TIOCPKT_FLUSHREAD, 0, ref effects);
                PumpLocked(ref effects);
            }

            if (output)
            {
                FlushOutputLocked();
                TellPacketLocked(Ioctls.TIOCPKT_FLUSHWRITE, 0, ref effects);
                effects.Slave |= EventMask.Writable;
            }
        }

        Apply(effects);
    }

    /// <summary>tcflush(3) at the master: its input is the slave's output.</summary>
    public void FlushMaster(bool input, bool output)
    {
        Effects effects = default;
        lock (_mu)
        {
            if (input)
            {
                _output.Clear();
                effects.Slave |= EventMask.Writable;
            }

            if (output)
            {
                _line.Clear();
                effects.Master |= EventMask.Writable;
            }
        }

        Apply(effects);
    }

    /// <summary>FIONREAD.</summary>
    public int CountInput(bool asMaster)
    {
        lock (_mu)
        {
            return asMaster ? _output.Count : _discipline.Modes.ReadsLines ? _discipline.Input.CountFinished() : _discipline.Input.Count;
        }
    }
}
