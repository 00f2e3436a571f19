using System;
using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Runsc.Linux;
using Runsc.NetStack.Buffers;
using Runsc.NetStack.Transport;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Mapping;

namespace Runsc.Sentry.Sockets;

/// <summary>A checked program of classic BPF over a packet (SO_ATTACH_FILTER, socket(7)): how many bytes of it the socket gets.</summary>
/// <remarks>It only jumps forwards, so it ends. Immutable, so that it runs on any thread.</remarks>
internal sealed class SocketFilter : IDatagramFilter
{
    /// <summary>BPF_MAXINSNS.</summary>
    public const int MaxLength = 4096;

    private const int MemoryWords = 16;

    // Classes, sizes, modes and operations of opcodes (linux/bpf_common.h).
    private const int LD = 0, LDX = 1, ST = 2, STX = 3, ALU = 4, JMP = 5, RET = 6, MISC = 7;
    private const int W = 0x00, H = 0x08, B = 0x10;
    private const int IMM = 0x00, ABS = 0x20, IND = 0x40, MEM = 0x60, LEN = 0x80, MSH = 0xa0;
    private const int ADD = 0x00, SUB = 0x10, MUL = 0x20, DIV = 0x30, OR = 0x40, AND = 0x50, LSH = 0x60, RSH = 0x70, NEG = 0x80, MOD = 0x90, XOR = 0xa0;
    private const int JA = 0x00, JEQ = 0x10, JGT = 0x20, JGE = 0x30, JSET = 0x40;
    private const int X = 0x08, A = 0x10, TXA = 0x80;

    // Loads beyond the packet (linux/filter.h): what the kernel knows of it, and its headers.
    private const int AdOffset = -0x1000, NetOffset = -0x100000, LinkOffset = -0x200000;
    private const int AdProtocol = 0, AdPacketType = 4, AdInterface = 8, AdMark = 20, AdQueue = 24, AdHash = 32, AdCpu = 36, AdXor = 40, AdVlanTag = 44, AdVlanPresent = 48,
        AdRandom = 56, AdVlanProtocol = 60;

    private readonly BpfInstruction[] _code;

    private SocketFilter(BpfInstruction[] code)
    {
        _code = code;
    }

    /// <summary>The instructions, for SO_GET_FILTER.</summary>
    public ReadOnlySpan<BpfInstruction> Code => _code;

    /// <summary>Reads struct sock_fprog and its program. EINVAL, EFAULT.</summary>
    public static Errno TryRead(IUserMemory memory, ReadOnlySpan<byte> program, out SocketFilter? filter)
    {
        const int programSize = 16;
        filter = null;
        if (program.Length != programSize)
        {
            return Errno.EINVAL;
        }

        int length = BitConverter.ToUInt16(program);
        ulong address = BitConverter.ToUInt64(program[8..]);
        if (length is 0 or > MaxLength || address == 0)
        {
            return Errno.EINVAL;
        }

        BpfInstruction[] code = new BpfInstruction[length];
        Span<byte> bytes = MemoryMarshal.AsBytes(code.AsSpan());
        return memory.CopyIn(address, bytes) == bytes.Length ? TryCreate(code, out filter) : Errno.EFAULT;
    }

