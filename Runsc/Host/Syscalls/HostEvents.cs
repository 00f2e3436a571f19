using System;
using System.Runtime.InteropServices;
using Runsc.Linux;

namespace Runsc.Host.Syscalls;

/// <summary>struct epoll_event of x86-64, which is packed.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal struct EpollEvent
{
    public const int SizeInBytes = 12;

    public uint Events;
    public ulong Data;
}

/// <summary>struct pollfd.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct PollFd
{
    public const int SizeInBytes = 8;

    public int Fd;
    public short Events;
    public short Returned;
}

/// <summary>Waiting for descriptors of the host.</summary>
internal static unsafe partial class HostEvents
{
    /// <summary>epoll_create1(2) with EPOLL_CLOEXEC.</summary>
    public static int EpollCreate() => HostResult.Of(EpollCreateNative(Epoll.EPOLL_CLOEXEC));

    public static int EpollControl(int epoll, int operation, int fd, uint events, ulong data)
    {
        EpollEvent item = new() { Events = events, Data = data };
        return HostResult.Of(EpollControlNative(epoll, operation, fd, &item));
    }

    /// <summary>epoll_wait(2) without a timeout: the number of events, or −EINTR.</summary>
    public static int EpollWait(int epoll, Span<EpollEvent> events)
    {
        fixed (EpollEvent* p = events)
        {
            return HostResult.Of(EpollWaitNative(epoll, p, events.Length, -1));
        }
    }

    /// <summary>poll(2) of one descriptor: POLL* bits, 0 at the timeout (milliseconds; negative: for ever), or −errno.</summary>
    public static int Poll(int fd, short events, int timeout)
    {
        PollFd item = new() { Fd = fd, Events = events };
        int n = HostResult.Of(PollNative(&item, 1, timeout));
        return n > 0 ? item.Returned : n;
    }

    /// <summary>poll(2): the number of descriptors with events.</summary>
    public static int Poll(Span<PollFd> items, int timeout)
    {
        fixed (PollFd* p = items)
        {
            return HostResult.Of(PollNative(p, (ulong)items.Length, timeout));
        }
    }

    [LibraryImport("libc", EntryPoint = "epoll_create1", SetLastError = true)]
    private static partial int EpollCreateNative(int flags);

    [LibraryImport("libc", EntryPoint = "epoll_ctl", SetLastError = true)]
    private static partial int EpollControlNative(int epoll, int operation, int fd, EpollEvent* item);

    [LibraryImport("libc", EntryPoint = "epoll_wait", SetLastError = true)]
    private static partial int EpollWaitNative(int epoll, EpollEvent* events, int count, int timeout);

    [LibraryImport("libc", EntryPoint = "poll", SetLastError = true)]
    private static partial int PollNative(PollFd* items, ulong count, int timeout);
}
