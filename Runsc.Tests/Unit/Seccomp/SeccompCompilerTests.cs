using System.Collections.Generic;
using System.Reflection;
using Runsc.Common;
using Runsc.Host.Seccomp;
using Runsc.Linux;
using Runsc.Oci;
using Runsc.Sentry.Kernel.Seccomp;
using Xunit;

namespace Runsc.Tests.Unit.Seccomp;

/// <summary>"linux.seccomp" compiled to a filter, and what the filter says.</summary>
public sealed class SeccompCompilerTests
{
    private const uint Denied = Misc.SECCOMP_RET_ERRNO | (uint)Errno.EPERM;

    private static SeccompSpec Spec(string byDefault, params SeccompCallSpec[] calls) => new() { DefaultAction = byDefault, Syscalls = [.. calls] };

    private static SeccompCallSpec Rule(string action, string[] names, params SeccompArgumentSpec[] conditions) =>
        new() { Action = action, Names = [.. names], Args = conditions.Length == 0 ? null : [.. conditions] };

    private static SeccompArgumentSpec If(uint index, string operation, ulong value, ulong second = 0) => new() { Index = index, Op = operation, Value = value, ValueTwo = second };

    private static unsafe uint Ask(SeccompSpec spec, int number, ulong first = 0, ulong second = 0)
    {
        Assert.Equal(Errno.None, BpfProgram.TryCreate(SeccompCompiler.Compile("here", spec), out BpfProgram? program));
        SeccompData data = new() { Number = number, Architecture = SeccompProgram.AuditArchX64 };
        data.Arguments[0] = first;
        data.Arguments[1] = second;
        bool lookedCloser = false;
        return program!.Run(data, ref lookedCloser);
    }

    [Fact]
    public void Names_AreThoseOfTheNumbers()
    {
        FieldInfo[] numbers = typeof(SysNo).GetFields(BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic);
        Assert.True(numbers.Length > 350);
        Assert.All(numbers, field => Assert.Equal((int)field.GetRawConstantValue()!, SyscallNames.NumberOf(field.Name)));
        Assert.Equal(-1, SyscallNames.NumberOf("socketcall"));
    }

    [Fact]
    public void Actions_ByNameAndByDefault()
    {
        SeccompSpec spec = Spec(
            "SCMP_ACT_ERRNO", Rule("SCMP_ACT_ALLOW", ["read", "no_such_call", "futex_waitv"]), Rule("SCMP_ACT_KILL_PROCESS", ["ptrace"]), Rule("SCMP_ACT_TRAP", ["mount"]));
        Assert.Equal(Misc.SECCOMP_RET_ALLOW, Ask(spec, SysNo.read));
        Assert.Equal(Misc.SECCOMP_RET_KILL_PROCESS, Ask(spec, SysNo.ptrace));
        Assert.Equal(Misc.SECCOMP_RET_TRAP, Ask(spec, SysNo.mount));
        Assert.Equal(Denied, Ask(spec, SysNo.write));

        // Newer than all that the profile knows.
        Assert.Equal(Misc.SECCOMP_RET_ERRNO | (uint)Errno.ENOSYS, Ask(spec, 500));
        spec.DefaultErrnoRet = (uint)Errno.EACCES;
        Assert.Equal(Misc.SECCOMP_RET_ERRNO | (uint)Errno.EACCES, Ask(spec, SysNo.write));
    }

    [Fact]
    public void ConditionsOfOneRule_AllHold_AndRulesAreAlternatives()
    {
        SeccompSpec spec = Spec(
            "SCMP_ACT_ERRNO",
            Rule("SCMP_ACT_ALLOW", ["personality"], If(0, "SCMP_CMP_EQ", 0)),
            Rule("SCMP_ACT_ALLOW", ["personality"], If(0, "SCMP_CMP_EQ", 0xffffffff)),
            Rule("SCMP_ACT_ALLOW", ["kill"], If(0, "SCMP_CMP_EQ", 1), If(1, "SCMP_CMP_NE", 9)),
            Rule("SCMP_ACT_ALLOW", ["socket"], If(0, "SCMP_CMP_EQ", 1), If(0, "SCMP_CMP_EQ", 2)));
        Assert.Equal(Misc.SECCOMP_RET_ALLOW, Ask(spec, SysNo.personality, 0));
        Assert.Equal(Misc.SECCOMP_RET_ALLOW, Ask(spec, SysNo.personality, 0xffffffff));
        Assert.Equal(Denied, Ask(spec, SysNo.personality, 8));
        Assert.Equal(Denied, Ask(spec, SysNo.personality, 1UL << 32));
        Assert.Equal(Misc.SECCOMP_RET_ALLOW, Ask(spec, SysNo.kill, 1, 15));
        Assert.Equal(Denied, Ask(spec, SysNo.kill, 1, 9));
        Assert.Equal(Denied, Ask(spec, SysNo.kill, 2, 15));

        // Twice the same argument: either.
        Assert.Equal(Misc.SECCOMP_RET_ALLOW, Ask(spec, SysNo.socket, 1));
        Assert.Equal(Misc.SECCOMP_RET_ALLOW, Ask(spec, SysNo.socket, 2));
        Assert.Equal(Denied, Ask(spec, SysNo.socket, 3));
    }

