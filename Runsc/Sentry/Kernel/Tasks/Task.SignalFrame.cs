using System;
using System.Runtime.InteropServices;
using Runsc.Linux;
using Runsc.Platform;
using Runsc.Sentry.Kernel.Signals;

namespace Runsc.Sentry.Kernel.Tasks;

/// <summary>The frame of a signal handler, byte for byte as x86-64 Linux lays it out, and the way back. Own thread.</summary>
internal sealed partial class Task
{
    private const ulong UserCs = 0x33, UserSs = 0x2b;

    // EFLAGS bits: those that a handler starts without, and those that sigreturn may set.
    private const ulong TrapFlag = 0x100, DirectionFlag = 0x400, ResumeFlag = 0x10000;
    private const ulong RestorableFlags = 0x40000 | 0x800 | DirectionFlag | TrapFlag | 0x80 | 0x40 | 0x10 | 0x4 | 0x1 | ResumeFlag;

    // The last trap, for sigcontext's err, trapno and cr2.
    private ulong _trapNumber;
    private ulong _trapError;
    private ulong _trapAddress;

    // XSAVE area and second magic number; allocated with the first signal.
    private byte[]? _xstate;

    private void SetTrapRecord(int vector, ulong error, ulong? address)
    {
        _trapNumber = (ulong)vector;
        _trapError = error;
        _trapAddress = address ?? _trapAddress;
    }

    private Span<byte> XStateBuffer() => (_xstate ??= new byte[Kernel.Platform.XSaveSize + 4]).AsSpan(0, Kernel.Platform.XSaveSize);

    /// <summary>Makes the frame for a handler and points the registers at it. False when the stack cannot be written.</summary>
    private bool EnterHandler(in SignalInfo info, in SignalAction action)
    {
        ref TrapFrame frame = ref Context.Frame;
        bool written = action.Has(SignalAction.SA_RESTORER) && (_rseqAddress == 0 || AbortCriticalSection()) && WriteFrame(info, action, out ulong address) && BeginHandler(info, action, address);
        if (!written)
        {
            return false;
        }

        lock (Kernel.TaskLock)
        {
            ulong mask = _signalMask | action.Mask;
            if (!action.Has(Signal.SA_NODEFER))
            {
                mask |= SignalQueue.Bit(info.Signal);
            }

            _hasSavedMask = false;
            SetSignalMaskLocked(mask & ~Unblockable);
        }

        return true;
    }

    private bool WriteFrame(in SignalInfo info, in SignalAction action, out ulong address)
    {
        ref TrapFrame registers = ref Context.Frame;

        // The red zone below the stack pointer belongs to the interrupted function.
        ulong sp = unchecked(registers.Rsp - 128);
        bool nested = SignalStack.IsUsedBy(registers.Rsp);
        bool entering = false;
        if (action.Has(Signal.SA_ONSTACK) && SignalStack.StateFor(sp) == 0)
        {
            sp = unchecked(SignalStack.Address + SignalStack.Size);
            entering = true;
        }

        int xstateSize = Kernel.Platform.XSaveSize;
        ulong fpState = unchecked(sp - (ulong)(xstateSize + 4)) & ~63UL;
        address = unchecked(((fpState - SignalFrame.SizeInBytes) & ~15UL) - 8);

        // A frame that does not fit the signal stack would overwrite what lies below it.
        if ((nested || entering) && !SignalStack.Contains(address))
        {
            return false;
        }

        Span<byte> area = XStateBuffer();
        Context.SaveXState(area);
        XStateDescription description = new()
        {
            Magic1 = XStateDescription.Magic1Value,
            ExtendedSize = (uint)xstateSize + 4,
            Features = Kernel.Platform.XFeatureMask,
            XStateSize = (uint)xstateSize,
        };
        MemoryMarshal.Write(area[XStateDescription.Offset..], description);
        MemoryMarshal.Write(_xstate.AsSpan(xstateSize), XStateDescription.Magic2Value);
        if (!CopyOutAll(fpState, _xstate))
        {
            return false;
        }

        SignalFrame frame = default;
        frame.ReturnAddress = action.Restorer;
        frame.Info = info;
        ref UserContext context = ref frame.Context;
        context.Flags = UserContext.FpXState | UserContext.SigContextSs | UserContext.StrictRestoreSs;
        context.Stack = SignalStack;
        context.Stack.Padding = 0;
        context.Mask = _hasSavedMask ? _savedMask : _signalMask;
        ref SignalContext saved = ref context.Context;
        saved.R8 = registers.R8;
        saved.R9 = registers.R9;
        saved.R10 = registers.R10;
        saved.R11 = registers.R11;
        saved.R12 = registers.R12;
        saved.R13 = registers.R13;
        saved.R14 = registers.R14;
        saved.R15 = registers.R15;
        saved.Rdi = registers.Rdi;
        saved.Rsi = registers.Rsi;
        saved.Rbp = registers.Rbp;
        saved.Rbx = registers.Rbx;
        saved.Rdx = registers.Rdx;
        saved.Rax = registers.Rax;
        saved.Rcx = registers.Rcx;
        saved.Rsp = registers.Rsp;
        saved.Rip = registers.Rip;
        saved.Rflags = registers.Rflags;
        saved.Cs = (ushort)UserCs;
        saved.Ss = (ushort)UserSs;
        saved.ErrorCode = _trapError;
        saved.TrapNumber = _trapNumber;
        saved.OldMask = context.Mask;
        saved.Cr2 = _trapAddress;
        saved.FpState = fpState;

        // Without SA_SIGINFO Linux leaves the place of siginfo as it was.
        ReadOnlySpan<byte> bytes = MemoryMarshal.AsBytes(new ReadOnlySpan<SignalFrame>(in frame));
        return CopyOutAll(address, action.Has(Signal.SA_SIGINFO) ? bytes : bytes[..^SignalInfo.SizeInBytes]);
    }

