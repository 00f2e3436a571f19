using System;
using System.Buffers;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using Runsc.Linux;
using Runsc.Platform;
using Runsc.Sentry.Kernel.Signals;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Memory;

namespace Runsc.Sentry.Syscalls;

/// <summary>ptrace(2).</summary>
internal static unsafe class PtraceCalls
{
    public static void Register(SyscallTable.Builder b) => b.Add(SysNo.ptrace, "ptrace", &Call, "hex,pid,ptr,ptr");

    private static long Call(Task task, in SyscallArguments a)
    {
        int request = a.Long0 is >= 0 and <= int.MaxValue ? a.Int0 : -1;
        switch (request)
        {
            case Misc.PTRACE_TRACEME:
                return -(long)task.TraceMe();
            case Misc.PTRACE_ATTACH:
            case Misc.PTRACE_SEIZE:
                return -(long)Attach(task, a, request == Misc.PTRACE_SEIZE);
            case Misc.PTRACE_INTERRUPT:
                return -(long)task.InterruptTracee(a.Int1);
            case Misc.PTRACE_KILL:
                return -(long)task.KillTracee(a.Int1);
        }

        Errno error = task.BeginRequest(a.Int1, out Task? tracee);
        if (error != Errno.None)
        {
            return -(long)error;
        }

        long result = Request(task, tracee!, request, a);
        task.EndRequest(tracee!);
        return result;
    }

    private static Errno Attach(Task task, in SyscallArguments a, bool seize)
    {
        Task? target;
        lock (task.Kernel.TaskLock)
        {
            target = task.Kernel.FindTaskLocked(a.Int1, task.ThreadGroup.Container);
        }

        if (target is null)
        {
            return Errno.ESRCH;
        }

        if (!seize)
        {
            return task.Attach(target, seize: false, 0);
        }

        return a.A2 != 0 || (a.A3 & ~(ulong)Misc.PTRACE_O_MASK) != 0 ? Errno.EIO
            : (a.A3 & Misc.PTRACE_O_SUSPEND_SECCOMP) != 0 ? Errno.EINVAL
            : task.Attach(target, seize: true, (uint)a.A3);
    }

    /// <summary>A request to a tracee that is held.</summary>
    private static long Request(Task task, Task tracee, int request, in SyscallArguments a)
    {
        MemoryManager own = task.Memory;
        ulong address = a.A2, data = a.A3;
        ulong word;
        switch (request)
        {
            case Misc.PTRACE_PEEKTEXT:
            case Misc.PTRACE_PEEKDATA:
                return Peek(tracee, address, out word) ? -(long)own.CopyOut(data, word) : -(long)Errno.EIO;
            case Misc.PTRACE_POKETEXT:
            case Misc.PTRACE_POKEDATA:
                return tracee.Memory.CopyOutForced(address, MemoryMarshal.AsBytes(new ReadOnlySpan<ulong>(in data))) == sizeof(ulong) ? 0 : -(long)Errno.EIO;
            case Misc.PTRACE_PEEKUSER:
                Errno error = PtraceRegisters.PeekUser(tracee, address, out word);
                return error != Errno.None ? -(long)error : -(long)own.CopyOut(data, word);
            case Misc.PTRACE_POKEUSER:
                return -(long)PtraceRegisters.PokeUser(tracee, address, data);
            case Misc.PTRACE_GETREGS:
                return -(long)own.CopyOut(data, PtraceRegisters.Read(tracee));
            case Misc.PTRACE_SETREGS:
                return own.CopyIn(data, out UserRegisters registers) != Errno.None ? -(long)Errno.EFAULT : -(long)PtraceRegisters.Write(tracee, registers);
            case Misc.PTRACE_GETFPREGS:
                return CopySet(own, tracee, Ptrace.NT_PRFPREG, data, Ptrace.FloatingPointSize, write: false, out _);
            case Misc.PTRACE_SETFPREGS:
                return CopySet(own, tracee, Ptrace.NT_PRFPREG, data, Ptrace.FloatingPointSize, write: true, out _);
            case Misc.PTRACE_GETREGSET:
            case Misc.PTRACE_SETREGSET:
                return RegisterSet(own, tracee, address, data, request == Misc.PTRACE_SETREGSET);
            case Misc.PTRACE_ARCH_PRCTL:
                return ArchPrctl(own, tracee, a.Int3, address);
            case Misc.PTRACE_CONT:
                return -(long)task.Resume(tracee, TraceMode.None, data);
            case Misc.PTRACE_SYSCALL:
                return -(long)task.Resume(tracee, TraceMode.SystemCalls, data);
            case Misc.PTRACE_SYSEMU:
                return -(long)task.Resume(tracee, TraceMode.Emulate, data);
            case Misc.PTRACE_SINGLESTEP:
                return -(long)task.Resume(tracee, TraceMode.Step, data);
            case Misc.PTRACE_SYSEMU_SINGLESTEP:
                return -(long)task.Resume(tracee, TraceMode.Emulate | TraceMode.Step, data);
            case Misc.PTRACE_DETACH:
                return -(long)task.Detach(tracee, data);
            case Misc.PTRACE_LISTEN:
                return -(long)task.Listen(tracee);
            case Misc.PTRACE_SETOPTIONS:
                if ((data & ~(ulong)Misc.PTRACE_O_MASK) != 0 || (data & Misc.PTRACE_O_SUSPEND_SECCOMP) != 0)
                {
                    return -(long)Errno.EINVAL;
                }

                task.SetTraceOptions(tracee, (uint)data);
                return 0;
            case Misc.PTRACE_GETEVENTMSG:
                return -(long)own.CopyOut(data, tracee.TraceMessage);
            case Misc.PTRACE_GETSIGINFO:
                error = tracee.GetTraceInfo(out SignalInfo info);
                return error != Errno.None ? -(long)error : -(long)own.CopyOut(data, info);
            case Misc.PTRACE_SETSIGINFO:
                return own.CopyIn(data, out info) != Errno.None ? -(long)Errno.EFAULT : -(long)tracee.SetTraceInfo(info);
            case Misc.PTRACE_PEEKSIGINFO:
                return PeekSignals(own, tracee, address, data);
            case Misc.PTRACE_GETSIGMASK:
                return address != sizeof(ulong) ? -(long)Errno.EINVAL : -(long)own.CopyOut(data, tracee.TracedSignalMask);
            case Misc.PTRACE_SETSIGMASK:
                if (address != sizeof(ulong))
                {
                    return -(long)Errno.EINVAL;
                }

                if (own.CopyIn(data, out word) != Errno.None)
                {
                    return -(long)Errno.EFAULT;
                }

                tracee.SetTracedSignalMask(word);
                return 0;
            case Misc.PTRACE_GET_SYSCALL_INFO:
                return SyscallInfo(own, tracee, address, data);
            case Misc.PTRACE_GET_RSEQ_CONFIGURATION:
                return RseqConfiguration(own, tracee, address, data);
            default:
                return -(long)Errno.EIO;
        }
    }

