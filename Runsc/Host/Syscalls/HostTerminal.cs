using System.Runtime.InteropServices;
using Runsc.Linux;

namespace Runsc.Host.Syscalls;

/// <summary>struct termios of the kernel (asm-generic/termbits.h), as TCGETS fills it.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct TerminalAttributes
{
    public const int SizeInBytes = 36;

    public uint Input;
    public uint Output;
    public uint Control;
    public uint Local;
    public byte Line;
    public fixed byte Characters[19];
}

/// <summary>struct winsize.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct WindowSize
{
    public const int SizeInBytes = 8;

    public ushort Rows;
    public ushort Columns;
    public ushort PixelWidth;
    public ushort PixelHeight;
}

/// <summary>Terminals of the host (ioctl_tty(2), pty(7)).</summary>
internal static unsafe class HostTerminal
{
    /// <summary>Is it a terminal?</summary>
    public static bool IsTerminal(int fd) => GetAttributes(fd, out _) == 0;

    /// <summary>A new pair, both ends close-on-exec and nobody's controlling terminal. 0 or −errno.</summary>
    public static int OpenPair(out int master, out int replica)
    {
        replica = -1;
        master = HostFile.OpenAt(Fcntl.AT_FDCWD, "/dev/ptmx\0"u8, Fcntl.O_RDWR | Fcntl.O_NOCTTY);
        if (master < 0)
        {
            return master;
        }

        int unlock = 0;
        int result = HostFile.Ioctl(master, (uint)Ioctls.TIOCSPTLCK, (nint)(&unlock));
        if (result == 0)
        {
            result = replica = HostFile.Ioctl(master, Ioctls.TIOCGPTPEER, Fcntl.O_RDWR | Fcntl.O_NOCTTY | Fcntl.O_CLOEXEC);
        }

        if (result < 0)
        {
            _ = HostFile.Close(master);
            return result;
        }

        return 0;
    }

    /// <summary>The N of /dev/pts/N behind a master; negative: −errno.</summary>
    public static int GetNumber(int master)
    {
        int number;
        int result = HostFile.Ioctl(master, (uint)Ioctls.TIOCGPTN, (nint)(&number));
        return result < 0 ? result : number;
    }

    public static int GetSize(int fd, out WindowSize size)
    {
        WindowSize value;
        int result = HostFile.Ioctl(fd, Ioctls.TIOCGWINSZ, (nint)(&value));
        size = result < 0 ? default : value;
        return result;
    }

    public static int SetSize(int fd, WindowSize size) => HostFile.Ioctl(fd, Ioctls.TIOCSWINSZ, (nint)(&size));

    public static int GetAttributes(int fd, out TerminalAttributes attributes)
    {
        TerminalAttributes value;
        int result = HostFile.Ioctl(fd, Ioctls.TCGETS, (nint)(&value));
        attributes = result < 0 ? default : value;
        return result;
    }

    public static int SetAttributes(int fd, TerminalAttributes attributes) => HostFile.Ioctl(fd, Ioctls.TCSETS, (nint)(&attributes));

    /// <summary>The attributes that cfmakeraw(3) makes of others: every byte passes as it is.</summary>
    public static TerminalAttributes MakeRaw(TerminalAttributes attributes)
    {
        attributes.Input &= ~(uint)(Ioctls.IGNBRK | Ioctls.BRKINT | Ioctls.PARMRK | Ioctls.ISTRIP | Ioctls.INLCR | Ioctls.IGNCR | Ioctls.ICRNL | Ioctls.IXON);
        attributes.Output &= ~(uint)Ioctls.OPOST;
        attributes.Local &= ~(uint)(Ioctls.ECHO | Ioctls.ECHONL | Ioctls.ICANON | Ioctls.ISIG | Ioctls.IEXTEN);
        attributes.Control = (attributes.Control & ~(uint)(Ioctls.CSIZE | Ioctls.PARENB)) | Ioctls.CS8;
        attributes.Characters[Ioctls.VMIN] = 1;
        attributes.Characters[Ioctls.VTIME] = 0;
        return attributes;
    }
}
