using Runsc.Linux;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Kernel.Seccomp;
using Xunit;

namespace Runsc.Tests.Unit.Seccomp;

/// <summary>Filters that applications give to seccomp(2): what is refused, what programs compute, which verdict counts.</summary>
public sealed class BpfProgramTests
{
    private const ushort LoadWord = 0x20, LoadImmediate = 0x00, LoadLength = 0x80, LoadMemory = 0x60, LoadXImmediate = 0x01, Store = 0x02, Return = 0x06, ReturnA = 0x16;
    private const ushort AddX = 0x0c, DivideX = 0x3c, Divide = 0x34, ShiftLeft = 0x64, Negate = 0x84, Jump = 0x05, JumpEqual = 0x15, TakeX = 0x07, GiveX = 0x87;
    private const ushort Remainder = 0x94, RemainderX = 0x9c, LoadIndirect = 0x40, LoadHeaderLength = 0xb1, LoadXMemory = 0x61;

    private static BpfInstruction I(ushort code, uint k = 0, byte ifTrue = 0, byte ifFalse = 0) => new() { Code = code, Constant = k, IfTrue = ifTrue, IfFalse = ifFalse };

    private static uint Run(SeccompData data, params BpfInstruction[] code)
    {
        Assert.Equal(Errno.None, BpfProgram.TryCreate(code, out BpfProgram? program));
        bool lookedCloser = false;
        return program!.Run(data, ref lookedCloser);
    }

    private static Errno Check(params BpfInstruction[] code) => BpfProgram.TryCreate(code, out _);

    [Fact]
    public unsafe void Data_IsReadByWords()
    {
        SeccompData data = new() { Number = 7, Architecture = 9, InstructionPointer = 0x1122334455667788 };
        data.Arguments[5] = 0xaabbccdd00000011;
        Assert.Equal(7u, Run(data, I(LoadWord, 0), I(ReturnA)));
        Assert.Equal(9u, Run(data, I(LoadWord, 4), I(ReturnA)));
        Assert.Equal(0x11223344u, Run(data, I(LoadWord, 12), I(ReturnA)));
        Assert.Equal(0xaabbccddu, Run(data, I(LoadWord, 60), I(ReturnA)));
        Assert.Equal(64u, Run(data, I(LoadLength), I(ReturnA)));
    }

    [Fact]
    public void Arithmetic_WrapsAndDividesByNothingToZero()
    {
        SeccompData data = default;
        Assert.Equal(1u, Run(data, I(LoadImmediate, 0xffffffff), I(LoadXImmediate, 2), I(AddX), I(ReturnA)));
        Assert.Equal(0u, Run(data, I(LoadImmediate, 5), I(LoadXImmediate, 0), I(DivideX), I(LoadImmediate, 9), I(ReturnA)));
        Assert.Equal(0xfffffffbu, Run(data, I(LoadImmediate, 5), I(Negate), I(ReturnA)));
        Assert.Equal(5u, Run(data, I(LoadImmediate, 5), I(Store, 15), I(LoadImmediate, 1), I(LoadMemory, 15), I(ReturnA)));
        Assert.Equal(5u, Run(data, I(LoadImmediate, 5), I(TakeX), I(LoadImmediate, 1), I(GiveX), I(ReturnA)));
    }

    [Fact]
    public void Jumps_SkipInstructions()
    {
        BpfInstruction[] code = [I(LoadWord, 0), I(JumpEqual, 3, 1, 0), I(Jump, 1), I(Return, 33), I(Return, 44)];
        Assert.Equal(33u, Run(new SeccompData { Number = 3 }, code));
        Assert.Equal(44u, Run(new SeccompData { Number = 4 }, code));
    }

    [Fact]
    public void Memory_IsReadWhereEveryWayHasWrittenIt()
    {
        Assert.Equal(Errno.EINVAL, Check(I(Store, 2), I(LoadMemory, 3), I(ReturnA)));
        Assert.Equal(Errno.EINVAL, Check(I(LoadXMemory), I(Return)));

        // One of two ways writes; then both do; then the one that does not goes past the read.
        Assert.Equal(Errno.EINVAL, Check(I(JumpEqual, 1, 0, 1), I(Store, 4), I(LoadMemory, 4), I(ReturnA)));
        Assert.Equal(Errno.None, Check(I(JumpEqual, 1, 0, 2), I(Store, 4), I(Jump, 1), I(Store, 4), I(LoadMemory, 4), I(ReturnA)));
        Assert.Equal(Errno.None, Check(I(JumpEqual, 1, 0, 2), I(Store, 4), I(LoadMemory, 4), I(ReturnA)));
        Assert.Equal(Errno.EINVAL, Check(I(Jump, 1), I(Store, 4), I(LoadMemory, 4), I(ReturnA)));
    }

