namespace Runsc.Linux;

/// <summary>sys/wait.h: wait4(2), waitid(2).</summary>
internal static class Wait
{
    public const int WNOHANG = 1;

    public const int WSTOPPED = 2;

    public const int WUNTRACED = 2;

    public const int WEXITED = 4;

    public const int WCONTINUED = 8;

    public const int WNOWAIT = 0x1000000;

    public const int __WNOTHREAD = 0x20000000;
    public const int __WALL = 0x40000000;
    public const uint __WCLONE = 0x80000000;
}
