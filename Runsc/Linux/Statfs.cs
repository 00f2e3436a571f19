using System.Runtime.InteropServices;

namespace Runsc.Linux;

/// <summary>struct statfs (statfs(2)).</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct Statfs
{
    public const int SizeInBytes = 120;

    public long Type;
    public long BlockSize;
    public ulong Blocks;
    public ulong BlocksFree;
    public ulong BlocksAvailable;
    public ulong Files;
    public ulong FilesFree;
    public int FsId0;
    public int FsId1;
    public long NameLength;
    public long FragmentSize;
    public long Flags;
    public long Spare0;
    public long Spare1;
    public long Spare2;
    public long Spare3;
}