    /// <summary>EINVAL for programs that Linux would refuse.</summary>
    public static Errno TryCreate(BpfInstruction[] code, out SocketFilter? filter)
    {
        filter = null;
        if (code.Length is 0 or > MaxLength || (code[^1].Code & 7) != RET)
        {
            return Errno.EINVAL;
        }

        for (int i = 0; i < code.Length; i++)
        {
            if (!IsGood(code[i], code.Length - i - 1))
            {
                return Errno.EINVAL;
            }
        }

        filter = new SocketFilter(code);
        return Errno.None;
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

    public int Run(PacketBuffer packet) => (int)Math.Min(Run(default, packet), int.MaxValue);

    /// <summary>How many bytes of a message are kept; 0: it is dropped.</summary>
    public int Run(ReadOnlySpan<byte> message) => (int)Math.Min(Run(message, null), int.MaxValue);

    // The packet is the message, or the buffer.
    private uint Run(ReadOnlySpan<byte> message, PacketBuffer? packet)
    {
        Span<uint> memory = stackalloc uint[MemoryWords];
        memory.Clear();
        uint a = 0, x = 0, length = (uint)(packet?.Length ?? message.Length);
        for (int i = 0; ; i++)
        {
            ref readonly BpfInstruction instruction = ref _code[i];
            uint k = instruction.Constant;
            int mode = instruction.Code & 0xe0, size = instruction.Code & 0x18;
            uint operand = (instruction.Code & X) != 0 ? x : k;
            switch (instruction.Code & 7)
            {
                case RET:
                    return (instruction.Code & A) != 0 ? a : k;
                case LD when mode is ABS or IND:
                    int offset = unchecked((int)(mode == IND ? x + k : k));
                    if (mode == ABS && offset is < 0 and >= AdOffset)
                    {
                        a = Extension(offset - AdOffset, a, x, packet);
                    }
                    else if (!TryLoad(message, packet, offset, size, out a))
                    {
                        return 0;
                    }

                    break;
                case LD:
                    a = mode == MEM ? memory[(int)k] : mode == LEN ? length : k;
                    break;
                case LDX when mode == MSH:
                    if (!TryLoad(message, packet, unchecked((int)k), B, out uint first))
                    {
                        return 0;
                    }

                    x = (first & 0xf) * 4;
                    break;
                case LDX:
                    x = mode == MEM ? memory[(int)k] : mode == LEN ? length : k;
                    break;
                case ST:
                    memory[(int)k] = a;
                    break;
                case STX:
                    memory[(int)k] = x;
                    break;
                case MISC:
                    (a, x) = (instruction.Code & TXA) != 0 ? (x, x) : (a, a);
                    break;
                case JMP:
                    i = unchecked(i + (int)Jump(instruction, a, operand));
                    break;
                default:
                    if ((instruction.Code & 0xf0) is DIV or MOD && operand == 0)
                    {
                        return 0;
                    }

                    a = Calculate(instruction.Code & 0xf0, a, operand);
                    break;
            }
        }
    }

    private static bool TryLoad(ReadOnlySpan<byte> message, PacketBuffer? packet, int offset, int size, out uint value)
    {
        int count = size == W ? 4 : size == H ? 2 : 1;
        value = 0;
        if (offset < 0)
        {
            // Headers by name are those of a frame: the link header is its front.
            offset = offset >= LinkOffset && offset < NetOffset ? offset - LinkOffset
                : offset >= NetOffset && packet is { NetworkStart: >= 0 } ? offset - NetOffset + packet.NetworkStart - packet.Position
                : -1;
        }

        if (offset < 0 || offset > (packet?.Length ?? message.Length) - count)
        {
            return false;
        }

        Span<byte> bytes = stackalloc byte[4];
        if (packet is null)
        {
            message.Slice(offset, count).CopyTo(bytes);
        }
        else
        {
            packet.CopyTo(offset, bytes[..count]);
        }

        value = count == 4 ? BinaryPrimitives.ReadUInt32BigEndian(bytes) : count == 2 ? BinaryPrimitives.ReadUInt16BigEndian(bytes) : bytes[0];
        return true;
    }

    private static uint Extension(int number, uint a, uint x, PacketBuffer? packet)
    {
        switch (number)
        {
            case AdProtocol:
                return packet?.Protocol ?? 0;
            case AdPacketType:
                return (uint)(packet?.Type ?? PacketType.Host);
            case AdInterface:
                return (uint)(packet?.Interface ?? 0);
            case AdMark:
                return packet?.Mark ?? 0;
            case AdXor:
                return a ^ x;
            case AdRandom:
                Span<byte> bytes = stackalloc byte[4];
                SentryKernel.FillRandom(bytes);
                return BitConverter.ToUInt32(bytes);
            default:
                // No tags are taken off frames, and there is one queue and no hash.
                return 0;
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