    private static bool Peek(Task tracee, ulong address, out ulong word)
    {
        word = 0;
        return tracee.Memory.CopyInForced(address, MemoryMarshal.AsBytes(new Span<ulong>(ref word))) == sizeof(ulong);
    }

    /// <summary>PTRACE_GETREGSET, PTRACE_SETREGSET: by struct iovec, whose length becomes what was copied.</summary>
    private static long RegisterSet(MemoryManager own, Task tracee, ulong kind, ulong vector, bool write)
    {
        if (own.CopyIn(vector, out ulong start) != Errno.None || own.CopyIn(vector + 8, out ulong length) != Errno.None)
        {
            return -(long)Errno.EFAULT;
        }

        if (kind is not (Ptrace.NT_PRSTATUS or Ptrace.NT_PRFPREG or Ptrace.NT_X86_XSTATE) || length % 8 != 0)
        {
            return -(long)Errno.EINVAL;
        }

        long result = CopySet(own, tracee, (int)kind, start, length, write, out int copied);
        return result != 0 ? result : -(long)own.CopyOut(vector + 8, (ulong)copied);
    }

    private static long CopySet(MemoryManager own, Task tracee, int kind, ulong address, ulong length, bool write, out int copied)
    {
        int size = kind switch
        {
            Ptrace.NT_PRSTATUS => UserRegisters.SizeInBytes,
            Ptrace.NT_PRFPREG => Ptrace.FloatingPointSize,
            _ => tracee.Kernel.Platform.XSaveSize,
        };
        copied = (int)Math.Min(length, (ulong)size);
        byte[] buffer = ArrayPool<byte>.Shared.Rent(Math.Max(size, tracee.Kernel.Platform.XSaveSize));
        Span<byte> set = buffer.AsSpan(0, size);
        long result = 0;
        if (kind == Ptrace.NT_PRSTATUS)
        {
            UserRegisters registers = PtraceRegisters.Read(tracee);
            PtraceRegisters.Bytes(ref registers).CopyTo(set);
        }
        else
        {
            PtraceRegisters.ReadXState(tracee, buffer.AsSpan(0, tracee.Kernel.Platform.XSaveSize));
        }

        if (!write)
        {
            result = own.CopyOut(address, set[..copied]) == copied ? 0 : -(long)Errno.EFAULT;
        }
        else if (own.CopyIn(address, set[..copied]) != copied)
        {
            result = -(long)Errno.EFAULT;
        }
        else
        {
            result = -(long)(kind switch
            {
                Ptrace.NT_PRSTATUS => PtraceRegisters.Write(tracee, MemoryMarshal.Read<UserRegisters>(set)),
                Ptrace.NT_PRFPREG => PtraceRegisters.WriteFloatingPoint(tracee, set),
                _ => PtraceRegisters.WriteXState(tracee, set[..copied]),
            });
        }

        ArrayPool<byte>.Shared.Return(buffer);
        return result;
    }

