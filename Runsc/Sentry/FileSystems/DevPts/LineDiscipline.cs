using System;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.Sentry.Kernel.Signals;

namespace Runsc.Sentry.FileSystems.DevPts;

/// <summary>
/// What becomes of bytes that arrive from the line (N_TTY of Linux; termios(3)): editing, echo, signals, flow control. Guarded by the lock of the
/// terminal that owns it.
/// </summary>
internal sealed class LineDiscipline(OutputProcessor output)
{
    private readonly EchoQueue _echo = new(output);

    // The next character is taken as it is; with ECHOPRT, erased characters are being shown between \ and /.
    private bool _isLiteral;
    private bool _isErasing;

    public InputQueue Input { get; } = new();

    public EchoQueue Echo => _echo;

    public TerminalModes Modes { get; private set; } = new(TerminalModes.Default);

    /// <summary>Output is stopped: by a STOP character or by TCOOFF.</summary>
    public bool IsStopped { get; private set; }

    /// <summary>Stopped by TCOOFF: only TCOON starts it again.</summary>
    public bool IsHeld { get; private set; }

    /// <summary>What packet mode is to tell of the flow: TIOCPKT_STOP, TIOCPKT_START, or 0.</summary>
    public int FlowEvent { get; set; }

    /// <summary>Signals that typed characters made and that have not been sent; bit N−1 for signal N.</summary>
    public ulong Signals { get; set; }

    /// <summary>A signal character has flushed: the output on its way is to be dropped too.</summary>
    public bool WantsOutputFlush { get; set; }

    /// <summary>A character that starts output lets waiting echo go at once.</summary>
    public bool WantsEchoNow { get; set; }

    /// <summary>Can a reader have something?</summary>
    public bool HasInput => Modes.ReadsLines ? Input.FinishedCount > 0 : Input.Count > 0;

    /// <summary>As poll(2) sees it: without canonical mode and with VTIME 0, VMIN bytes.</summary>
    public bool IsReadable
    {
        get
        {
            if (Modes.ReadsLines)
            {
                return Input.FinishedCount > 0;
            }

            int minimum = Modes.Character(Ioctls.VTIME) == 0 ? Math.Max((int)Modes.Character(Ioctls.VMIN), 1) : 1;
            return Input.Count >= minimum;
        }
    }

    /// <summary>May another byte be given to <see cref="Receive"/>? An endless line loses its end, but must not wait for a reader.</summary>
    public bool HasRoom
    {
        get
        {
            int room = InputQueue.Size - Input.Count;
            room = Modes.HasInput(Ioctls.PARMRK) ? (room + 2) / 3 : room;
            return room > 1 || (Modes.IsCanonical && Input.FinishedCount == 0);
        }
    }

    private void Start()
    {
        if (IsStopped && !IsHeld)
        {
            IsStopped = false;
            FlowEvent = Ioctls.TIOCPKT_START;
        }
    }

    private void Stop()
    {
        if (!IsStopped)
        {
            IsStopped = true;
            FlowEvent = Ioctls.TIOCPKT_STOP;
        }
    }

    /// <summary>TCOOFF and TCOON.</summary>
    public void Hold(bool on)
    {
        if (on)
        {
            IsHeld = true;
            Stop();
        }
        else if (IsHeld)
        {
            IsHeld = false;
            Start();
        }
    }

    public void SetModes(in TerminalAttributes attributes)
    {
        TerminalModes old = Modes;
        Modes = new TerminalModes(attributes);
        if (((old.Attributes.Local ^ attributes.Local) & (uint)(Ioctls.ICANON | Ioctls.EXTPROC)) != 0)
        {
            Input.Reinterpret(Modes.IsCanonical);
            _isErasing = false;
            _isLiteral = false;
        }

        if (!Modes.HasInput(Ioctls.IXON) && old.HasInput(Ioctls.IXON))
        {
            Start();
        }
    }

    /// <summary>TCIFLUSH.</summary>
    public void Flush()
    {
        Input.Clear();
        _isErasing = false;
        _isLiteral = false;
    }

    /// <summary>A byte from the line. <see cref="HasRoom"/> holds.</summary>
    public void Receive(byte c)
    {
        TerminalModes modes = Modes;
        if (Input.Count >= InputQueue.Size)
        {
            // The line has no end: its last byte makes room for the one that may end it.
            Input.TruncateTo(Input.Head - 1);
        }

        if (modes.HasInput(Ioctls.ISTRIP))
        {
            c &= 0x7f;
        }

        if (modes.HasInput(Ioctls.IUCLC) && modes.HasLocal(Ioctls.IEXTEN))
        {
            c = TerminalModes.ToLower(c);
        }

        if (modes.HasLocal(Ioctls.EXTPROC))
        {
            Input.Put(c);
        }
        else if (_isLiteral)
        {
            _isLiteral = false;
            Ordinary(modes, c);
        }
        else
        {
            Special(modes, c);
        }
    }

