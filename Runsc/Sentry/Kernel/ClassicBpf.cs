using System;
using System.Runtime.InteropServices;
using Runsc.Linux;
using Runsc.Sentry.Mapping;

namespace Runsc.Sentry.Kernel;

/// <summary>Classic BPF (linux/filter.h): opcodes, the check of a program, and all instructions but returns and loads from the data that a program looks at.</summary>
/// <remarks>A checked program only jumps forwards, so it ends, and reads only words of its memory that it has written.</remarks>
internal static class ClassicBpf
{
    /// <summary>BPF_MAXINSNS.</summary>
    public const int MaxLength = 4096;

    /// <summary>BPF_MEMWORDS.</summary>
    public const int MemoryWords = 16;

    // Classes, sizes, modes and operations of opcodes (linux/bpf_common.h).
    public const int LD = 0, LDX = 1, ST = 2, STX = 3, ALU = 4, JMP = 5, RET = 6, MISC = 7;
    public const int W = 0x00, H = 0x08, B = 0x10;
    public const int IMM = 0x00, ABS = 0x20, IND = 0x40, MEM = 0x60, LEN = 0x80, MSH = 0xa0;
    public const int ADD = 0x00, SUB = 0x10, MUL = 0x20, DIV = 0x30, OR = 0x40, AND = 0x50, LSH = 0x60, RSH = 0x70, NEG = 0x80, MOD = 0x90, XOR = 0xa0;
    public const int JA = 0x00, JEQ = 0x10, JGT = 0x20, JGE = 0x30, JSET = 0x40;
    public const int X = 0x08, A = 0x10, TXA = 0x80;

    /// <summary>Masks of an opcode.</summary>
    public const int Class = 0x07, Mode = 0xe0, Size = 0x18, Operation = 0xf0;

    // Loads beyond the packet (linux/filter.h): what the kernel knows of it.
    public const int AdOffset = -0x1000;
    public const int AdProtocol = 0, AdPacketType = 4, AdInterface = 8, AdMark = 20, AdQueue = 24, AdHash = 32, AdCpu = 36, AdXor = 40, AdVlanTag = 44, AdVlanPresent = 48,
        AdRandom = 56, AdVlanProtocol = 60;

    /// <summary>Reads a program of the application's. EINVAL for its length, EFAULT.</summary>
    public static Errno TryRead(IUserMemory memory, ulong address, int length, out BpfInstruction[] code)
    {
        code = [];
        if (length is <= 0 or > MaxLength)
        {
            return Errno.EINVAL;
        }

        code = new BpfInstruction[length];
        Span<byte> bytes = MemoryMarshal.AsBytes(code.AsSpan());
        return memory.CopyIn(address, bytes) == bytes.Length ? Errno.None : Errno.EFAULT;
    }

    /// <summary>Would Linux take the program for a socket?</summary>
    public static bool IsGood(ReadOnlySpan<BpfInstruction> code)
    {
        if (code.Length is 0 or > MaxLength || (code[^1].Code & Class) != RET)
        {
            return false;
        }

        for (int i = 0; i < code.Length; i++)
        {
            if (!IsGood(code[i], code.Length - i - 1))
            {
                return false;
            }
        }

        return WritesBeforeReading(code);
    }

    private static bool IsGood(in BpfInstruction instruction, int left)
    {
        uint k = instruction.Constant;
        switch ((int)instruction.Code)
        {
            case LD | W | ABS or LD | H | ABS or LD | B | ABS:
                return unchecked((int)k) is >= 0 or < AdOffset || IsKnown(unchecked((int)k) - AdOffset);
            case LD | W | IND or LD | H | IND or LD | B | IND or LD | W | LEN or LDX | W | LEN or LD | IMM or LDX | IMM or LDX | B | MSH:
            case RET or RET | A or MISC or MISC | TXA or ALU | NEG:
                return true;
            case LD | MEM or LDX | MEM or ST or STX:
                return k < MemoryWords;
            case ALU | DIV or ALU | MOD:
                return k != 0;
            case ALU | LSH or ALU | RSH:
                return k < 32;
            case ALU | ADD or ALU | SUB or ALU | MUL or ALU | OR or ALU | AND or ALU | XOR:
            case ALU | ADD | X or ALU | SUB | X or ALU | MUL | X or ALU | DIV | X or ALU | MOD | X or ALU | OR | X or ALU | AND | X or ALU | XOR | X or ALU | LSH | X or ALU | RSH | X:
                return true;
            case JMP | JA:
                return k < left;
            case JMP | JEQ or JMP | JGT or JMP | JGE or JMP | JSET or JMP | JEQ | X or JMP | JGT | X or JMP | JGE | X or JMP | JSET | X:
                return instruction.IfTrue < left && instruction.IfFalse < left;
            default:
                return false;
        }
    }

