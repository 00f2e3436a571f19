namespace Runsc.Linux;

/// <summary>poll.h: poll(2).</summary>
internal static class Poll
{
    public const int POLLIN = 1;

    public const int POLLPRI = 2;

    public const int POLLOUT = 4;

    public const int POLLERR = 8;

    public const int POLLHUP = 16;

    public const int POLLNVAL = 32;

    public const int POLLRDNORM = 64;

    public const int POLLRDBAND = 128;

    public const int POLLWRNORM = 256;

    public const int POLLWRBAND = 512;

    public const int POLLMSG = 0x400;

    public const int POLLREMOVE = 0x1000;

    public const int POLLRDHUP = 0x2000;
}