    private void Ordinary(in TerminalModes modes, byte c)
    {
        StartIfAny(modes);
        if (modes.HasLocal(Ioctls.ECHO))
        {
            FinishErasing();
            EchoInLine(modes, c);
        }

        PutMarked(modes, c);
    }

    private void PutMarked(in TerminalModes modes, byte c)
    {
        if (c == 0xff && modes.HasInput(Ioctls.PARMRK))
        {
            Input.Put(c);
        }

        Input.Put(c);
    }

    private void StartIfAny(in TerminalModes modes)
    {
        if (IsStopped && !IsHeld && modes.HasInput(Ioctls.IXON) && modes.HasInput(Ioctls.IXANY))
        {
            Start();
            WantsEchoNow = true;
        }
    }

    private void Special(in TerminalModes modes, byte c)
    {
        if (modes.HasInput(Ioctls.IXON))
        {
            if (modes.Is(c, Ioctls.VSTART))
            {
                Start();
                WantsEchoNow = true;
                return;
            }

            if (modes.Is(c, Ioctls.VSTOP))
            {
                Stop();
                return;
            }
        }

        if (modes.HasLocal(Ioctls.ISIG))
        {
            int signal = modes.Is(c, Ioctls.VINTR) ? Signal.SIGINT
                : modes.Is(c, Ioctls.VQUIT) ? Signal.SIGQUIT
                : modes.Is(c, Ioctls.VSUSP) ? Signal.SIGTSTP
                : 0;
            if (signal != 0)
            {
                MakeSignal(modes, signal, c);
                return;
            }
        }

        bool isMapped = false;
        if (c == (byte)'\r')
        {
            if (modes.HasInput(Ioctls.IGNCR))
            {
                StartIfAny(modes);
                return;
            }

            if (modes.HasInput(Ioctls.ICRNL))
            {
                c = (byte)'\n';
                isMapped = true;
            }
        }
        else if (c == (byte)'\n' && modes.HasInput(Ioctls.INLCR))
        {
            c = (byte)'\r';
        }

        if (modes.IsCanonical && Edit(modes, c))
        {
            StartIfAny(modes);
            return;
        }

        // A return that became a newline is echoed as one; a newline itself is a control character here.
        if (isMapped && modes.HasLocal(Ioctls.ECHO))
        {
            StartIfAny(modes);
            FinishErasing();
            _echo.Raw(c);
            PutMarked(modes, c);
            return;
        }

        Ordinary(modes, c);
    }

    private void MakeSignal(in TerminalModes modes, int signal, byte c)
    {
        Signals |= SignalQueue.Bit(signal);
        if (!modes.HasLocal(Ioctls.NOFLSH))
        {
            WantsOutputFlush = true;
            _echo.Clear();
            Flush();
        }

        if (modes.HasInput(Ioctls.IXON))
        {
            Start();
        }

        if (modes.HasLocal(Ioctls.ECHO))
        {
            _echo.Character(modes, c);
        }
        else
        {
            WantsEchoNow = true;
        }
    }

    /// <summary>Canonical mode: false for a character that is nothing special.</summary>
    private bool Edit(in TerminalModes modes, byte c)
    {
        bool extended = modes.HasLocal(Ioctls.IEXTEN), echoes = modes.HasLocal(Ioctls.ECHO);
        if (modes.Is(c, Ioctls.VERASE) || modes.Is(c, Ioctls.VKILL) || (extended && modes.Is(c, Ioctls.VWERASE)))
        {
            Erase(modes, c);
            return true;
        }

        if (extended && modes.Is(c, Ioctls.VLNEXT))
        {
            _isLiteral = true;
            if (echoes)
            {
                FinishErasing();
                if (modes.HasLocal(Ioctls.ECHOCTL))
                {
                    _echo.Raw((byte)'^');
                    _echo.Raw((byte)'\b');
                }
            }

            return true;
        }

        if (extended && echoes && modes.Is(c, Ioctls.VREPRINT))
        {
            FinishErasing();
            _echo.Character(modes, c);
            _echo.Raw((byte)'\n');
            for (long i = Input.LineStart; i < Input.Head; i++)
            {
                _echo.Character(modes, Input[i]);
            }

            return true;
        }

        if (c == (byte)'\n')
        {
            if (echoes || modes.HasLocal(Ioctls.ECHONL))
            {
                _echo.Raw(c);
            }

            Input.PutLineEnd(c);
            return true;
        }

        if (modes.Is(c, Ioctls.VEOF))
        {
            Input.PutLineEnd(0);
            return true;
        }

        if (modes.Is(c, Ioctls.VEOL) || (extended && modes.Is(c, Ioctls.VEOL2)))
        {
            if (echoes)
            {
                EchoInLine(modes, c);
            }

            if (c == 0xff && modes.HasInput(Ioctls.PARMRK))
            {
                Input.Put(c);
            }

            Input.PutLineEnd(c);
            return true;
        }

        return false;
    }

