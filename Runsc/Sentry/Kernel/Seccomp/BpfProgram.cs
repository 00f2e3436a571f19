using System;
using System.Runtime.InteropServices;
using Runsc.Linux;
using Runsc.Sentry.Mapping;

namespace Runsc.Sentry.Kernel.Seccomp;

/// <summary>struct seccomp_data: what a filter may look at.</summary>
internal unsafe struct SeccompData
{
    public const int SizeInBytes = 64;

    public int Number;
    public uint Architecture;
    public ulong InstructionPointer;
    public fixed ulong Arguments[6];
}

/// <summary>
/// A checked program of classic BPF (linux/filter.h) over <see cref="SeccompData"/>. It only jumps forwards, so it ends; it reads only aligned words of the data
/// and its own 16 words of memory, which begin as zeros.
/// </summary>
internal sealed class BpfProgram
{
    /// <summary>BPF_MAXINSNS.</summary>
    public const int MaxLength = 4096;

    private const int MemoryWords = 16;

    // Classes and parts of opcodes (linux/bpf_common.h).
    private const int LD = 0, LDX = 1, ST = 2, STX = 3, ALU = 4, JMP = 5, RET = 6, MISC = 7;
    private const int IMM = 0x00, ABS = 0x20, MEM = 0x60, LEN = 0x80;
    private const int ADD = 0x00, SUB = 0x10, MUL = 0x20, DIV = 0x30, OR = 0x40, AND = 0x50, LSH = 0x60, RSH = 0x70, NEG = 0x80, XOR = 0xa0;
    private const int JA = 0x00, JEQ = 0x10, JGT = 0x20, JGE = 0x30, JSET = 0x40;
    private const int X = 0x08, A = 0x10, TXA = 0x80;

    private readonly BpfInstruction[] _code;

    private BpfProgram(BpfInstruction[] code)
    {
        _code = code;
    }

    public int Length => _code.Length;

    /// <summary>Reads a program of the application's. EFAULT, and EINVAL as below.</summary>
    public static Errno TryRead(IUserMemory memory, ulong address, int length, out BpfProgram? program)
    {
        program = null;
        if (length is 0 or > MaxLength)
        {
            return Errno.EINVAL;
        }

        BpfInstruction[] code = new BpfInstruction[length];
        Span<byte> bytes = MemoryMarshal.AsBytes(code.AsSpan());
        return memory.CopyIn(address, bytes) == bytes.Length ? TryCreate(code, out program) : Errno.EFAULT;
    }

    /// <summary>EINVAL for programs that Linux would refuse for seccomp.</summary>
    public static Errno TryCreate(BpfInstruction[] code, out BpfProgram? program)
    {
        program = null;
        if (code.Length is 0 or > MaxLength)
        {
            return Errno.EINVAL;
        }

        for (int i = 0; i < code.Length; i++)
        {
            if (!IsGood(code[i], i, code.Length))
            {
                return Errno.EINVAL;
            }
        }

        if ((code[^1].Code & 7) != RET)
        {
            return Errno.EINVAL;
        }

        program = new BpfProgram(code);
        return Errno.None;
    }

    private static bool IsGood(in BpfInstruction instruction, int index, int length)
    {
        uint k = instruction.Constant;
        int left = length - index - 1;
        switch (instruction.Code)
        {
            case LD | ABS:
                return k < SeccompData.SizeInBytes && (k & 3) == 0;
            case LD | IMM or LDX | IMM or LD | LEN or LDX | LEN or RET or RET | A or MISC or MISC | TXA or ALU | NEG:
                return true;
            case LD | MEM or LDX | MEM or ST or STX:
                return k < MemoryWords;
            case ALU | DIV:
                return k != 0;
            case ALU | LSH or ALU | RSH:
                return k < 32;
            case ALU | ADD or ALU | SUB or ALU | MUL or ALU | OR or ALU | AND or ALU | XOR:
            case ALU | ADD | X or ALU | SUB | X or ALU | MUL | X or ALU | DIV | X or ALU | OR | X or ALU | AND | X or ALU | XOR | X or ALU | LSH | X or ALU | RSH | X:
                return true;
            case JMP | JA:
                return k < left;
            case JMP | JEQ or JMP | JGT or JMP | JGE or JMP | JSET or JMP | JEQ | X or JMP | JGT | X or JMP | JGE | X or JMP | JSET | X:
                return instruction.IfTrue < left && instruction.IfFalse < left;
            default:
                return false;
        }
    }

    /// <summary>SECCOMP_RET_* with its data. <paramref name="lookedCloser"/>: more than number and architecture was read.</summary>
    public unsafe uint Run(in SeccompData data, ref bool lookedCloser)
    {
        uint* memory = stackalloc uint[MemoryWords];
        new Span<uint>(memory, MemoryWords).Clear();
        uint a = 0, x = 0;
        fixed (SeccompData* start = &data)
        {
            // SAFETY: offsets were checked to lie in the data and in the memory, jumps in the program.
            uint* words = (uint*)start;
            for (int i = 0; ; i++)
            {
                ref readonly BpfInstruction instruction = ref _code[i];
                uint k = instruction.Constant;
                uint operand = (instruction.Code & X) != 0 ? x : k;
                switch (instruction.Code & 7)
                {
                    case RET:
                        return (instruction.Code & A) != 0 ? a : k;
                    case LD:
                        a = (instruction.Code & 0xe0) switch
                        {
                            ABS => words[k / 4],
                            MEM => memory[k],
                            LEN => SeccompData.SizeInBytes,
                            _ => k,
                        };
                        lookedCloser |= (instruction.Code & 0xe0) == ABS && k >= 8;
                        break;
                    case LDX:
                        x = (instruction.Code & 0xe0) switch
                        {
                            MEM => memory[k],
                            LEN => SeccompData.SizeInBytes,
                            _ => k,
                        };
                        break;
                    case ST:
                        memory[k] = a;
                        break;
                    case STX:
                        memory[k] = x;
                        break;
                    case MISC:
                        (a, x) = (instruction.Code & TXA) != 0 ? (x, x) : (a, a);
                        break;
                    case JMP:
                        i = unchecked(i + (int)Jump(instruction, a, operand));
                        break;
                    default:
                        if ((instruction.Code & 0xf0) == DIV && operand == 0)
                        {
                            return 0;
                        }

                        a = Calculate(instruction.Code & 0xf0, a, operand);
                        break;
                }
            }
        }
    }

    private static uint Jump(in BpfInstruction instruction, uint a, uint operand)
    {
        int operation = instruction.Code & 0xf0;
        if (operation == JA)
        {
            return instruction.Constant;
        }

        bool holds = operation switch
        {
            JEQ => a == operand,
            JGT => a > operand,
            JGE => a >= operand,
            _ => (a & operand) != 0,
        };
        return holds ? instruction.IfTrue : instruction.IfFalse;
    }

    private static uint Calculate(int operation, uint a, uint operand) => unchecked(operation switch
    {
        ADD => a + operand,
        SUB => a - operand,
        MUL => a * operand,
        DIV => a / operand,
        OR => a | operand,
        AND => a & operand,
        XOR => a ^ operand,
        LSH => a << (int)(operand & 31),
        RSH => a >> (int)(operand & 31),
        NEG => 0 - a,
        _ => a,
    });
}