    [Fact]
    public void Comparisons_AreOf64Bits()
    {
        ulong[] values = [0, 1, 41, 42, 43, uint.MaxValue, 1UL << 32, (1UL << 32) | 41, (1UL << 32) | 42, (1UL << 32) | 43, (2UL << 32) | 1, ulong.MaxValue];
        foreach (ulong bound in values)
        {
            foreach (ulong value in values)
            {
                foreach ((string operation, bool expected) in new[]
                {
                    ("SCMP_CMP_NE", value != bound), ("SCMP_CMP_LT", value < bound), ("SCMP_CMP_LE", value <= bound), ("SCMP_CMP_EQ", value == bound),
                    ("SCMP_CMP_GE", value >= bound), ("SCMP_CMP_GT", value > bound),
                })
                {
                    SeccompSpec spec = Spec("SCMP_ACT_ERRNO", Rule("SCMP_ACT_ALLOW", ["read"], If(0, operation, bound), If(1, "SCMP_CMP_EQ", 5)));
                    Assert.True(expected == (Ask(spec, SysNo.read, value, 5) == Misc.SECCOMP_RET_ALLOW), $"{value} {operation} {bound}");
                    Assert.Equal(Denied, Ask(spec, SysNo.read, value, 6));
                }

                SeccompSpec masked = Spec("SCMP_ACT_ERRNO", Rule("SCMP_ACT_ALLOW", ["read"], If(0, "SCMP_CMP_MASKED_EQ", 0x1_0000_00ff, bound)));
                Assert.Equal((value & 0x1_0000_00ff) == (bound & 0x1_0000_00ff), Ask(masked, SysNo.read, value) == Misc.SECCOMP_RET_ALLOW);
            }
        }
    }

    [Fact]
    public void ManyCallsWithManyRules_JumpFar()
    {
        List<SeccompCallSpec> calls = [];
        for (uint i = 0; i < 60; i++)
        {
            calls.Add(Rule("SCMP_ACT_ALLOW", ["clone"], If(0, "SCMP_CMP_GT", 1000 + i), If(1, "SCMP_CMP_LE", i)));
        }

        calls.Add(Rule("SCMP_ACT_ALLOW", ["wait4"]));
        SeccompSpec spec = Spec("SCMP_ACT_ERRNO", [.. calls]);
        Assert.Equal(Misc.SECCOMP_RET_ALLOW, Ask(spec, SysNo.wait4));
        Assert.Equal(Misc.SECCOMP_RET_ALLOW, Ask(spec, SysNo.clone, 1060, 59));
        Assert.Equal(Denied, Ask(spec, SysNo.clone, 1059, 59));
        Assert.Equal(Denied, Ask(spec, SysNo.clone, 5000, 60));
    }

    [Theory]
    [InlineData("SCMP_ACT_NOTIFY", "SCMP_CMP_EQ", 0, null, "notifications are not supported")]
    [InlineData("SCMP_ACT_WHATEVER", "SCMP_CMP_EQ", 0, null, "unknown action SCMP_ACT_WHATEVER")]
    [InlineData("SCMP_ACT_ALLOW", "SCMP_CMP_XX", 0, null, "unknown operator SCMP_CMP_XX")]
    [InlineData("SCMP_ACT_ALLOW", "SCMP_CMP_EQ", 6, null, "a call has six")]
    [InlineData("SCMP_ACT_ALLOW", "SCMP_CMP_EQ", 0, "SECCOMP_FILTER_FLAG_X", "flag SECCOMP_FILTER_FLAG_X is not supported")]
    public void WhatCannotBeDone_IsRefused(string action, string operation, uint index, string? flag, string text)
    {
        SeccompSpec spec = Spec("SCMP_ACT_ERRNO", Rule(action, ["read"], If(index, operation, 1)));
        spec.Flags = flag is null ? null : [flag];
        Assert.Contains(text, Assert.Throws<RunscException>(() => SeccompCompiler.Compile("here", spec)).Message, System.StringComparison.Ordinal);
    }
}
