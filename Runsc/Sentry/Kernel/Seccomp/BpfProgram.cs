using Runsc.Linux;
using Runsc.Sentry.Mapping;
using static Runsc.Sentry.Kernel.ClassicBpf;

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

/// <summary>A checked program of classic BPF over <see cref="SeccompData"/>: it reads only aligned words of the data.</summary>
internal sealed class BpfProgram
{
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
        Errno error = ClassicBpf.TryRead(memory, address, length, out BpfInstruction[] code);
        return error == Errno.None ? TryCreate(code, out program) : error;
    }

    /// <summary>EINVAL for programs that Linux would refuse for seccomp.</summary>
    public static Errno TryCreate(BpfInstruction[] code, out BpfProgram? program)
    {
        program = null;
        if (!IsGood(code))
        {
            return Errno.EINVAL;
        }

        foreach (BpfInstruction instruction in code)
        {
            if (!IsAllowed(instruction))
            {
                return Errno.EINVAL;
            }
        }

        program = new BpfProgram(code);
        return Errno.None;
    }

    // What seccomp leaves of classic BPF: there is no packet to load from, and no remainder.
    private static bool IsAllowed(in BpfInstruction instruction) => (instruction.Code & Class) switch
    {
        LD when (instruction.Code & Mode) == ABS => instruction.Code == (LD | W | ABS) && instruction.Constant < SeccompData.SizeInBytes && (instruction.Constant & 3) == 0,
        LD => (instruction.Code & Mode) != IND,
        LDX => (instruction.Code & Mode) != MSH,
        ALU => (instruction.Code & Operation) != MOD,
        _ => true,
    };

    /// <summary>SECCOMP_RET_* with its data. <paramref name="lookedCloser"/>: more than number and architecture was read.</summary>
    public unsafe uint Run(in SeccompData data, ref bool lookedCloser)
    {
        Machine machine = new(stackalloc uint[MemoryWords]);
        fixed (SeccompData* start = &data)
        {
            // SAFETY: offsets were checked to lie in the data.
            uint* words = (uint*)start;
            for (int i = 0; ; i++)
            {
                ref readonly BpfInstruction instruction = ref _code[i];
                if ((instruction.Code & Class) == RET)
                {
                    return (instruction.Code & A) != 0 ? machine.A : instruction.Constant;
                }

                if (instruction.Code == (LD | W | ABS))
                {
                    machine.A = words[instruction.Constant / 4];
                    lookedCloser |= instruction.Constant >= 8;
                }
                else if (!machine.Step(instruction, SeccompData.SizeInBytes, ref i))
                {
                    return 0;
                }
            }
        }
    }
}
