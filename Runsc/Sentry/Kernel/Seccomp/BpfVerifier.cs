using System;
using Runsc.Linux;

namespace Runsc.Sentry.Kernel.Seccomp;

/// <summary>Opcodes of classic BPF (linux/bpf_common.h) that seccomp(2) accepts.</summary>
internal static class BpfCode
{
    public const int ClassMask = 7;
    public const int JumpClass = 5;

    /// <summary>BPF_X: the second operand is the index register.</summary>
    public const int UsesIndex = 8;

    public const ushort LoadConstant = 0x00;
    public const ushort LoadIndexConstant = 0x01;
    public const ushort Store = 0x02;
    public const ushort StoreIndex = 0x03;
    public const ushort Add = 0x04;
    public const ushort Jump = 0x05;
    public const ushort ReturnConstant = 0x06;
    public const ushort IndexFromAccumulator = 0x07;
    public const ushort Subtract = 0x14;
    public const ushort JumpIfEqual = 0x15;
    public const ushort ReturnAccumulator = 0x16;
    public const ushort LoadWord = 0x20;
    public const ushort Multiply = 0x24;
    public const ushort JumpIfAbove = 0x25;
    public const ushort Divide = 0x34;
    public const ushort JumpIfNotBelow = 0x35;
    public const ushort Or = 0x44;
    public const ushort JumpIfAny = 0x45;
    public const ushort And = 0x54;
    public const ushort LoadScratch = 0x60;
    public const ushort LoadIndexScratch = 0x61;
    public const ushort ShiftLeft = 0x64;
    public const ushort ShiftRight = 0x74;
    public const ushort LoadLength = 0x80;
    public const ushort LoadIndexLength = 0x81;
    public const ushort Negate = 0x84;
    public const ushort AccumulatorFromIndex = 0x87;
    public const ushort Xor = 0xa4;
}

/// <summary>Which programs end and touch nothing but their data, as bpf_check_classic and seccomp_check_filter of Linux say.</summary>
internal static class BpfVerifier
{
    private const int ScratchWords = 16;

    public static bool IsValid(ReadOnlySpan<BpfInstruction> program)
    {
        if (program.IsEmpty || program.Length > CallFilter.MaxLength || program[^1].Code is not (BpfCode.ReturnConstant or BpfCode.ReturnAccumulator))
        {
            return false;
        }

        // Which scratch words are written on every path to an instruction: none may be read before.
        ushort[] written = new ushort[program.Length];
        Array.Fill(written, ushort.MaxValue);
        ushort now = 0;
        for (int at = 0; at < program.Length; at++)
        {
            ref readonly BpfInstruction i = ref program[at];
            now &= written[at];
            uint k = i.Constant, left = (uint)(program.Length - at - 1);
            switch (i.Code)
            {
                case BpfCode.LoadWord when k < SeccompData.SizeInBytes && k % sizeof(uint) == 0:
                case BpfCode.LoadConstant or BpfCode.LoadIndexConstant or BpfCode.LoadLength or BpfCode.LoadIndexLength:
                case BpfCode.IndexFromAccumulator or BpfCode.AccumulatorFromIndex or BpfCode.Negate:
                case BpfCode.Divide when k != 0:
                case BpfCode.ShiftLeft or BpfCode.ShiftRight when k < 32:
                case BpfCode.Add or BpfCode.Subtract or BpfCode.Multiply or BpfCode.Or or BpfCode.And or BpfCode.Xor:
                case BpfCode.Add | BpfCode.UsesIndex or BpfCode.Subtract | BpfCode.UsesIndex or BpfCode.Multiply | BpfCode.UsesIndex or BpfCode.Divide | BpfCode.UsesIndex:
                case BpfCode.Or | BpfCode.UsesIndex or BpfCode.And | BpfCode.UsesIndex or BpfCode.Xor | BpfCode.UsesIndex:
                case BpfCode.ShiftLeft | BpfCode.UsesIndex or BpfCode.ShiftRight | BpfCode.UsesIndex:
                    break;
                case BpfCode.Store or BpfCode.StoreIndex when k < ScratchWords:
                    now |= (ushort)(1 << (int)k);
                    break;
                case BpfCode.LoadScratch or BpfCode.LoadIndexScratch when k < ScratchWords && (now & (1 << (int)k)) != 0:
                    break;
                case BpfCode.Jump when k < left:
                    written[at + 1 + (int)k] &= now;
                    now = ushort.MaxValue;
                    break;
                case BpfCode.JumpIfEqual or BpfCode.JumpIfAbove or BpfCode.JumpIfNotBelow or BpfCode.JumpIfAny when i.IfTrue < left && i.IfFalse < left:
                case BpfCode.JumpIfEqual | BpfCode.UsesIndex or BpfCode.JumpIfAbove | BpfCode.UsesIndex or BpfCode.JumpIfNotBelow | BpfCode.UsesIndex
                    or BpfCode.JumpIfAny | BpfCode.UsesIndex when i.IfTrue < left && i.IfFalse < left:
                    written[at + 1 + i.IfTrue] &= now;
                    written[at + 1 + i.IfFalse] &= now;
                    now = ushort.MaxValue;
                    break;
                case BpfCode.ReturnConstant or BpfCode.ReturnAccumulator:
                    now = ushort.MaxValue;
                    break;
                default:
                    return false;
            }
        }

        return true;
    }
}
