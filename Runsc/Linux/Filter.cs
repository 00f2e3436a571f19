using System.Runtime.InteropServices;

namespace Runsc.Linux;

/// <summary>struct sock_filter (linux/filter.h): one instruction of classic BPF.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct BpfInstruction
{
    public const int SizeInBytes = 8;

    public ushort Code;
    public byte IfTrue;
    public byte IfFalse;
    public uint Constant;
}