    private void EchoInLine(in TerminalModes modes, byte c)
    {
        if (Input.LineStart == Input.Head)
        {
            _echo.MarkLine();
        }

        _echo.Character(modes, c);
    }

    private void FinishErasing()
    {
        if (_isErasing)
        {
            _echo.Raw((byte)'/');
            _isErasing = false;
        }
    }

    private void Erase(in TerminalModes modes, byte c)
    {
        if (Input.Head == Input.LineStart)
        {
            return;
        }

        bool echoes = modes.HasLocal(Ioctls.ECHO), whole = modes.Is(c, Ioctls.VKILL) && !modes.Is(c, Ioctls.VERASE);
        bool word = !whole && !modes.Is(c, Ioctls.VERASE);
        if (whole && (!echoes || !modes.HasLocal(Ioctls.ECHOK) || !modes.HasLocal(Ioctls.ECHOKE) || !modes.HasLocal(Ioctls.ECHOE)))
        {
            Input.TruncateTo(Input.LineStart);
            if (echoes)
            {
                FinishErasing();
                _echo.Character(modes, modes.Character(Ioctls.VKILL));
                if (modes.HasLocal(Ioctls.ECHOK))
                {
                    _echo.Raw((byte)'\n');
                }
            }

            return;
        }

        bool seenWord = false;
        while (Input.Head > Input.LineStart)
        {
            long head = Input.Head;
            byte erased;
            do
            {
                erased = Input[--head];
            }
            while (modes.IsContinuation(erased) && head > Input.LineStart);

            // A character of several bytes goes as a whole or not at all.
            if (modes.IsContinuation(erased))
            {
                break;
            }

            if (word)
            {
                if (TerminalModes.IsWord(erased))
                {
                    seenWord = true;
                }
                else if (seenWord)
                {
                    break;
                }
            }

            long end = Input.Head;
            Input.TruncateTo(head);
            if (echoes)
            {
                EchoErased(modes, erased, head, end, !whole && !word);
            }

            if (!whole && !word)
            {
                break;
            }
        }

        if (Input.Head == Input.LineStart && echoes)
        {
            FinishErasing();
        }
    }

    /// <summary>Shows that the character at <paramref name="head"/>, which ended at <paramref name="end"/>, is gone.</summary>
    private void EchoErased(in TerminalModes modes, byte erased, long head, long end, bool single)
    {
        if (modes.HasLocal(Ioctls.ECHOPRT))
        {
            if (!_isErasing)
            {
                _echo.Raw((byte)'\\');
                _isErasing = true;
            }

            _echo.Character(modes, erased);
            for (long i = head + 1; i < end; i++)
            {
                _echo.Raw(Input[i]);
                _echo.StepBack();
            }
        }
        else if (single && !modes.HasLocal(Ioctls.ECHOE))
        {
            _echo.Character(modes, modes.Character(Ioctls.VERASE));
        }
        else if (erased == (byte)'\t')
        {
            uint width = 0;
            bool afterTab = false;
            for (long i = head - 1; i >= Input.LineStart && !afterTab; i--)
            {
                byte c = Input[i];
                if (c == (byte)'\t')
                {
                    afterTab = true;
                }
                else if (TerminalModes.IsControl(c))
                {
                    width += modes.HasLocal(Ioctls.ECHOCTL) ? 2u : 0;
                }
                else if (!modes.IsContinuation(c))
                {
                    width++;
                }
            }

            _echo.EraseTab(width, afterTab);
        }
        else
        {
            bool control = TerminalModes.IsControl(erased);
            if (control && modes.HasLocal(Ioctls.ECHOCTL))
            {
                _echo.Rubout();
            }

            if (!control || modes.HasLocal(Ioctls.ECHOCTL))
            {
                _echo.Rubout();
            }
        }
    }
}