    private static long ArchPrctl(MemoryManager own, Task tracee, int code, ulong address)
    {
        ref TrapFrame frame = ref tracee.Context.Frame;
        ulong limit = tracee.Kernel.Platform.UserAddressLimit;
        switch (code)
        {
            case Ptrace.ARCH_GET_FS:
                return -(long)own.CopyOut(address, frame.FsBase);
            case Ptrace.ARCH_GET_GS:
                return -(long)own.CopyOut(address, frame.GsBase);
            case Ptrace.ARCH_SET_FS when address < limit:
                frame.FsBase = address;
                return 0;
            case Ptrace.ARCH_SET_GS when address < limit:
                frame.GsBase = address;
                return 0;
            case Ptrace.ARCH_SET_FS or Ptrace.ARCH_SET_GS:
                return -(long)Errno.EPERM;
            default:
                return -(long)Errno.EINVAL;
        }
    }

    private static long PeekSignals(MemoryManager own, Task tracee, ulong address, ulong data)
    {
        if (own.CopyIn(address, out PtracePeekSigInfoArguments arguments) != Errno.None)
        {
            return -(long)Errno.EFAULT;
        }

        if ((arguments.Flags & ~(uint)Misc.PTRACE_PEEKSIGINFO_SHARED) != 0 || arguments.Count < 0)
        {
            return -(long)Errno.EINVAL;
        }

        List<SignalInfo> signals = tracee.PeekSignals((arguments.Flags & Misc.PTRACE_PEEKSIGINFO_SHARED) != 0, arguments.Offset, arguments.Count);
        for (int i = 0; i < signals.Count; i++)
        {
            if (own.CopyOut(data + (ulong)(i * SignalInfo.SizeInBytes), signals[i]) != Errno.None)
            {
                return i > 0 ? i : -(long)Errno.EFAULT;
            }
        }

        return signals.Count;
    }

    /// <summary>What the tracee's present stop says of a system call: the bytes that there are, of which as many are stored as fit.</summary>
    private static long SyscallInfo(MemoryManager own, Task tracee, ulong size, ulong data)
    {
        ref TrapFrame frame = ref tracee.Context.Frame;
        PtraceSyscallInfo info = new()
        {
            Op = Misc.PTRACE_SYSCALL_INFO_NONE,
            Arch = Ptrace.AUDIT_ARCH_X86_64,
            InstructionPointer = frame.Rip,
            StackPointer = frame.Rsp,
        };
        int known = PtraceSyscallInfo.NoneSize;
        int code = tracee.GetTraceInfo(out SignalInfo stop) == Errno.None ? stop.Code : 0;
        if (code == (Signal.SIGTRAP | 0x80) && tracee.TraceMessage == Ptrace.PTRACE_EVENTMSG_SYSCALL_EXIT)
        {
            info.Op = Misc.PTRACE_SYSCALL_INFO_EXIT;
            info.Number = frame.Rax;
            info.Arguments[0] = unchecked((long)frame.Rax) is < 0 and >= -4095 ? 1u : 0u;
            known = PtraceSyscallInfo.ExitSize;
        }
        else if (code == (Signal.SIGTRAP | 0x80) || code == (Signal.SIGTRAP | (Misc.PTRACE_EVENT_SECCOMP << 8)))
        {
            info.Number = frame.OrigRax;
            info.Arguments[0] = frame.Rdi;
            info.Arguments[1] = frame.Rsi;
            info.Arguments[2] = frame.Rdx;
            info.Arguments[3] = frame.R10;
            info.Arguments[4] = frame.R8;
            info.Arguments[5] = frame.R9;
            bool isEntry = code == (Signal.SIGTRAP | 0x80);
            info.Op = (byte)(isEntry ? Misc.PTRACE_SYSCALL_INFO_ENTRY : Misc.PTRACE_SYSCALL_INFO_SECCOMP);
            info.RetData = isEntry ? 0 : (uint)tracee.TraceMessage;
            known = isEntry ? PtraceSyscallInfo.EntrySize : PtraceSyscallInfo.SeccompSize;
        }

        ReadOnlySpan<byte> bytes = MemoryMarshal.AsBytes(new ReadOnlySpan<PtraceSyscallInfo>(in info))[..(int)Math.Min(size, (ulong)known)];
        return own.CopyOut(data, bytes) == bytes.Length ? known : -(long)Errno.EFAULT;
    }

    private static long RseqConfiguration(MemoryManager own, Task tracee, ulong size, ulong data)
    {
        (ulong address, uint length, uint signature) = tracee.RseqRegistration;
        PtraceRseqConfiguration configuration = new() { RseqAbiPointer = address, RseqAbiSize = length, Signature = signature };
        ReadOnlySpan<byte> bytes = MemoryMarshal.AsBytes(new ReadOnlySpan<PtraceRseqConfiguration>(in configuration))[..(int)Math.Min(size, PtraceRseqConfiguration.SizeInBytes)];
        return own.CopyOut(data, bytes) == bytes.Length ? PtraceRseqConfiguration.SizeInBytes : -(long)Errno.EFAULT;
    }
}
