namespace Runsc.Linux;

/// <summary>sys/inotify.h: inotify(7).</summary>
internal static class Inotify
{
    public const int IN_ACCESS = 1;
    public const int IN_MODIFY = 2;
    public const int IN_ATTRIB = 4;
    public const int IN_CLOSE_WRITE = 8;
    public const int IN_CLOSE_NOWRITE = 16;
    public const int IN_CLOSE = 24;
    public const int IN_OPEN = 32;
    public const int IN_MOVED_FROM = 64;
    public const int IN_MOVED_TO = 128;
    public const int IN_MOVE = 192;
    public const int IN_CREATE = 256;
    public const int IN_DELETE = 512;
    public const int IN_DELETE_SELF = 0x400;
    public const int IN_MOVE_SELF = 0x800;
    public const int IN_NONBLOCK = 0x800;
    public const int IN_ALL_EVENTS = 0xfff;
    public const int IN_UNMOUNT = 0x2000;
    public const int IN_Q_OVERFLOW = 0x4000;
    public const int IN_IGNORED = 0x8000;
    public const int IN_CLOEXEC = 0x80000;
    public const int IN_ONLYDIR = 0x1000000;
    public const int IN_DONT_FOLLOW = 0x2000000;
    public const int IN_EXCL_UNLINK = 0x4000000;
    public const int IN_MASK_CREATE = 0x10000000;
    public const int IN_MASK_ADD = 0x20000000;
    public const int IN_ISDIR = 0x40000000;
    public const uint IN_ONESHOT = 0x80000000;
}
