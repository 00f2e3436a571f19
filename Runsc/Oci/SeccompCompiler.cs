using System;
using System.Collections.Generic;
using Runsc.Common;
using Runsc.Host.Seccomp;
using Runsc.Linux;

namespace Runsc.Oci;

/// <summary>
/// Compiles "linux.seccomp" to classic BPF, with libseccomp's meaning: the conditions of one rule must all hold, rules for one call are alternatives, a rule
/// without conditions counts after those that have some, names that the architecture lacks are passed over. As runc does it, calls that are newer than
/// all that the profile names get ENOSYS instead of an error by default, so that libraries go on with the older call.
/// </summary>
internal static class SeccompCompiler
{
    // BPF_JMP|BPF_JGT|BPF_K.
    private const ushort JumpIfAbove = 0x25;

    private const uint NumberOffset = 0, ArchitectureOffset = 4, ArgumentsOffset = 16;
    private const int MaxLength = 4096, MaxArguments = 6;

    private static readonly string[] s_actions =
        ["SCMP_ACT_KILL", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_TRAP", "SCMP_ACT_ERRNO", "SCMP_ACT_TRACE", "SCMP_ACT_LOG", "SCMP_ACT_ALLOW"];

    private static readonly string[] s_operators =
        ["SCMP_CMP_NE", "SCMP_CMP_LT", "SCMP_CMP_LE", "SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_MASKED_EQ"];

    private static readonly string[] s_flags = ["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"];

    private static readonly string[] s_architectures =
    [
        "SCMP_ARCH_X86", "SCMP_ARCH_X86_64", "SCMP_ARCH_X32", "SCMP_ARCH_ARM", "SCMP_ARCH_AARCH64", "SCMP_ARCH_MIPS", "SCMP_ARCH_MIPS64", "SCMP_ARCH_MIPS64N32",
        "SCMP_ARCH_MIPSEL", "SCMP_ARCH_MIPSEL64", "SCMP_ARCH_MIPSEL64N32", "SCMP_ARCH_PPC", "SCMP_ARCH_PPC64", "SCMP_ARCH_PPC64LE", "SCMP_ARCH_S390", "SCMP_ARCH_S390X",
        "SCMP_ARCH_PARISC", "SCMP_ARCH_PARISC64", "SCMP_ARCH_RISCV64", "SCMP_ARCH_LOONGARCH64", "SCMP_ARCH_M68K", "SCMP_ARCH_SH", "SCMP_ARCH_SHEB",
    ];

    public static IReadOnlyList<string> Actions => s_actions;

    public static IReadOnlyList<string> Operators => s_operators;

    public static IReadOnlyList<string> Flags => s_flags;

    public static bool Logs(SeccompSpec spec) => spec.Flags?.Contains("SECCOMP_FILTER_FLAG_LOG") ?? false;

    /// <exception cref="RunscException">What cannot be carried out, after <paramref name="where"/>.</exception>
    public static BpfInstruction[] Compile(string where, SeccompSpec spec)
    {
        foreach (string flag in spec.Flags ?? [])
        {
            Refuse(Array.IndexOf(s_flags, flag) < 0, where, $"flag {flag} is not supported");
        }

        foreach (string architecture in spec.Architectures ?? [])
        {
            // Programs of the others cannot run here: there is nothing to filter.
            Refuse(Array.IndexOf(s_architectures, architecture) < 0, where, $"architectures: unknown name {architecture}");
        }

        Refuse(!string.IsNullOrEmpty(spec.ListenerPath), where, "listenerPath: notifications are not supported");
        uint byDefault = Verdict(where, spec.DefaultAction, spec.DefaultErrnoRet);
        SortedDictionary<int, List<(SeccompArgumentSpec[] Conditions, uint Verdict)>> rules = Collect(where, spec);
        List<BpfInstruction> code =
        [
            New(SeccompProgram.Load, ArchitectureOffset),
            New(SeccompProgram.JumpIfEqual, SeccompProgram.AuditArchX64, 1, 0),
            New(SeccompProgram.Return, Misc.SECCOMP_RET_KILL_PROCESS),
            New(SeccompProgram.Load, NumberOffset),
        ];
        int newest = -1;
        foreach ((int number, List<(SeccompArgumentSpec[] Conditions, uint Verdict)> alternatives) in rules)
        {
            newest = number;
            List<BpfInstruction> block = Block(where, alternatives, byDefault);
            if (block.Count <= byte.MaxValue)
            {
                code.Add(New(SeccompProgram.JumpIfEqual, (uint)number, 0, (byte)block.Count));
            }
            else
            {
                code.Add(New(SeccompProgram.JumpIfEqual, (uint)number, 1, 0));
                code.Add(New(SeccompProgram.Jump, (uint)block.Count));
            }

            code.AddRange(block);
        }

        if (newest >= 0 && byDefault != Misc.SECCOMP_RET_ALLOW && byDefault != (Misc.SECCOMP_RET_ERRNO | (uint)Errno.ENOSYS))
        {
            code.Add(New(JumpIfAbove, (uint)newest, 0, 1));
            code.Add(New(SeccompProgram.Return, Misc.SECCOMP_RET_ERRNO | (uint)Errno.ENOSYS));
        }

        code.Add(New(SeccompProgram.Return, byDefault));
        Refuse(code.Count > MaxLength, where, $"the filter has {code.Count} instructions, more than {MaxLength}");
        return [.. code];
    }

    private static SortedDictionary<int, List<(SeccompArgumentSpec[] Conditions, uint Verdict)>> Collect(string where, SeccompSpec spec)
    {
        SortedDictionary<int, List<(SeccompArgumentSpec[] Conditions, uint Verdict)>> rules = [];
        foreach (SeccompCallSpec call in spec.Syscalls ?? [])
        {
            Refuse(call.Names is not { Count: > 0 }, where, "syscalls: an entry has no names");
            uint verdict = Verdict(where, call.Action, call.ErrnoRet);
            SeccompArgumentSpec[] conditions = call.Args?.ToArray() ?? [];
            bool repeats = false;
            for (int i = 0; i < conditions.Length; i++)
            {
                Refuse(conditions[i].Index >= MaxArguments, where, $"syscalls: {call.Names![0]}: argument {conditions[i].Index}: a call has six");
                Refuse(Array.IndexOf(s_operators, conditions[i].Op) < 0, where, $"syscalls: {call.Names![0]}: unknown operator {conditions[i].Op}");
                repeats |= Array.Exists(conditions[..i], other => other.Index == conditions[i].Index);
            }

            foreach (string name in call.Names!)
            {
                int number = SyscallNames.NumberOf(name);
                if (number < 0)
                {
                    continue;
                }

                if (!rules.TryGetValue(number, out List<(SeccompArgumentSpec[] Conditions, uint Verdict)>? alternatives))
                {
                    rules[number] = alternatives = [];
                }

                // Several conditions on one argument cannot be in one rule of libseccomp: runc makes a rule of each.
                foreach (SeccompArgumentSpec[] rule in repeats ? Array.ConvertAll(conditions, condition => new[] { condition }) : [conditions])
                {
                    alternatives.Add((rule, verdict));
                }
            }
        }

        return rules;
    }

    /// <summary>Decides about one call; every path through it returns.</summary>
    private static List<BpfInstruction> Block(string where, List<(SeccompArgumentSpec[] Conditions, uint Verdict)> alternatives, uint byDefault)
    {
        List<BpfInstruction> block = [];
        foreach ((SeccompArgumentSpec[] conditions, uint verdict) in alternatives)
        {
            if (conditions.Length > 0)
            {
                Alternative code = new();
                foreach (SeccompArgumentSpec condition in conditions)
                {
                    code.Test(condition);
                }

                block.AddRange(code.Finish(verdict));
            }
        }

        int always = alternatives.FindIndex(alternative => alternative.Conditions.Length == 0);
        block.Add(New(SeccompProgram.Return, always < 0 ? byDefault : alternatives[always].Verdict));
        Refuse(block.Count > MaxLength, where, "too many rules for one call");
        return block;
    }

    private static uint Verdict(string where, string? action, uint? error)
    {
        Refuse(action == "SCMP_ACT_NOTIFY", where, "SCMP_ACT_NOTIFY: notifications are not supported");
        Refuse(error > Misc.SECCOMP_RET_DATA, where, $"errnoRet {error} is no error number");
        Refuse(error is not null && action is not ("SCMP_ACT_ERRNO" or "SCMP_ACT_TRACE"), where, $"errnoRet has no meaning for {action}");
        return action switch
        {
            "SCMP_ACT_KILL" or "SCMP_ACT_KILL_THREAD" => Misc.SECCOMP_RET_KILL_THREAD,
            "SCMP_ACT_KILL_PROCESS" => Misc.SECCOMP_RET_KILL_PROCESS,
            "SCMP_ACT_TRAP" => Misc.SECCOMP_RET_TRAP,
            "SCMP_ACT_ERRNO" => Misc.SECCOMP_RET_ERRNO | (error ?? (uint)Errno.EPERM),
            "SCMP_ACT_TRACE" => Misc.SECCOMP_RET_TRACE | (error ?? (uint)Errno.EPERM),
            "SCMP_ACT_LOG" => Misc.SECCOMP_RET_LOG,
            "SCMP_ACT_ALLOW" => Misc.SECCOMP_RET_ALLOW,
            _ => throw new RunscException($"{where}: unknown action {action}"),
        };
    }

    private static void Refuse(bool condition, string where, string what)
    {
        if (condition)
        {
            throw new RunscException($"{where}: {what}");
        }
    }

    private static BpfInstruction New(ushort code, uint constant, byte ifTrue = 0, byte ifFalse = 0) =>
        new() { Code = code, Constant = constant, IfTrue = ifTrue, IfFalse = ifFalse };

    /// <summary>The code of conditions that must all hold: 64-bit arguments, compared by halves; what fails goes on behind the code.</summary>
    private sealed class Alternative
    {
        // Marks of jumps whose aims are not known yet; an alternative has 6 conditions of at most 6 instructions.
        private const byte Fails = 255, Passes = 254;

        private readonly List<BpfInstruction> _code = [];

        public void Test(SeccompArgumentSpec condition)
        {
            int first = _code.Count;
            uint low = ArgumentsOffset + (8 * condition.Index), high = low + 4;
            ulong value = condition.Op == "SCMP_CMP_MASKED_EQ" ? condition.ValueTwo & condition.Value : condition.Value;
            uint valueLow = unchecked((uint)value), valueHigh = (uint)(value >> 32);
            switch (condition.Op)
            {
                case "SCMP_CMP_MASKED_EQ":
                    Add(SeccompProgram.Load, high);
                    Add(SeccompProgram.And, (uint)(condition.Value >> 32));
                    Add(SeccompProgram.JumpIfEqual, valueHigh, 0, Fails);
                    Add(SeccompProgram.Load, low);
                    Add(SeccompProgram.And, unchecked((uint)condition.Value));
                    Add(SeccompProgram.JumpIfEqual, valueLow, 0, Fails);
                    break;
                case "SCMP_CMP_EQ":
                    Add(SeccompProgram.Load, high);
                    Add(SeccompProgram.JumpIfEqual, valueHigh, 0, Fails);
                    Add(SeccompProgram.Load, low);
                    Add(SeccompProgram.JumpIfEqual, valueLow, 0, Fails);
                    break;
                case "SCMP_CMP_NE":
                    Add(SeccompProgram.Load, high);
                    Add(SeccompProgram.JumpIfEqual, valueHigh, 0, Passes);
                    Add(SeccompProgram.Load, low);
                    Add(SeccompProgram.JumpIfEqual, valueLow, Fails, 0);
                    break;
                default:
                    bool isAbove = condition.Op is "SCMP_CMP_GT" or "SCMP_CMP_GE";
                    (byte above, byte below) = isAbove ? (Passes, Fails) : (Fails, Passes);
                    Add(SeccompProgram.Load, high);
                    Add(JumpIfAbove, valueHigh, above, 0);
                    Add(SeccompProgram.JumpIfEqual, valueHigh, 0, below);
                    Add(SeccompProgram.Load, low);
                    ushort compare = condition.Op is "SCMP_CMP_GT" or "SCMP_CMP_LE" ? JumpIfAbove : SeccompProgram.JumpIfNotBelow;
                    Add(compare, valueLow, isAbove ? (byte)0 : Fails, isAbove ? Fails : (byte)0);
                    break;
            }

            for (int i = first; i < _code.Count; i++)
            {
                Aim(i, Passes, _code.Count);
            }
        }

        public List<BpfInstruction> Finish(uint verdict)
        {
            Add(SeccompProgram.Return, verdict);
            for (int i = 0; i < _code.Count; i++)
            {
                Aim(i, Fails, _code.Count);
            }

            return _code;
        }

        private void Add(ushort code, uint constant, byte ifTrue = 0, byte ifFalse = 0) => _code.Add(New(code, constant, ifTrue, ifFalse));

        private void Aim(int index, byte mark, int target)
        {
            BpfInstruction instruction = _code[index];
            byte distance = checked((byte)(target - index - 1));
            instruction.IfTrue = instruction.IfTrue == mark ? distance : instruction.IfTrue;
            instruction.IfFalse = instruction.IfFalse == mark ? distance : instruction.IfFalse;
            _code[index] = instruction;
        }
    }
}
