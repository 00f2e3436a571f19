using System;
using System.Runtime.InteropServices;
using System.Threading;
using Runsc.Host.Syscalls;
using Runsc.Linux;

namespace Runsc.Container.Console;

/// <summary>
/// Joins the user's terminal (standard input and output of this process) to the master of a container's: raw mode, bytes both ways, and the window's size.
/// </summary>
internal sealed class TerminalRelay : IDisposable
{
    private const int BufferSize = 16 << 10;

    private readonly int _master;
    private readonly Action<WindowSize> _resized;
    private readonly Thread _output;
    private readonly PosixSignalRegistration? _window;
    private readonly TerminalAttributes _before;
    private readonly bool _isRaw;

    /// <param name="master">The container's terminal; stays the caller's.</param>
    /// <param name="resized">Hears of a new size, after the terminal has it.</param>
    public TerminalRelay(int master, Action<WindowSize> resized)
    {
        _master = master;
        _resized = resized;
        if (HostTerminal.GetAttributes(0, out _before) == 0)
        {
            _isRaw = HostTerminal.SetAttributes(0, HostTerminal.MakeRaw(_before)) == 0;
            CopySize();
            _window = PosixSignalRegistration.Create(PosixSignal.SIGWINCH, _ => CopySize());
        }

        _output = new Thread(() => Copy(_master, 1), BufferSize * 16) { Name = "terminal output" };
        _output.Start();

        // Reads of the user's terminal cannot be ended: the thread goes with the process.
        new Thread(() => Copy(0, _master), BufferSize * 16) { IsBackground = true, Name = "terminal input" }.Start();
    }

    private void CopySize()
    {
        if (HostTerminal.GetSize(0, out WindowSize size) == 0)
        {
            _ = HostTerminal.SetSize(_master, size);
            _resized(size);
        }
    }

    private static void Copy(int from, int to)
    {
        byte[] buffer = new byte[BufferSize];
        while (true)
        {
            long n = HostFile.Read(from, buffer);
            if (n == -(long)Errno.EINTR)
            {
                continue;
            }

            // EIO: the last process has closed the replica.
            if (n <= 0)
            {
                return;
            }

            ReadOnlySpan<byte> rest = buffer.AsSpan(0, (int)n);
            while (rest.Length > 0)
            {
                long written = HostFile.Write(to, rest);
                if (written < 0 && written != -(long)Errno.EINTR)
                {
                    return;
                }

                rest = rest[(int)Math.Max(written, 0)..];
            }
        }
    }

    /// <summary>Waits for the rest of the output and gives the terminal back as it was. The replica is closed everywhere by now.</summary>
    public void Dispose()
    {
        _output.Join();
        _window?.Dispose();
        if (_isRaw)
        {
            _ = HostTerminal.SetAttributes(0, _before);
        }
    }
}
