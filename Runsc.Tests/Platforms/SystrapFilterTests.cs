using System.Collections.Generic;
using System.Linq;
using Runsc.Host.Seccomp;
using Runsc.Linux;
using Runsc.Platform.Systrap.Stub;
using Runsc.Tests.Support;
using Runsc.Tests.Unit.Seccomp;
using Xunit;

namespace Runsc.Tests.Platforms;

/// <summary>The filters of the stub processes, without running them: what the application can and cannot get past them.</summary>
public sealed class SystrapFilterTests
{
    private const uint I386 = 0x40000003;

    private static readonly BpfInstruction[] s_guest = StubFilters.Guest();
    private static readonly BpfInstruction[] s_serve = StubFilters.Serve();

    /// <summary>Addresses of all instructions behind a SYSCALL in the stub code.</summary>
    private static IEnumerable<ulong> StubCalls() =>
        Enumerable.Range(0, StubCode.Bytes.Length - 1)
            .Where(i => StubCode.Bytes[i] == 0x0f && StubCode.Bytes[i + 1] == 0x05)
            .Select(i => StubLayout.Code + (ulong)i + 2);

    [Fact]
    public void Guest_EveryNumberAtEveryCallOfTheStub_IsTrappedButForFour()
    {
        HashSet<(ulong, int)> allowed = [];
        ulong[][] arguments = [[], [0x1002, 0], [0x1001, 0], [0, 1], [0, 0], [1, 0x80], [11, 0xfff, 3, 0x11, 3]];
        foreach (ulong instruction in StubCalls().Append(0x40_1000UL).Append(0x7fff_ffff_0000UL).Append(0xffff_ffff_ff60_0000UL))
        {
            foreach (int number in Enumerable.Range(-2, 600).Concat([0x4000_0000, 0x4000_0000 + SysNo.rt_sigreturn, 0x4000_0000 + 513]))
            {
                foreach (ulong[] values in arguments)
                {
                    uint result = SeccompProgramTests.Run(s_guest, number, SeccompProgram.AuditArchX64, values, instruction);
                    Assert.True(result is Misc.SECCOMP_RET_TRAP or Misc.SECCOMP_RET_ALLOW);
                    if (result == Misc.SECCOMP_RET_ALLOW)
                    {
                        allowed.Add((instruction, number));
                    }

                    Assert.Equal(Misc.SECCOMP_RET_TRAP, SeccompProgramTests.Run(s_guest, number, I386, values, instruction));
                }
            }
        }

        HashSet<(ulong, int)> expected =
        [
            (StubLayout.Code + StubCode.GuestWake, SysNo.futex),
            (StubLayout.Code + StubCode.GuestWait, SysNo.futex),
            (StubLayout.Code + StubCode.GuestSetFs, SysNo.arch_prctl),
            (StubLayout.Code + StubCode.GuestSetGs, SysNo.arch_prctl),
            (StubLayout.Code + StubCode.GuestReturn, SysNo.rt_sigreturn),
        ];
        Assert.Equal(expected.Order(), allowed.Order());
    }

    [Fact]
    public void Guest_ArgumentsOfWhatIsAllowed_AreLookedAt()
    {
        const int FutexLockPi = 6, ArchGetFs = 0x1003, ArchMapVdso = 0x2003;
        ulong wait = StubLayout.Code + StubCode.GuestWait, fs = StubLayout.Code + StubCode.GuestSetFs;
        Assert.Equal(Misc.SECCOMP_RET_TRAP, Guest(wait, SysNo.futex, 0, FutexLockPi));
        Assert.Equal(Misc.SECCOMP_RET_TRAP, Guest(wait, SysNo.futex, 0, 1UL << 32));
        Assert.Equal(Misc.SECCOMP_RET_TRAP, Guest(fs, SysNo.arch_prctl, ArchGetFs));
        Assert.Equal(Misc.SECCOMP_RET_TRAP, Guest(fs, SysNo.arch_prctl, ArchMapVdso));
        Assert.Equal(Misc.SECCOMP_RET_ALLOW, Guest(fs, SysNo.arch_prctl, 0x1002));

        static uint Guest(ulong instruction, int number, params ulong[] arguments) =>
            SeccompProgramTests.Run(s_guest, number, SeccompProgram.AuditArchX64, arguments, instruction);
    }

    [Fact]
    public void Serve_AllowsNothingOutsideOfTheStubCode()
    {
        ulong[] map = [0x1000, 4096, 3, Mman.MAP_SHARED | Mman.MAP_FIXED, StubLayout.MemoryFd, 0];
        ulong call = StubCalls().First();
        Assert.Equal(Misc.SECCOMP_RET_ALLOW, Serve(call, SysNo.mmap, map));
        foreach (ulong outside in (ulong[])[0x40_1000, StubLayout.Code - 2, StubLayout.Code + StubLayout.CodeSize, call | (1UL << 63)])
        {
            foreach (int number in Enumerable.Range(0, 500))
            {
                Assert.Equal(Misc.SECCOMP_RET_TRAP, Serve(outside, number, map));
            }
        }
    }

    [Fact]
    public void Serve_MapsTheMemoryFileOnly()
    {
        ulong call = StubCalls().First();
        Assert.Equal(Misc.SECCOMP_RET_TRAP, Serve(call, SysNo.mmap, 0x1000, 4096, 3, Mman.MAP_SHARED | Mman.MAP_FIXED, StubLayout.ControlFd, 0));
        Assert.Equal(Misc.SECCOMP_RET_TRAP, Serve(call, SysNo.mmap, 0x1000, 4096, 7, Mman.MAP_PRIVATE | Mman.MAP_ANONYMOUS | Mman.MAP_FIXED, StubLayout.MemoryFd, 0));
        Assert.Equal(Misc.SECCOMP_RET_TRAP, Serve(call, SysNo.clone, 17));
        foreach (int number in (int[])[SysNo.execve, SysNo.execveat, SysNo.open, SysNo.openat, SysNo.socket, SysNo.ptrace, SysNo.kill, SysNo.tgkill, SysNo.read, SysNo.close, SysNo.prctl])
        {
            Assert.Equal(Misc.SECCOMP_RET_TRAP, Serve(call, number));
        }
    }

    [ScriptFact]
    public void StubCode_IsWhatTheAssemblerMakesOfItsSource()
    {
        CommandResult result = CommandRunner.Run("/bin/sh", [TestEnvironment.Top + "/scripts/stub-code", "--check"]);
        Assert.True(result.Status == 0, result.ToString());
    }

    private static uint Serve(ulong instruction, int number, params ulong[] arguments) =>
        SeccompProgramTests.Run(s_serve, number, SeccompProgram.AuditArchX64, arguments, instruction);

    private sealed class ScriptFactAttribute : FactAttribute
    {
        public ScriptFactAttribute() => Skip = System.IO.File.Exists("/usr/bin/as") ? null : "binutils are missing";
    }
}
