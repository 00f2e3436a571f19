using System;
using System.Collections.Generic;
using System.Linq;
using Runsc.Boot.Filters;
using Runsc.Host.Seccomp;
using Runsc.Linux;
using Runsc.Platform.Kvm.Abi;
using Xunit;

namespace Runsc.Tests.Unit.Seccomp;

/// <summary>Filters are run by an interpreter of classic BPF, so that what they decide is seen without a kernel.</summary>
public sealed class SeccompProgramTests
{
    private const uint Refusal = Misc.SECCOMP_RET_KILL_PROCESS;

    private const uint Allowed = Misc.SECCOMP_RET_ALLOW;

    [Fact]
    public void Call_WithoutRule_IsRefused()
    {
        BpfInstruction[] program = SeccompProgram.Compile(new SeccompRules().Allow(SysNo.read), Refusal);
        Assert.Equal(Allowed, Decide(program, SysNo.read));
        Assert.Equal(Refusal, Decide(program, SysNo.write));
        Assert.Equal(Refusal, Decide(program, SysNo.execve));
    }

    [Fact]
    public void OtherArchitecture_IsRefused()
    {
        BpfInstruction[] program = SeccompProgram.Compile(new SeccompRules().Allow(SysNo.read), Refusal);
        Assert.Equal(Refusal, Run(program, SysNo.read, 0x40000003, []));
        Assert.Equal(Refusal, Decide(program, SysNo.read | 0x40000000));
    }

    [Fact]
    public void Value_IsComparedWithAllItsBits()
    {
        BpfInstruction[] program = SeccompProgram.Compile(new SeccompRules().AllowIf(SysNo.prlimit64, ArgumentCheck.Int64(2, 0)), Refusal);
        Assert.Equal(Allowed, Decide(program, SysNo.prlimit64, 5, 7, 0));
        Assert.Equal(Refusal, Decide(program, SysNo.prlimit64, 0, 0, 1));
        Assert.Equal(Refusal, Decide(program, SysNo.prlimit64, 0, 0, 1UL << 40));
    }

    [Fact]
    public void Int32_IgnoresTheUpperHalf()
    {
        BpfInstruction[] program = SeccompProgram.Compile(new SeccompRules().AllowValues(SysNo.ioctl, 1, 0xAE80, 0x5401), Refusal);
        Assert.Equal(Allowed, Decide(program, SysNo.ioctl, 3, 0x5401));
        Assert.Equal(Allowed, Decide(program, SysNo.ioctl, 3, 0xFFFFFFFF_0000AE80));
        Assert.Equal(Refusal, Decide(program, SysNo.ioctl, 3, 0x5402));
    }

    [Fact]
    public void Descriptor_IsNotAtFdCwd()
    {
        BpfInstruction[] program = SeccompProgram.Compile(new SeccompRules().AllowIf(SysNo.openat, ArgumentCheck.Descriptor(0)).Fail(Errno.ENOENT, SysNo.openat), Refusal);
        Assert.Equal(Allowed, Decide(program, SysNo.openat, 7));
        Assert.Equal(Misc.SECCOMP_RET_ERRNO | (uint)Errno.ENOENT, Decide(program, SysNo.openat, unchecked((ulong)(long)Fcntl.AT_FDCWD)));
        Assert.Equal(Misc.SECCOMP_RET_ERRNO | (uint)Errno.ENOENT, Decide(program, SysNo.openat, unchecked((uint)Fcntl.AT_FDCWD)));
    }

    [Fact]
    public void Conditions_MustAllHold()
    {
        BpfInstruction[] program = SeccompProgram.Compile(new SeccompRules().AllowIf(SysNo.linkat, ArgumentCheck.Descriptor(0), ArgumentCheck.Descriptor(2)), Refusal);
        Assert.Equal(Allowed, Decide(program, SysNo.linkat, 1, 0, 2));
        Assert.Equal(Refusal, Decide(program, SysNo.linkat, 1, 0, 0xFFFFFF9C));
        Assert.Equal(Refusal, Decide(program, SysNo.linkat, 0xFFFFFF9C, 0, 1));
    }

    [Fact]
    public void ManyAlternatives_JumpFurtherThanAByte()
    {
        uint[] values = [.. Enumerable.Range(0, 200).Select(i => (uint)i * 3)];
        BpfInstruction[] program = SeccompProgram.Compile(new SeccompRules().AllowValues(SysNo.ioctl, 1, values).Allow(SysNo.read), Refusal);
        Assert.Equal(Allowed, Decide(program, SysNo.ioctl, 0, 597));
        Assert.Equal(Refusal, Decide(program, SysNo.ioctl, 0, 598));
        Assert.Equal(Allowed, Decide(program, SysNo.read));
        Assert.Equal(Refusal, Decide(program, SysNo.write));
    }

