using System;
using Runsc.Linux;
using Runsc.Sentry.Kernel.Seccomp;
using Xunit;

namespace Runsc.Tests.Unit.Kernel;

/// <summary>Filters that applications put over their own system calls.</summary>
public sealed class CallFilterTests
{
    private const uint Allow = Misc.SECCOMP_RET_ALLOW;

    private static BpfInstruction New(int code, uint constant = 0, byte ifTrue = 0, byte ifFalse = 0) =>
        new() { Code = (ushort)code, Constant = constant, IfTrue = ifTrue, IfFalse = ifFalse };

    private static CallFilter Filter(CallFilter? previous, params BpfInstruction[] program)
    {
        Assert.Equal(Errno.None, CallFilter.TryAdd(program, previous, out CallFilter? filter));
        return filter!;
    }

    /// <summary>Refuses one call with an action, allows the rest.</summary>
    private static CallFilter Refuse(CallFilter? previous, int number, uint action) => Filter(
        previous, New(BpfCode.LoadWord), New(BpfCode.JumpIfEqual, (uint)number, 0, 1), New(BpfCode.ReturnConstant, action), New(BpfCode.ReturnConstant, Allow));

    [Fact]
    public void Evaluate_OfAChain_GivesTheMostSevereAnswer()
    {
        CallFilter first = Refuse(null, 5, Misc.SECCOMP_RET_ERRNO | 7);
        CallFilter second = Refuse(first, 5, Misc.SECCOMP_RET_TRAP | 1);
        CallFilter third = Refuse(second, 6, Misc.SECCOMP_RET_KILL_PROCESS);
        Assert.Equal(Allow, third.Evaluate(new SeccompData { Number = 4 }));
        Assert.Equal(Misc.SECCOMP_RET_ERRNO | 7, first.Evaluate(new SeccompData { Number = 5 }));
        Assert.Equal(Misc.SECCOMP_RET_TRAP | 1, third.Evaluate(new SeccompData { Number = 5 }));
        Assert.Equal(Misc.SECCOMP_RET_KILL_PROCESS, third.Evaluate(new SeccompData { Number = 6 }));
        Assert.Equal(3, third.Count);
        Assert.True(first.IsAncestorOf(third));
        Assert.False(third.IsAncestorOf(first));
    }

    [Fact]
    public void Arithmetic_WrapsAround()
    {
        // ((args[0] low + 0xffffffff) ^ 0xff) << 4, then 0 − that
        CallFilter filter = Filter(
            null, New(BpfCode.LoadWord, 16), New(BpfCode.Add, uint.MaxValue), New(BpfCode.Xor, 0xff), New(BpfCode.ShiftLeft, 4), New(BpfCode.Negate),
            New(BpfCode.ReturnAccumulator));
        const uint expected = unchecked(0 - (((0x1235 - 1) ^ 0xffu) << 4));
        Assert.Equal(expected & 0x8000_0000, filter.Evaluate(new SeccompData { Argument0 = 0x1235 }) & 0x8000_0000);

        // A division by an index of zero ends the process.
        CallFilter division = Filter(null, New(BpfCode.LoadConstant, 8), New(BpfCode.Divide | BpfCode.UsesIndex), New(BpfCode.ReturnConstant, Allow));
        Assert.Equal(0u, division.Evaluate(default));
    }

    [Fact]
    public void Scratch_IsReadOnlyWhereItWasWrittenOnEveryPath()
    {
        BpfInstruction end = New(BpfCode.ReturnConstant, Allow);
        Assert.Equal(Errno.EINVAL, CallFilter.TryAdd([New(BpfCode.LoadScratch, 1), end], null, out _));
        Assert.Equal(
            Errno.EINVAL,
            CallFilter.TryAdd([New(BpfCode.LoadWord), New(BpfCode.JumpIfEqual, 1, 0, 1), New(BpfCode.Store, 1), New(BpfCode.LoadScratch, 1), end], null, out _));
        CallFilter good = Filter(
            null, New(BpfCode.LoadWord), New(BpfCode.Store, 1), New(BpfCode.JumpIfEqual, 1, 0, 1), New(BpfCode.LoadConstant, 9), New(BpfCode.LoadScratch, 1),
            New(BpfCode.Or, Misc.SECCOMP_RET_ERRNO), New(BpfCode.ReturnAccumulator));
        Assert.Equal(Misc.SECCOMP_RET_ERRNO | 1, good.Evaluate(new SeccompData { Number = 1 }));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void RandomPrograms_AreRefusedOrEnd(int seed)
    {
        Random random = new(seed);
        int accepted = 0;
        for (int round = 0; round < 20_000; round++)
        {
            BpfInstruction[] program = new BpfInstruction[random.Next(1, 12)];
            for (int i = 0; i < program.Length; i++)
            {
                program[i] = New(random.Next(0, 0xb8), (uint)random.Next(0, random.Next(2) == 0 ? 16 : 70), (byte)random.Next(0, 5), (byte)random.Next(0, 5));
            }

            program[^1] = New(BpfCode.ReturnConstant, Allow);
            if (CallFilter.TryAdd(program, null, out CallFilter? filter) == Errno.None)
            {
                accepted++;
                _ = filter!.Evaluate(new SeccompData { Number = random.Next(), Argument5 = ulong.MaxValue });
            }
        }

        Assert.True(accepted > 100, $"seed {seed}: {accepted} accepted");
    }

    [Fact]
    public void Chains_AreBounded()
    {
        BpfInstruction[] program = new BpfInstruction[CallFilter.MaxLength];
        Array.Fill(program, New(BpfCode.LoadConstant));
        program[^1] = New(BpfCode.ReturnConstant, Allow);
        CallFilter? filter = null;
        int count = 0;
        while (CallFilter.TryAdd(program, filter, out CallFilter? next) == Errno.None)
        {
            filter = next;
            Assert.True(++count < 100);
        }

        Assert.Equal(7, count);
        Assert.Equal(Errno.EINVAL, CallFilter.TryAdd([.. program, program[^1]], null, out _));
        Assert.Equal(Errno.EINVAL, CallFilter.TryAdd([], null, out _));
    }
}
