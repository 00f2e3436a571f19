using System;
using System.Threading;
using Runsc.Host.Syscalls;
using Runsc.Linux;

namespace Runsc.Shim.Io;

/// <summary>Copies from one descriptor to another on a thread of its own until the end of the input. A target that fails is no end: the rest is read and dropped.</summary>
internal sealed class Pump
{
    private const int BufferSize = 32 << 10, StackSize = 256 << 10;

    private readonly int _from, _to, _stop;
    private readonly Action _ended;
    private readonly Thread _thread;

    /// <param name="from">Read from.</param>
    /// <param name="to">Written to; may be non-blocking.</param>
    /// <param name="stop">A pipe's end that is readable or closed at the other side when the pump must end at once.</param>
    /// <param name="ended">Called last on the pump's thread: closes what is the pump's own.</param>
    public Pump(int from, int to, int stop, Action ended)
    {
        _from = from;
        _to = to;
        _stop = stop;
        _ended = ended;
        _thread = new Thread(Run, StackSize) { IsBackground = true, Name = "pump" };
        _thread.Start();
    }

    /// <summary>Waits for the end; false if it has not come in time.</summary>
    public bool Join(int milliseconds) => _thread.Join(milliseconds);

    private void Run()
    {
        byte[] buffer = new byte[BufferSize];
        bool drop = false;
        while (Await(_from, Poll.POLLIN))
        {
            long n = HostFile.Read(_from, buffer);
            if (n is -(long)Errno.EINTR or -(long)Errno.EAGAIN)
            {
                continue;
            }

            // EIO: the last process of a terminal has gone.
            if (n <= 0)
            {
                break;
            }

            drop = drop || !Write(buffer.AsSpan(0, (int)n));
        }

        _ended();
    }

    private bool Write(ReadOnlySpan<byte> rest)
    {
        while (!rest.IsEmpty)
        {
            long n = HostFile.Write(_to, rest);
            if (n == -(long)Errno.EAGAIN)
            {
                if (!Await(_to, Poll.POLLOUT))
                {
                    return false;
                }
            }
            else if (n < 0 && n != -(long)Errno.EINTR)
            {
                return false;
            }

            rest = rest[(int)Math.Max(n, 0)..];
        }

        return true;
    }

    /// <summary>Waits for a descriptor; false when the pump is to stop.</summary>
    private bool Await(int fd, int events)
    {
        Span<PollFd> items = stackalloc PollFd[2];
        while (true)
        {
            items[0] = new PollFd { Fd = fd, Events = (short)events };
            items[1] = new PollFd { Fd = _stop, Events = Poll.POLLIN };
            int n = HostEvents.Poll(items, -1);
            if (n < 0 && n != -(int)Errno.EINTR)
            {
                return false;
            }

            if (n > 0)
            {
                return items[1].Returned == 0;
            }
        }
    }
}