    [Fact]
    public void Rules_AgreeWithTheProgram_OnRandomCalls()
    {
        const int seed = 20261;
        Random random = new(seed);
        foreach (SeccompRules rules in (SeccompRules[])[BootFilter.Create("kvm", "sandbox"), BootFilter.Create("systrap", "sandbox"), GoferFilter.Create()])
        {
            BpfInstruction[] program = SeccompProgram.Compile(rules, Refusal);
            Assert.True(program.Length <= 4096, "BPF_MAXINSNS");
            ulong[] interesting = [0, 1, 4, 7, 0x5401, 0xAE80, Fcntl.AT_EMPTY_PATH, unchecked((ulong)-100L), 0xFFFFFF9C, 1UL << 33, ulong.MaxValue, (ulong)Environment.ProcessId];
            for (int i = 0; i < 20_000; i++)
            {
                int number = random.Next(0, 470);
                ulong[] arguments = [.. Enumerable.Range(0, 6).Select(_ => interesting[random.Next(interesting.Length)])];
                Assert.Equal(Expected(rules, number, arguments), Run(program, number, SeccompProgram.AuditArchX64, arguments));
            }
        }
    }

    [Theory]
    [InlineData(SysNo.execve)]
    [InlineData(SysNo.execveat)]
    [InlineData(SysNo.fork)]
    [InlineData(SysNo.vfork)]
    [InlineData(SysNo.socket)]
    [InlineData(SysNo.connect)]
    [InlineData(SysNo.ptrace)]
    [InlineData(SysNo.kill)]
    [InlineData(SysNo.mount)]
    [InlineData(SysNo.unshare)]
    [InlineData(SysNo.setns)]
    [InlineData(SysNo.bpf)]
    [InlineData(SysNo.io_uring_setup)]
    [InlineData(SysNo.process_vm_readv)]
    [InlineData(SysNo.pidfd_open)]
    [InlineData(SysNo.userfaultfd)]
    [InlineData(SysNo.chroot)]
    public void DangerousCalls_AreInNeitherList(int number)
    {
        Assert.DoesNotContain(number, BootFilter.Create("kvm", "sandbox").Numbers);
        Assert.DoesNotContain(number, GoferFilter.Create().Numbers);
        Assert.True(number == SysNo.pidfd_open || !BootFilter.Create("systrap", "sandbox").Numbers.Contains(number));
    }

    [Fact]
    public void Systrap_SignalsOnlyToStopAndToEnd()
    {
        BpfInstruction[] program = SeccompProgram.Compile(BootFilter.Create("systrap", "sandbox"), Refusal);
        ulong other = (ulong)Environment.ProcessId + 1;
        Assert.Equal(Allowed, Decide(program, SysNo.tgkill, other, other, 35));
        Assert.NotEqual(Allowed, Decide(program, SysNo.tgkill, other, other, Signal.SIGKILL));
        Assert.Equal(Allowed, Decide(program, SysNo.pidfd_send_signal, 3, Signal.SIGKILL, 0));
        Assert.NotEqual(Allowed, Decide(program, SysNo.pidfd_send_signal, 3, Signal.SIGSTOP, 0));
        Assert.NotEqual(Allowed, Decide(program, SysNo.ioctl, 3, KvmNumbers.KVM_RUN));
        Assert.NotEqual(Allowed, Decide(program, SysNo.clone, 17));
        Assert.NotEqual(Allowed, Decide(program, SysNo.mmap, 0, 4096, Mman.PROT_EXEC | Mman.PROT_READ));
    }

    [Fact]
    public void HostNetwork_OpensInternetSocketsThatDoNotBlock_AndNoOthers()
    {
        const ulong kind = Socket.SOCK_NONBLOCK | Socket.SOCK_CLOEXEC;
        foreach (string platform in (string[])["kvm", "systrap"])
        {
            BpfInstruction[] program = SeccompProgram.Compile(BootFilter.Create(platform, "host"), Refusal);
            Assert.True(program.Length <= 4096, "BPF_MAXINSNS");
            Assert.Equal(Allowed, Decide(program, SysNo.socket, Socket.AF_INET, Socket.SOCK_STREAM | kind, Socket.IPPROTO_TCP));
            Assert.Equal(Allowed, Decide(program, SysNo.socket, Socket.AF_INET6, Socket.SOCK_DGRAM | kind, Socket.IPPROTO_UDP));
            Assert.NotEqual(Allowed, Decide(program, SysNo.socket, Socket.AF_INET, Socket.SOCK_STREAM, Socket.IPPROTO_TCP));
            Assert.NotEqual(Allowed, Decide(program, SysNo.socket, Socket.AF_INET, Socket.SOCK_RAW | kind, Socket.IPPROTO_TCP));
            Assert.NotEqual(Allowed, Decide(program, SysNo.socket, Socket.AF_UNIX, Socket.SOCK_STREAM | kind, 0));
            Assert.NotEqual(Allowed, Decide(program, SysNo.socket, Socket.AF_PACKET, Socket.SOCK_DGRAM | kind, Socket.IPPROTO_UDP));
            Assert.NotEqual(Allowed, Decide(program, SysNo.socket, Socket.AF_NETLINK, Socket.SOCK_DGRAM | kind, 0));
            Assert.Equal(Allowed, Decide(program, SysNo.setsockopt, 5, Socket.IPPROTO_TCP, Socket.TCP_NODELAY));
            Assert.NotEqual(Allowed, Decide(program, SysNo.setsockopt, 5, Socket.SOL_SOCKET, Socket.SO_ATTACH_FILTER));
            Assert.NotEqual(Allowed, Decide(program, SysNo.setsockopt, 5, Socket.IPPROTO_TCP, Socket.TCP_REPAIR));
            Assert.Equal(Allowed, Decide(program, SysNo.getsockopt, 5, Socket.SOL_SOCKET, Socket.SO_ERROR));
            Assert.NotEqual(Allowed, Decide(program, SysNo.getsockopt, 5, Socket.SOL_SOCKET, Socket.SO_PEERCRED));
        }
    }

