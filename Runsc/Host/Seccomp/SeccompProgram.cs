using System.Collections.Generic;
using Runsc.Linux;

namespace Runsc.Host.Seccomp;

/// <summary>Compiles <see cref="SeccompRules"/> to classic BPF over struct seccomp_data {int nr; u32 arch; u64 ip; u64 args[6]}.</summary>
internal static class SeccompProgram
{
    // Opcodes of linux/bpf_common.h: BPF_LD|BPF_W|BPF_ABS, BPF_ALU|BPF_AND|BPF_K, BPF_JMP|BPF_JA, |BPF_JEQ|BPF_K, |BPF_JGE|BPF_K, BPF_RET|BPF_K.
    public const ushort Load = 0x20, And = 0x54, Jump = 0x05, JumpIfEqual = 0x15, JumpIfNotBelow = 0x35, Return = 0x06;

    public const uint AuditArchX64 = 0xC000003E;

    private const uint NumberOffset = 0, ArchitectureOffset = 4, ArgumentsOffset = 16;

    // Numbers of the x32 ABI have this bit; nothing here uses it.
    private const uint X32Bit = 0x40000000;

    /// <param name="rules">What is allowed.</param>
    /// <param name="refusal">SECCOMP_RET_* for everything else.</param>
    public static BpfInstruction[] Compile(SeccompRules rules, uint refusal)
    {
        List<BpfInstruction> code =
        [
            New(Load, ArchitectureOffset),
            New(JumpIfEqual, AuditArchX64, 1, 0),
            New(Return, Misc.SECCOMP_RET_KILL_PROCESS),
            New(Load, NumberOffset),
            New(JumpIfNotBelow, X32Bit, 0, 1),
            New(Return, Misc.SECCOMP_RET_KILL_PROCESS),
        ];
        foreach (int number in rules.Numbers)
        {
            List<BpfInstruction> block = Block(rules, number, refusal);
            if (block.Count <= byte.MaxValue)
            {
                code.Add(New(JumpIfEqual, (uint)number, 0, (byte)block.Count));
            }
            else
            {
                code.Add(New(JumpIfEqual, (uint)number, 1, 0));
                code.Add(New(Jump, (uint)block.Count));
            }

            code.AddRange(block);
        }

        code.Add(New(Return, refusal));
        return [.. code];
    }

    /// <summary>Decides about one call; every path through it returns.</summary>
    private static List<BpfInstruction> Block(SeccompRules rules, int number, uint refusal)
    {
        List<BpfInstruction> block = [];
        foreach (ArgumentCheck[] alternative in rules.AlternativesOf(number))
        {
            if (alternative.Length == 0)
            {
                block.Add(New(Return, Misc.SECCOMP_RET_ALLOW));
                return block;
            }

            List<BpfInstruction> checks = [];
            List<int> exits = [];
            foreach (ArgumentCheck check in alternative)
            {
                uint offset = ArgumentsOffset + (8 * (uint)check.Index);
                CheckWord(offset, unchecked((uint)check.Mask), unchecked((uint)check.Value));
                CheckWord(offset + 4, (uint)(check.Mask >> 32), (uint)(check.Value >> 32));
            }

            checks.Add(New(Return, Misc.SECCOMP_RET_ALLOW));
            foreach (int exit in exits)
            {
                BpfInstruction jump = checks[exit];
                jump.IfFalse = checked((byte)(checks.Count - exit - 1));
                checks[exit] = jump;
            }

            block.AddRange(checks);

            void CheckWord(uint offset, uint mask, uint value)
            {
                if (mask == 0)
                {
                    return;
                }

                checks.Add(New(Load, offset));
                if (mask != uint.MaxValue)
                {
                    checks.Add(New(And, mask));
                }

                exits.Add(checks.Count);
                checks.Add(New(JumpIfEqual, value));
            }
        }

        Errno error = rules.FailureOf(number);
        block.Add(New(Return, error == Errno.None ? refusal : Misc.SECCOMP_RET_ERRNO | (uint)error));
        return block;
    }

    private static BpfInstruction New(ushort code, uint constant, byte ifTrue = 0, byte ifFalse = 0) =>
        new() { Code = code, Constant = constant, IfTrue = ifTrue, IfFalse = ifFalse };
}
