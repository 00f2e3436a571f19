namespace Runsc.Linux;

/// <summary>sys/epoll.h, sys/eventfd.h, sys/signalfd.h, sys/inotify.h.</summary>
internal static class Epoll
{
    public const int EPOLLIN = 1;

    public const int EPOLLPRI = 2;

    public const int EPOLLOUT = 4;

    public const int EPOLLERR = 8;

    public const int EPOLLHUP = 16;

    public const int EPOLLRDNORM = 64;

    public const int EPOLLRDBAND = 128;

    public const int EPOLLWRNORM = 256;

    public const int EPOLLWRBAND = 512;

    public const int EPOLLMSG = 0x400;

    public const int EPOLLRDHUP = 0x2000;

    public const int EPOLLEXCLUSIVE = 0x10000000;

    public const int EPOLLWAKEUP = 0x20000000;

    public const int EPOLLONESHOT = 0x40000000;

    public const uint EPOLLET = 0x80000000;

    public const int EFD_SEMAPHORE = 1;
    public const int EFD_NONBLOCK = 0x800;
    public const int EFD_CLOEXEC = 0x80000;

    public const int EPOLL_CTL_ADD = 1;
    public const int EPOLL_CTL_DEL = 2;
    public const int EPOLL_CTL_MOD = 3;
    public const int EPOLL_CLOEXEC = 0x80000;

    public const int SFD_NONBLOCK = 0x800;
    public const int SFD_CLOEXEC = 0x80000;
}