    [Fact]
    public void Boot_NamesNoPath()
    {
        BpfInstruction[] program = SeccompProgram.Compile(BootFilter.Create("kvm", "sandbox"), Refusal);
        Assert.NotEqual(Allowed, Decide(program, SysNo.openat, 3));
        Assert.NotEqual(Allowed, Decide(program, SysNo.open));
        Assert.NotEqual(Allowed, Decide(program, SysNo.newfstatat, 3, 0, 0, 0));
        Assert.NotEqual(Allowed, Decide(program, SysNo.unlinkat, 3));
        Assert.Equal(Allowed, Decide(program, SysNo.newfstatat, 3, 0, 0, (ulong)Fcntl.AT_EMPTY_PATH));
    }

    [Fact]
    public void NoExecutableMemory_AndNoProcesses()
    {
        BpfInstruction[] program = SeccompProgram.Compile(BootFilter.Create("kvm", "sandbox"), Refusal);
        Assert.NotEqual(Allowed, Decide(program, SysNo.mmap, 0, 4096, Mman.PROT_EXEC | Mman.PROT_READ));
        Assert.NotEqual(Allowed, Decide(program, SysNo.mprotect, 0, 4096, Mman.PROT_EXEC));
        Assert.Equal(Allowed, Decide(program, SysNo.mmap, 0, 4096, Mman.PROT_WRITE | Mman.PROT_READ));
        Assert.NotEqual(Allowed, Decide(program, SysNo.clone, 17));
        Assert.Equal(Allowed, Decide(program, SysNo.clone, 0x3d0f00));
        Assert.Equal(Allowed, Decide(program, SysNo.ioctl, 3, KvmNumbers.KVM_RUN));
    }

    private static uint Expected(SeccompRules rules, int number, ulong[] arguments)
    {
        if (!rules.Numbers.Contains(number))
        {
            return Refusal;
        }

        bool allowed = rules.AlternativesOf(number).Any(all => all.All(check => (arguments[check.Index] & check.Mask) == check.Value));
        Errno error = rules.FailureOf(number);
        return allowed ? Allowed : error == Errno.None ? Refusal : Misc.SECCOMP_RET_ERRNO | (uint)error;
    }

    private static uint Decide(BpfInstruction[] program, int number, params ulong[] arguments) => Run(program, number, SeccompProgram.AuditArchX64, arguments);

    /// <summary>What a program says about a call made before the instruction at an address.</summary>
    internal static uint Run(BpfInstruction[] program, int number, uint architecture, IReadOnlyList<ulong> arguments, ulong instructionPointer = 0)
    {
        uint accumulator = 0;
        for (int at = 0; ;)
        {
            BpfInstruction instruction = program[at++];
            switch (instruction.Code)
            {
                case SeccompProgram.Load:
                    accumulator = Word(instruction.Constant);
                    break;
                case SeccompProgram.And:
                    accumulator &= instruction.Constant;
                    break;
                case SeccompProgram.Jump:
                    at += (int)instruction.Constant;
                    break;
                case SeccompProgram.JumpIfEqual:
                    at += accumulator == instruction.Constant ? instruction.IfTrue : instruction.IfFalse;
                    break;
                case SeccompProgram.JumpIfNotBelow:
                    at += accumulator >= instruction.Constant ? instruction.IfTrue : instruction.IfFalse;
                    break;
                case SeccompProgram.Return:
                    return instruction.Constant;
                default:
                    throw new InvalidOperationException($"code {instruction.Code:x}");
            }
        }

        uint Word(uint offset)
        {
            if (offset < 16)
            {
                return offset switch { 0 => unchecked((uint)number), 4 => architecture, 8 => unchecked((uint)instructionPointer), _ => (uint)(instructionPointer >> 32) };
            }

            int index = (int)(offset - 16) / 8;
            ulong value = index < arguments.Count ? arguments[index] : 0;
            return (offset & 4) == 0 ? unchecked((uint)value) : (uint)(value >> 32);
        }
    }
}
