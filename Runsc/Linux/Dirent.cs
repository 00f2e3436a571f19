namespace Runsc.Linux;

/// <summary>dirent.h: getdents64(2).</summary>
internal static class Dirent
{
    public const int DT_UNKNOWN = 0;
    public const int DT_FIFO = 1;
    public const int DT_CHR = 2;
    public const int DT_DIR = 4;
    public const int DT_BLK = 6;
    public const int DT_REG = 8;
    public const int DT_LNK = 10;
    public const int DT_SOCK = 12;
    public const int DT_WHT = 14;
}