    private static bool IsKnown(int extension) => extension is AdProtocol or AdPacketType or AdInterface or AdMark or AdQueue or AdHash or AdCpu or AdXor
        or AdVlanTag or AdVlanPresent or AdRandom or AdVlanProtocol;

    // A word of memory may be read where it was written on every way that leads there: a bit for each word, and for each jump's
    // target the words that all jumps to it have seen written. Jumps lead forwards, so one pass is enough.
    private static bool WritesBeforeReading(ReadOnlySpan<BpfInstruction> code)
    {
        Span<ushort> seen = stackalloc ushort[MaxLength];
        seen = seen[..code.Length];
        seen.Fill(ushort.MaxValue);
        int written = 0;
        for (int i = 0; i < code.Length; i++)
        {
            ref readonly BpfInstruction instruction = ref code[i];
            written &= seen[i];
            switch (instruction.Code & Class)
            {
                case ST or STX:
                    written |= 1 << (int)instruction.Constant;
                    break;
                case LD or LDX when (instruction.Code & Mode) == MEM:
                    if ((written >> (int)instruction.Constant & 1) == 0)
                    {
                        return false;
                    }

                    break;
                case JMP when (instruction.Code & Operation) == JA:
                    seen[i + 1 + (int)instruction.Constant] &= (ushort)written;
                    written = ushort.MaxValue;
                    break;
                case JMP:
                    seen[i + 1 + instruction.IfTrue] &= (ushort)written;
                    seen[i + 1 + instruction.IfFalse] &= (ushort)written;
                    written = ushort.MaxValue;
                    break;
            }
        }

        return true;
    }

    /// <summary>The registers and the memory of a running program; <see cref="MemoryWords"/> words, which need not be cleared.</summary>
    public ref struct Machine(Span<uint> memory)
    {
        private readonly Span<uint> _memory = memory;

        public uint A;
        public uint X;

        /// <summary>Executes an instruction that neither returns nor loads from the data. False: the program ends with 0 (it divided by nothing).</summary>
        /// <param name="instruction">The instruction, of a checked program.</param>
        /// <param name="length">The length of the data.</param>
        /// <param name="at">Its index; a jump moves it.</param>
        public bool Step(in BpfInstruction instruction, uint length, ref int at)
        {
            uint k = instruction.Constant;
            int code = instruction.Code;
            uint operand = (code & ClassicBpf.X) != 0 ? X : k;
            switch (code & Class)
            {
                case LD:
                    A = (code & Mode) == MEM ? _memory[(int)k] : (code & Mode) == LEN ? length : k;
                    return true;
                case LDX:
                    X = (code & Mode) == MEM ? _memory[(int)k] : (code & Mode) == LEN ? length : k;
                    return true;
                case ST:
                    _memory[(int)k] = A;
                    return true;
                case STX:
                    _memory[(int)k] = X;
                    return true;
                case MISC:
                    (A, X) = (code & TXA) != 0 ? (X, X) : (A, A);
                    return true;
                case JMP:
                    at += (int)Jump(instruction, A, operand);
                    return true;
                default:
                    if ((code & Operation) is DIV or MOD && operand == 0)
                    {
                        return false;
                    }

                    A = Calculate(code & Operation, A, operand);
                    return true;
            }
        }

        private static uint Jump(in BpfInstruction instruction, uint a, uint operand)
        {
            bool holds;
            switch (instruction.Code & Operation)
            {
                case JA:
                    return instruction.Constant;
                case JEQ:
                    holds = a == operand;
                    break;
                case JGT:
                    holds = a > operand;
                    break;
                case JGE:
                    holds = a >= operand;
                    break;
                default:
                    holds = (a & operand) != 0;
                    break;
            }

            return holds ? instruction.IfTrue : instruction.IfFalse;
        }

        private static uint Calculate(int operation, uint a, uint operand) => unchecked(operation switch
        {
            ADD => a + operand,
            SUB => a - operand,
            MUL => a * operand,
            DIV => a / operand,
            MOD => a % operand,
            OR => a | operand,
            AND => a & operand,
            XOR => a ^ operand,
            LSH => a << (int)(operand & 31),
            RSH => a >> (int)(operand & 31),
            NEG => 0 - a,
            _ => a,
        });
    }
}