    private bool BeginHandler(in SignalInfo info, in SignalAction action, ulong address)
    {
        ref TrapFrame registers = ref Context.Frame;
        registers.Rdi = (ulong)info.Signal;
        registers.Rsi = address + 8 + UserContext.SizeInBytes;
        registers.Rdx = address + 8;
        registers.Rax = 0;
        registers.Rip = action.Handler;
        registers.Rsp = address;
        registers.Rflags &= ~(DirectionFlag | ResumeFlag | TrapFlag);
        registers.OrigRax = NoSystemCall;
        Context.ResetXState();
        if ((SignalStack.Flags & SignalStack.AutoDisarm) != 0)
        {
            SignalStack = SignalStack.Disabled;
        }

        return true;
    }

    /// <summary>
    /// rt_sigreturn(2): takes the registers from the frame that the stack pointer stands in. The frame is the application's and may hold anything;
    /// one that cannot be read or loaded ends in SIGSEGV.
    /// </summary>
    public void ReturnFromSignal()
    {
        ref TrapFrame registers = ref Context.Frame;
        SkipResult();

        // The handler's return has popped the return address.
        ulong address = unchecked(registers.Rsp - 8);
        if (Memory.CopyIn(address + 8, out UserContext context) != Errno.None)
        {
            ForceSegmentationFault(0);
            return;
        }

        lock (Kernel.TaskLock)
        {
            SetSignalMaskLocked(context.Mask & ~Unblockable);
        }

        ref readonly SignalContext saved = ref context.Context;
        registers.R8 = saved.R8;
        registers.R9 = saved.R9;
        registers.R10 = saved.R10;
        registers.R11 = saved.R11;
        registers.R12 = saved.R12;
        registers.R13 = saved.R13;
        registers.R14 = saved.R14;
        registers.R15 = saved.R15;
        registers.Rdi = saved.Rdi;
        registers.Rsi = saved.Rsi;
        registers.Rbp = saved.Rbp;
        registers.Rbx = saved.Rbx;
        registers.Rdx = saved.Rdx;
        registers.Rax = saved.Rax;
        registers.Rcx = saved.Rcx;
        registers.Rsp = saved.Rsp;
        registers.Rip = saved.Rip;
        registers.Rflags = (registers.Rflags & ~RestorableFlags) | (saved.Rflags & RestorableFlags);
        registers.OrigRax = NoSystemCall;
        if (!RestoreXState(saved.FpState))
        {
            ForceSegmentationFault(0);
            return;
        }

        // Errors here are not reported: the stack was accepted once.
        _ = SetSignalStack(context.Stack, registers.Rsp);
    }

    /// <summary>Loads the floating-point state of a frame; without the marks of an XSAVE area only its legacy part counts, as in Linux.</summary>
    private bool RestoreXState(ulong address)
    {
        if (address == 0)
        {
            Context.ResetXState();
            return true;
        }

        Span<byte> area = XStateBuffer();
        if (!CopyInAll(address, area[..XStateDescription.LegacySize]))
        {
            return false;
        }

        XStateDescription description = MemoryMarshal.Read<XStateDescription>(area[XStateDescription.Offset..]);
        bool extended = description.Magic1 == XStateDescription.Magic1Value
            && description.XStateSize >= XStateDescription.MinimumSize
            && description.XStateSize <= (uint)area.Length
            && description.XStateSize <= description.ExtendedSize
            && Memory.CopyIn(unchecked(address + description.XStateSize), out uint magic2) == Errno.None
            && magic2 == XStateDescription.Magic2Value;
        if (!extended)
        {
            return Context.LoadXState(area[..XStateDescription.LegacySize]);
        }

        int size = (int)description.XStateSize;
        if (!CopyInAll(unchecked(address + XStateDescription.LegacySize), area[XStateDescription.LegacySize..size]))
        {
            return false;
        }

        area[size..].Clear();

        // Components that the frame does not claim are initial; those that the processor lacks are dropped.
        ulong present = MemoryMarshal.Read<ulong>(area[512..]) & description.Features & Kernel.Platform.XFeatureMask;
        MemoryMarshal.Write(area[512..], present);
        return Context.LoadXState(area);
    }

    /// <summary>sigaltstack(2)'s new stack; <paramref name="sp"/> is where the application stands. EPERM, EINVAL, ENOMEM.</summary>
    public Errno SetSignalStack(in SignalStack stack, ulong sp)
    {
        if (SignalStack.Address == stack.Address && SignalStack.Size == stack.Size && SignalStack.Flags == stack.Flags)
        {
            return Errno.None;
        }

        if (SignalStack.IsUsedBy(sp))
        {
            return Errno.EPERM;
        }

        uint mode = stack.Flags & ~SignalStack.AutoDisarm;
        if (mode is not (0 or (uint)Signal.SS_ONSTACK or (uint)Signal.SS_DISABLE))
        {
            return Errno.EINVAL;
        }

        if (mode == Signal.SS_DISABLE)
        {
            SignalStack = new SignalStack { Flags = stack.Flags };
            return Errno.None;
        }

        if (stack.Size < SignalStack.MinimumSize)
        {
            return Errno.ENOMEM;
        }

        SignalStack = stack;
        return Errno.None;
    }

    private bool CopyOutAll(ulong address, ReadOnlySpan<byte> source) => Memory.CopyOut(address, source) == source.Length;

    private bool CopyInAll(ulong address, Span<byte> destination) => Memory.CopyIn(address, destination) == destination.Length;
}
