using System.Collections.Generic;
using Runsc.Linux;

namespace Runsc.Host.Seccomp;

/// <summary>A condition on one argument (0–5) of a call: argument &amp; Mask == Value. Bits outside the mask do not matter.</summary>
internal readonly record struct ArgumentCheck(int Index, ulong Mask, ulong Value)
{
    /// <summary>A C int or unsigned int, of which the kernel looks at 32 bits.</summary>
    public static ArgumentCheck Int32(int index, uint value) => new(index, uint.MaxValue, value);

    public static ArgumentCheck Int64(int index, ulong value) => new(index, ulong.MaxValue, value);

    /// <summary>None of these bits.</summary>
    public static ArgumentCheck Without(int index, ulong bits) => new(index, bits, 0);

    /// <summary>A descriptor, not AT_FDCWD or another negative number.</summary>
    public static ArgumentCheck Descriptor(int index) => new(index, 0x80000000, 0);
}

/// <summary>
/// The system calls that a process may make, by number and argument; see seccomp(2). A call that no rule allows ends the process.
/// Calls are looked up in the order in which they were added: frequent ones with conditions come first (the kernel caches unconditional ones).
/// </summary>
internal sealed class SeccompRules
{
    private readonly List<int> _order = [];
    private readonly Dictionary<int, List<ArgumentCheck[]>> _allowed = [];
    private readonly Dictionary<int, Errno> _failing = [];

    /// <summary>Calls in the order of their rules.</summary>
    public IReadOnlyList<int> Numbers => _order;

    /// <summary>Allows calls whatever their arguments.</summary>
    public SeccompRules Allow(params int[] numbers)
    {
        foreach (int number in numbers)
        {
            Add(number).Add([]);
        }

        return this;
    }

    /// <summary>Allows a call whose arguments meet all conditions. Several rules for one call are alternatives.</summary>
    public SeccompRules AllowIf(int number, params ArgumentCheck[] all)
    {
        Add(number).Add(all);
        return this;
    }

    /// <summary>Allows a call with any of these values in one 32-bit argument.</summary>
    public SeccompRules AllowValues(int number, int argument, params uint[] values)
    {
        foreach (uint value in values)
        {
            Add(number).Add([ArgumentCheck.Int32(argument, value)]);
        }

        return this;
    }

    /// <summary>A call that fails with an error instead of ending the process: for what a library tries and can do without.</summary>
    public SeccompRules Fail(Errno error, params int[] numbers)
    {
        foreach (int number in numbers)
        {
            _ = Add(number);
            _failing[number] = error;
        }

        return this;
    }

    /// <summary>Rules that allow a call; empty conditions: always.</summary>
    internal IReadOnlyList<ArgumentCheck[]> AlternativesOf(int number) => _allowed[number];

    /// <summary>The error of a call that no alternative allows; None: it ends the process.</summary>
    internal Errno FailureOf(int number) => _failing.GetValueOrDefault(number);

    private List<ArgumentCheck[]> Add(int number)
    {
        if (!_allowed.TryGetValue(number, out List<ArgumentCheck[]>? alternatives))
        {
            _order.Add(number);
            _allowed[number] = alternatives = [];
        }

        return alternatives;
    }
}
