using System;
using System.Buffers.Binary;
using Runsc.Linux;
using Runsc.NetStack.Buffers;
using Runsc.NetStack.Transport;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Mapping;
using static Runsc.Sentry.Kernel.ClassicBpf;

namespace Runsc.Sentry.Sockets;

/// <summary>A checked program of classic BPF over a packet (SO_ATTACH_FILTER, socket(7)): how many bytes of it the socket gets.</summary>
/// <remarks>Immutable, so that it runs on any thread.</remarks>
internal sealed class SocketFilter : IDatagramFilter
{
    // Loads of headers by name (linux/filter.h).
    private const int NetOffset = -0x100000, LinkOffset = -0x200000;

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
        if (address == 0)
        {
            return Errno.EINVAL;
        }

        Errno error = ClassicBpf.TryRead(memory, address, length, out BpfInstruction[] code);
        return error == Errno.None ? TryCreate(code, out filter) : error;
    }

    /// <summary>EINVAL for programs that Linux would refuse.</summary>
    public static Errno TryCreate(BpfInstruction[] code, out SocketFilter? filter)
    {
        filter = IsGood(code) ? new SocketFilter(code) : null;
        return filter is null ? Errno.EINVAL : Errno.None;
    }

    public int Run(PacketBuffer packet) => (int)Math.Min(Run(default, packet), int.MaxValue);

    /// <summary>How many bytes of a message are kept; 0: it is dropped.</summary>
    public int Run(ReadOnlySpan<byte> message) => (int)Math.Min(Run(message, null), int.MaxValue);

    // The packet is the message, or the buffer.
    private uint Run(ReadOnlySpan<byte> message, PacketBuffer? packet)
    {
        Machine machine = new(stackalloc uint[MemoryWords]);
        uint length = (uint)(packet?.Length ?? message.Length);
        for (int i = 0; ; i++)
        {
            ref readonly BpfInstruction instruction = ref _code[i];
            uint k = instruction.Constant;
            int mode = instruction.Code & Mode, size = instruction.Code & Size;
            switch (instruction.Code & Class)
            {
                case RET:
                    return (instruction.Code & A) != 0 ? machine.A : k;
                case LD when mode is ABS or IND:
                    int offset = unchecked((int)(mode == IND ? machine.X + k : k));
                    if (mode == ABS && offset is < 0 and >= AdOffset)
                    {
                        machine.A = Extension(offset - AdOffset, machine.A, machine.X, packet);
                    }
                    else if (!TryLoad(message, packet, offset, size, out machine.A))
                    {
                        return 0;
                    }

                    break;
                case LDX when mode == MSH:
                    if (!TryLoad(message, packet, unchecked((int)k), B, out uint first))
                    {
                        return 0;
                    }

                    machine.X = (first & 0xf) * 4;
                    break;
                default:
                    if (!machine.Step(instruction, length, ref i))
                    {
                        return 0;
                    }

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
}
