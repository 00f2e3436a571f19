namespace Runsc.Sentry.Syscalls;

/// <summary>The six arguments of a system call as the registers held them (rdi, rsi, rdx, r10, r8, r9), and the number.</summary>
/// <remarks>
/// A C int argument is the low half: use the Int accessors, as Linux does, since the upper half may hold anything.
/// </remarks>
internal readonly record struct SyscallArguments(int Number, ulong A0, ulong A1, ulong A2, ulong A3, ulong A4, ulong A5)
{
    public int Int0 => unchecked((int)A0);
    public int Int1 => unchecked((int)A1);
    public int Int2 => unchecked((int)A2);
    public int Int3 => unchecked((int)A3);
    public int Int4 => unchecked((int)A4);
    public int Int5 => unchecked((int)A5);
    public uint UInt0 => unchecked((uint)A0);
    public uint UInt1 => unchecked((uint)A1);
    public uint UInt2 => unchecked((uint)A2);
    public uint UInt3 => unchecked((uint)A3);
    public uint UInt4 => unchecked((uint)A4);
    public uint UInt5 => unchecked((uint)A5);
    public long Long0 => unchecked((long)A0);
    public long Long1 => unchecked((long)A1);
    public long Long2 => unchecked((long)A2);
    public long Long3 => unchecked((long)A3);
    public long Long4 => unchecked((long)A4);
    public long Long5 => unchecked((long)A5);
}
