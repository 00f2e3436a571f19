using System;
using System.Threading;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.Sentry.Waiting;

namespace Runsc.Sentry.FileSystems.DevPts;

/// <summary>
/// Joins a terminal of the host to the master of a pseudo-terminal of the container. The host's passes bytes as they are; editing, echo, signals
/// and job control are the affair of the container's own. One thread for each.
/// </summary>
internal sealed class HostConsole : Waiter, IDisposable
{
    /// <summary>How often the host's window size is looked at: no signal tells of terminals that control no session of this process.</summary>
    private const int SizeInterval = 250;

    private const int BufferSize = 4096;

    private readonly Pty _pty;
    private readonly int _fd;
    private readonly int _wakeRead;
    private readonly int _wakeWrite;
    private readonly ManualResetEventSlim _ended = new();

    // 1 while a byte is in the wake-up pipe.
    private int _isWoken;

    // What both sides were last seen to have; of the thread.
    private WindowSize _hostSize;
    private WindowSize _innerSize;

    private HostConsole(Pty pty, int fd, int wakeRead, int wakeWrite)
    {
        _pty = pty;
        _fd = fd;
        _wakeRead = wakeRead;
        _wakeWrite = wakeWrite;
        Mask = EventMask.All;
    }

    /// <summary>
    /// Begins: the pseudo-terminal gets the modes and the size that the host's has. The descriptor and the pseudo-terminal's master are owned from now on; on
    /// failure (an errno of the host) neither.
    /// </summary>
    public static Errno Start(Pty pty, int fd, out HostConsole? console)
    {
        console = null;
        int result = HostTerminal.GetAttributes(fd, out TerminalAttributes attributes);
        int read = -1, write = -1;
        if (result >= 0)
        {
            result = HostFile.Pipe(out read, out write);
        }

        if (result < 0)
        {
            return (Errno)(-result);
        }

        pty.SetModes(attributes, flush: false);
        _ = HostTerminal.SetAttributes(fd, HostTerminal.MakeRaw(attributes));
        _ = HostFile.SetNonBlocking(fd);
        console = new HostConsole(pty, fd, read, write);
        if (HostTerminal.GetSize(fd, out console._hostSize) >= 0)
        {
            pty.SetSize(console._hostSize);
        }

        console._innerSize = pty.Size;
        pty.MasterEvents.Register(console);
        new Thread(console.Run, 256 << 10) { IsBackground = true, Name = "console" }.Start();
        return Errno.None;
    }

    /// <summary>Waits until the last output is with the host: when the container's processes have closed the terminal.</summary>
    public bool WaitForEnd(int milliseconds) => _ended.Wait(milliseconds);

    public override void Notify(EventMask events)
    {
        if (Interlocked.Exchange(ref _isWoken, 1) == 0)
        {
            _ = HostFile.Write(_wakeWrite, [1]);
        }
    }

    private void Run()
    {
        Pass();
        _pty.MasterEvents.Unregister(this);
        _pty.ReleaseMaster();
        _ = HostFile.Close(_fd);
        _ = HostFile.Close(_wakeRead);
        _ = HostFile.Close(_wakeWrite);
        _ended.Set();
    }

    /// <summary>Returns when either side has hung up.</summary>
    private void Pass()
    {
        byte[] input = new byte[BufferSize], output = new byte[BufferSize];
        int pending = 0, sent = 0;
        Span<PollFd> items = stackalloc PollFd[2];
        while (true)
        {
            if (sent == pending)
            {
                long n = _pty.ReadOutput(output);
                if (n == -(long)Errno.EIO)
                {
                    return;
                }

                sent = 0;
                pending = (int)Math.Max(n, 0);
            }

            int room = Math.Min(_pty.LineRoom, input.Length);
            items[0] = new PollFd { Fd = _fd, Events = (short)((room > 0 ? (int)EventMask.In : 0) | (sent < pending ? (int)EventMask.Out : 0)) };
            items[1] = new PollFd { Fd = _wakeRead, Events = (short)EventMask.In };
            _ = HostEvents.Poll(items, SizeInterval);
            CompareSizes();
            if ((items[1].Returned & (short)EventMask.In) != 0)
            {
                _ = HostFile.Read(_wakeRead, input.AsSpan(0, 1));
                _ = Interlocked.Exchange(ref _isWoken, 0);
            }

            EventMask events = (EventMask)(ushort)items[0].Returned;
            if ((events & EventMask.In) != 0)
            {
                long n = HostFile.Read(_fd, input.AsSpan(0, room));
                if (n is 0 or (< 0 and not -(long)Errno.EAGAIN and not -(long)Errno.EINTR))
                {
                    return;
                }

                _ = n > 0 ? _pty.WriteLine(input.AsSpan(0, (int)n)) : 0;
            }
            else if ((events & (EventMask.Hup | EventMask.Err)) != 0)
            {
                return;
            }

            if ((events & EventMask.Out) != 0)
            {
                long n = HostFile.Write(_fd, output.AsSpan(sent, pending - sent));
                if (n is < 0 and not -(long)Errno.EAGAIN and not -(long)Errno.EINTR)
                {
                    return;
                }

                sent += (int)Math.Max(n, 0);
            }
        }
    }

    /// <summary>Whichever side has changed tells the other.</summary>
    private void CompareSizes()
    {
        if (HostTerminal.GetSize(_fd, out WindowSize now) >= 0 && !now.Equals(_hostSize))
        {
            _hostSize = _innerSize = now;
            _pty.SetSize(now);
        }
        else if (_pty.Size is WindowSize inner && !inner.Equals(_innerSize))
        {
            _hostSize = _innerSize = inner;
            _ = HostTerminal.SetSize(_fd, inner);
        }
    }

    public void Dispose() => _ended.Dispose();
}
