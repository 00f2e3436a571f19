using System;
using System.Runtime.InteropServices;
using Runsc.Linux;

namespace Runsc.Sentry.Kernel.Seccomp;

/// <summary>struct seccomp_data (seccomp(2)): what a filter looks at.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct SeccompData
{
    public const int SizeInBytes = 64;

    public int Number;
    public uint Architecture;
    public ulong InstructionPointer;
    public ulong Argument0;
    public ulong Argument1;
    public ulong Argument2;
    public ulong Argument3;
    public ulong Argument4;
    public ulong Argument5;
}

/// <summary>
/// A program of classic BPF that an application has put over its system calls, and those that were there before it (Linux: struct seccomp_filter).
/// Immutable; children share it.
/// </summary>
internal sealed class CallFilter
{
    /// <summary>BPF_MAXINSNS.</summary>
    public const int MaxLength = 4096;

    // MAX_INSNS_PER_PATH: all programs of a chain, each with four for itself.
    private const int MaxChainLength = 32768;
    private const int ChainOverhead = 4;
    private const int ScratchWords = 16;

    private readonly BpfInstruction[] _program;
    private readonly int _chainLength;

    private CallFilter(BpfInstruction[] program, CallFilter? previous)
    {
        _program = program;
        Previous = previous;
        Count = (previous?.Count ?? 0) + 1;
        _chainLength = (previous?._chainLength ?? 0) + program.Length + ChainOverhead;
    }

    /// <summary>The filter that was there before.</summary>
    public CallFilter? Previous { get; }

    /// <summary>Filters in the chain.</summary>
    public int Count { get; }

    /// <summary>Checks a program and puts it over <paramref name="previous"/>. EINVAL for one that could do harm or end nowhere, ENOMEM for too many.</summary>
    public static Errno TryAdd(BpfInstruction[] program, CallFilter? previous, out CallFilter? filter)
    {
        filter = null;
        if (!BpfVerifier.IsValid(program))
        {
            return Errno.EINVAL;
        }

        CallFilter made = new(program, previous);
        if (made._chainLength > MaxChainLength)
        {
            return Errno.ENOMEM;
        }

        filter = made;
        return Errno.None;
    }

    /// <summary>Is this filter in the chain of <paramref name="other"/>?</summary>
    public bool IsAncestorOf(CallFilter? other)
    {
        for (; other is not null; other = other.Previous)
        {
            if (other == this)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>SECCOMP_RET_* with its data: the most severe answer of all filters, the newest of equals.</summary>
    public uint Evaluate(in SeccompData data)
    {
        uint result = Misc.SECCOMP_RET_ALLOW;
        for (CallFilter? filter = this; filter is not null; filter = filter.Previous)
        {
            uint answer = filter.Run(data);

            // Severity is the order of the actions as signed numbers.
            if (unchecked((int)(answer & Misc.SECCOMP_RET_ACTION_FULL)) < unchecked((int)(result & Misc.SECCOMP_RET_ACTION_FULL)))
            {
                result = answer;
            }
        }

        return result;
    }

    private uint Run(in SeccompData data)
    {
        ReadOnlySpan<uint> words = MemoryMarshal.Cast<SeccompData, uint>(new ReadOnlySpan<SeccompData>(in data));
        Span<uint> scratch = stackalloc uint[ScratchWords];
        scratch.Clear();
        uint a = 0, x = 0;
        for (int at = 0; ; at++)
        {
            ref readonly BpfInstruction i = ref _program[at];
            uint k = i.Constant;
            switch (i.Code)
            {
                case BpfCode.LoadWord:
                    a = words[(int)(k / sizeof(uint))];
                    break;
                case BpfCode.LoadLength:
                    a = SeccompData.SizeInBytes;
                    break;
                case BpfCode.LoadIndexLength:
                    x = SeccompData.SizeInBytes;
                    break;
                case BpfCode.LoadConstant:
                    a = k;
                    break;
                case BpfCode.LoadIndexConstant:
                    x = k;
                    break;
                case BpfCode.LoadScratch:
                    a = scratch[(int)k];
                    break;
                case BpfCode.LoadIndexScratch:
                    x = scratch[(int)k];
                    break;
                case BpfCode.Store:
                    scratch[(int)k] = a;
                    break;
                case BpfCode.StoreIndex:
                    scratch[(int)k] = x;
                    break;
                case BpfCode.IndexFromAccumulator:
                    x = a;
                    break;
                case BpfCode.AccumulatorFromIndex:
                    a = x;
                    break;
                case BpfCode.Jump:
                    at += (int)k;
                    break;
                case BpfCode.ReturnConstant:
                    return k;
                case BpfCode.ReturnAccumulator:
                    return a;
                default:
                    uint operand = (i.Code & BpfCode.UsesIndex) != 0 ? x : k;
                    int kind = i.Code & ~BpfCode.UsesIndex;
                    if ((i.Code & BpfCode.ClassMask) == BpfCode.JumpClass)
                    {
                        at += Holds(kind, a, operand) ? i.IfTrue : i.IfFalse;
                    }
                    else if (kind == BpfCode.Divide && operand == 0)
                    {
                        return 0;
                    }
                    else
                    {
                        a = Compute(kind, a, operand);
                    }

                    break;
            }
        }
    }

    private static bool Holds(int kind, uint a, uint operand) => kind switch
    {
        BpfCode.JumpIfEqual => a == operand,
        BpfCode.JumpIfAbove => a > operand,
        BpfCode.JumpIfNotBelow => a >= operand,
        _ => (a & operand) != 0,
    };

    private static uint Compute(int kind, uint a, uint operand) => unchecked(kind switch
    {
        BpfCode.Add => a + operand,
        BpfCode.Subtract => a - operand,
        BpfCode.Multiply => a * operand,
        BpfCode.Divide => a / operand,
        BpfCode.Or => a | operand,
        BpfCode.And => a & operand,
        BpfCode.Xor => a ^ operand,
        BpfCode.ShiftLeft => operand < 32 ? a << (int)operand : 0,
        BpfCode.ShiftRight => operand < 32 ? a >> (int)operand : 0,
        _ => 0 - a,
    });
}
