using System.Collections.Generic;
using Runsc.Host.Seccomp;
using Runsc.Linux;

namespace Runsc.Platform.Systrap.Stub;

/// <summary>
/// The two filters of a stub process. Whatever they do not allow is trapped: for a thread of the application that is the way into the Sentry,
/// for the thread that serves it is the end of the process. They look at the instruction as well as at the number, so the application gains
/// nothing by numbers, and by jumping into the stub code no more than to wait, to wake, to set its FS or GS base or to return from a signal.
/// A thread of the application also has syscall user dispatch, which traps every call from outside of the stub code before the filters are asked:
/// it is faster, and it does not leave out the calls that recent kernels let past every filter (uprobe, uretprobe).
/// </summary>
internal static class StubFilters
{
    private const uint NumberOffset = 0, ArchitectureOffset = 4, InstructionOffset = 8, ArgumentsOffset = 16;
    private const uint CodeHigh = (uint)(StubLayout.Code >> 32);
    private const uint CodeLow = unchecked((uint)StubLayout.Code);

    /// <summary>Threads of a stub process: as pthread_create makes them, without its thread-local storage.</summary>
    public const uint ThreadFlags = Sched.CLONE_VM | Sched.CLONE_FS | Sched.CLONE_FILES | Sched.CLONE_SIGHAND | Sched.CLONE_THREAD | Sched.CLONE_SYSVSEM |
        Sched.CLONE_PARENT_SETTID;

    /// <summary>For the thread that serves, and inherited by the application's, which add the stricter one below.</summary>
    public static BpfInstruction[] Serve()
    {
        const uint PR_SET_SYSCALL_USER_DISPATCH = 59;
        FilterWriter filter = new();
        filter.Require(ArchitectureOffset, SeccompProgram.AuditArchX64);
        filter.Require(InstructionOffset + 4, CodeHigh);
        filter.RequireBelow(InstructionOffset, CodeLow, CodeLow + StubLayout.CodeSize);
        filter.Allow(SysNo.futex);
        filter.Allow(SysNo.rt_sigreturn);
        filter.Allow(SysNo.write);
        filter.AllowIf(SysNo.mmap, 3, Mman.MAP_SHARED | Mman.MAP_FIXED, 4, StubLayout.MemoryFd);
        filter.AllowIf(SysNo.mmap, 3, Mman.MAP_SHARED | Mman.MAP_FIXED | Mman.MAP_POPULATE, 4, StubLayout.MemoryFd);
        filter.Allow(SysNo.munmap);
        filter.Allow(SysNo.mprotect);
        filter.Allow(SysNo.arch_prctl);
        filter.AllowIf(SysNo.clone, 0, ThreadFlags);
        filter.Allow(SysNo.sigaltstack);
        filter.AllowIf(SysNo.prctl, 0, PR_SET_SYSCALL_USER_DISPATCH);
        filter.AllowIf(SysNo.seccomp, 0, Misc.SECCOMP_SET_MODE_FILTER);
        filter.Allow(SysNo.exit_group);
        return filter.Finish();
    }

    /// <summary>For a thread of the application.</summary>
    public static BpfInstruction[] Guest()
    {
        const uint ARCH_SET_GS = 0x1001, ARCH_SET_FS = 0x1002;
        FilterWriter filter = new();
        filter.Require(ArchitectureOffset, SeccompProgram.AuditArchX64);
        filter.Require(InstructionOffset + 4, CodeHigh);
        filter.AllowAt(SysNo.futex, CodeLow + StubCode.GuestWait, 1, Futex.FUTEX_WAIT);
        filter.AllowAt(SysNo.futex, CodeLow + StubCode.GuestWake, 1, Futex.FUTEX_WAKE);
        filter.AllowAt(SysNo.rt_sigreturn, CodeLow + StubCode.GuestReturn);
        filter.AllowAt(SysNo.arch_prctl, CodeLow + StubCode.GuestSetFs, 0, ARCH_SET_FS);
        filter.AllowAt(SysNo.arch_prctl, CodeLow + StubCode.GuestSetGs, 0, ARCH_SET_GS);
        return filter.Finish();
    }

    /// <summary>Writes classic BPF; every test that fails goes on behind its rule, and the end of all rules traps.</summary>
    private sealed class FilterWriter
    {
        private readonly List<BpfInstruction> _code = [];

        /// <summary>Traps everything where a word is another.</summary>
        public void Require(uint offset, uint value)
        {
            Add(SeccompProgram.Load, offset);
            Add(SeccompProgram.JumpIfEqual, value, 1, 0);
            Add(SeccompProgram.Return, Misc.SECCOMP_RET_TRAP);
        }

        /// <summary>Traps everything where a word is outside of [first, end).</summary>
        public void RequireBelow(uint offset, uint first, uint end)
        {
            Add(SeccompProgram.Load, offset);
            Add(SeccompProgram.JumpIfNotBelow, first, 0, 1);
            Add(SeccompProgram.JumpIfNotBelow, end, 0, 1);
            Add(SeccompProgram.Return, Misc.SECCOMP_RET_TRAP);
        }

        public void Allow(int number) => Rule([(NumberOffset, (uint)number)]);

        public void AllowIf(int number, int argument, uint value) => Rule([(NumberOffset, (uint)number), .. Argument(argument, value)]);

        public void AllowIf(int number, int argument, uint value, int second, uint secondValue) =>
            Rule([(NumberOffset, (uint)number), .. Argument(argument, value), .. Argument(second, secondValue)]);

        public void AllowAt(int number, uint instruction) => Rule([(NumberOffset, (uint)number), (InstructionOffset, instruction)]);

        public void AllowAt(int number, uint instruction, int argument, uint value) =>
            Rule([(NumberOffset, (uint)number), (InstructionOffset, instruction), .. Argument(argument, value)]);

        public BpfInstruction[] Finish()
        {
            Add(SeccompProgram.Return, Misc.SECCOMP_RET_TRAP);
            return [.. _code];
        }

        private static (uint Offset, uint Value)[] Argument(int index, uint value) =>
            [(ArgumentsOffset + (8 * (uint)index), value), (ArgumentsOffset + (8 * (uint)index) + 4, 0)];

        private void Rule((uint Offset, uint Value)[] tests)
        {
            int end = _code.Count + (2 * tests.Length) + 1;
            foreach ((uint offset, uint value) in tests)
            {
                Add(SeccompProgram.Load, offset);
                Add(SeccompProgram.JumpIfEqual, value, 0, (byte)(end - _code.Count - 1));
            }

            Add(SeccompProgram.Return, Misc.SECCOMP_RET_ALLOW);
        }

        private void Add(ushort code, uint constant, byte ifTrue = 0, byte ifFalse = 0) =>
            _code.Add(new BpfInstruction { Code = code, Constant = constant, IfTrue = ifTrue, IfFalse = ifFalse });
    }
}
