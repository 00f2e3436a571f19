using Runsc.Host.Syscalls;
using Runsc.Linux;

namespace Runsc.Sentry.FileSystems.DevPts;

/// <summary>The modes of a terminal (termios(3)) as its line discipline asks for them.</summary>
internal readonly struct TerminalModes(in TerminalAttributes attributes)
{
    private readonly TerminalAttributes _attributes = attributes;

    /// <summary>What a new pseudo-terminal has (pty(7)): tty_std_termios of Linux.</summary>
    public static unsafe TerminalAttributes Default
    {
        get
        {
            TerminalAttributes attributes = new()
            {
                Input = Ioctls.ICRNL | Ioctls.IXON,
                Output = Ioctls.OPOST | Ioctls.ONLCR,
                Control = Ioctls.B38400 | Ioctls.CS8 | Ioctls.CREAD,
                Local = Ioctls.ISIG | Ioctls.ICANON | Ioctls.ECHO | Ioctls.ECHOE | Ioctls.ECHOK | Ioctls.ECHOCTL | Ioctls.ECHOKE | Ioctls.IEXTEN,
            };
            attributes.Characters[Ioctls.VINTR] = 3;
            attributes.Characters[Ioctls.VQUIT] = 28;
            attributes.Characters[Ioctls.VERASE] = 127;
            attributes.Characters[Ioctls.VKILL] = 21;
            attributes.Characters[Ioctls.VEOF] = 4;
            attributes.Characters[Ioctls.VMIN] = 1;
            attributes.Characters[Ioctls.VSTART] = 17;
            attributes.Characters[Ioctls.VSTOP] = 19;
            attributes.Characters[Ioctls.VSUSP] = 26;
            attributes.Characters[Ioctls.VREPRINT] = 18;
            attributes.Characters[Ioctls.VDISCARD] = 15;
            attributes.Characters[Ioctls.VWERASE] = 23;
            attributes.Characters[Ioctls.VLNEXT] = 22;
            return attributes;
        }
    }

    public TerminalAttributes Attributes => _attributes;

    public bool HasInput(int flag) => (_attributes.Input & (uint)flag) != 0;

    public bool HasOutput(int flag) => (_attributes.Output & (uint)flag) != 0;

    public bool HasLocal(int flag) => (_attributes.Local & (uint)flag) != 0;

    /// <summary>Input is edited and read by lines. With EXTPROC the other side does that.</summary>
    public bool IsCanonical => HasLocal(Ioctls.ICANON);

    public bool ReadsLines => IsCanonical && !HasLocal(Ioctls.EXTPROC);

    /// <summary>A control character by its index (VINTR, …); 0 for none.</summary>
    public unsafe byte Character(int index) => _attributes.Characters[index];

    /// <summary>Is this byte the control character with an index? A character that is 0 is switched off.</summary>
    public bool Is(byte c, int index) => c != 0 && c == Character(index);

    /// <summary>What the driver of pseudo-terminals makes of wished modes: always 8 bits without parity, receiving.</summary>
    public static TerminalAttributes Normalize(TerminalAttributes wished)
    {
        wished.Control = (wished.Control & ~(uint)(Ioctls.CSIZE | Ioctls.PARENB)) | Ioctls.CS8 | Ioctls.CREAD;
        return wished;
    }

    /// <summary>A byte that goes on with a UTF-8 character, when the terminal knows of UTF-8: it takes no column.</summary>
    public bool IsContinuation(byte c) => HasInput(Ioctls.IUTF8) && (c & 0xc0) == 0x80;

    public static bool IsControl(byte c) => c < 32 || c == 127;

    /// <summary>A letter or digit of Latin-1 or an underscore, as word erase sees it.</summary>
    public static bool IsWord(byte c) =>
        c is (>= (byte)'0' and <= (byte)'9') or (>= (byte)'a' and <= (byte)'z') or (>= (byte)'A' and <= (byte)'Z') or (byte)'_' or (>= 192 and not 215 and not 247);

    public static byte ToLower(byte c) => c is (>= (byte)'A' and <= (byte)'Z') or (>= 192 and <= 222 and not 215) ? (byte)(c + 32) : c;

    public static byte ToUpper(byte c) => c is (>= (byte)'a' and <= (byte)'z') or (>= 223 and not 247) ? (byte)(c - 32) : c;
}