    [Fact]
    public void BadPrograms_AreRefused()
    {
        Assert.Equal(Errno.EINVAL, Check());
        Assert.Equal(Errno.EINVAL, Check(I(LoadImmediate)));
        Assert.Equal(Errno.EINVAL, Check(I(LoadWord, 64), I(Return)));
        Assert.Equal(Errno.EINVAL, Check(I(LoadWord, 2), I(Return)));
        Assert.Equal(Errno.EINVAL, Check(I(0x28, 0), I(Return)));
        Assert.Equal(Errno.EINVAL, Check(I(LoadMemory, 16), I(Return)));
        Assert.Equal(Errno.EINVAL, Check(I(Divide, 0), I(Return)));
        Assert.Equal(Errno.EINVAL, Check(I(ShiftLeft, 32), I(Return)));
        Assert.Equal(Errno.EINVAL, Check(I(Jump, 1), I(Return)));
        Assert.Equal(Errno.EINVAL, Check(I(Jump, 0xffffffff), I(Return)));
        Assert.Equal(Errno.EINVAL, Check(I(JumpEqual, 0, 0, 1), I(Return)));
        Assert.Equal(Errno.EINVAL, Check(I(0x0e), I(Return)));
        Assert.Equal(Errno.EINVAL, Check(I(Remainder, 3), I(Return)));
        Assert.Equal(Errno.EINVAL, Check(I(RemainderX), I(Return)));
        Assert.Equal(Errno.EINVAL, Check(I(LoadIndirect), I(Return)));
        Assert.Equal(Errno.EINVAL, Check(I(LoadHeaderLength), I(Return)));
        Assert.Equal(Errno.EINVAL, Check(I(LoadWord, 0xfffff000), I(Return)));
        Assert.Equal(Errno.EINVAL, Check(I(LoadMemory, 3), I(ReturnA)));
        Assert.Equal(Errno.EINVAL, Check(new BpfInstruction[ClassicBpf.MaxLength + 1]));
    }

    private static SeccompFilters Add(SeccompFilters? older, params BpfInstruction[] code)
    {
        Assert.Equal(Errno.None, BpfProgram.TryCreate(code, out BpfProgram? program));
        Assert.Equal(Errno.None, SeccompFilters.TryAdd(program!, older, log: false, out SeccompFilters? filters));
        return filters!;
    }

    [Fact]
    public void Filters_TheStrictestVerdictCounts()
    {
        SeccompFilters first = Add(null, I(LoadWord, 0), I(JumpEqual, 1, 0, 1), I(Return, Misc.SECCOMP_RET_ERRNO | 13), I(Return, Misc.SECCOMP_RET_ALLOW));
        SeccompFilters second = Add(first, I(LoadWord, 0), I(JumpEqual, 2, 0, 1), I(Return, Misc.SECCOMP_RET_KILL_PROCESS), I(LoadWord, 16), I(JumpEqual, 5, 0, 1), I(Return, Misc.SECCOMP_RET_TRAP), I(Return, Misc.SECCOMP_RET_ALLOW));
        Assert.Equal(Misc.SECCOMP_RET_ERRNO | 13, second.Run(new SeccompData { Number = 1 }));
        Assert.Equal(Misc.SECCOMP_RET_KILL_PROCESS, second.Run(new SeccompData { Number = 2 }));
        Assert.Equal(Misc.SECCOMP_RET_ALLOW, second.Run(new SeccompData { Number = 3 }));
        Assert.Equal((true, false, false), (first.AlwaysAllows(3), first.AlwaysAllows(1), second.AlwaysAllows(3)));
        Assert.Equal((true, true, false, 2), (second.IsDescendantOf(first), second.IsDescendantOf(null), first.IsDescendantOf(second), second.Count));
    }

    [Fact]
    public void Strict_LeavesFourCalls()
    {
        SeccompFilters strict = SeccompFilters.Strict;
        Assert.Equal(Misc.SECCOMP_RET_ALLOW, strict.Run(new SeccompData { Number = SysNo.write }));
        Assert.Equal(Misc.SECCOMP_RET_KILL_THREAD, strict.Run(new SeccompData { Number = SysNo.getpid }));
    }
}
