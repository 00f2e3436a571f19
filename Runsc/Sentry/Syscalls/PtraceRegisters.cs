using System;
using System.Runtime.InteropServices;
using Runsc.Linux;
using Runsc.Platform;
using Runsc.Sentry.Kernel.Tasks;

namespace Runsc.Sentry.Syscalls;

/// <summary>Registers of a tracee that the caller holds, as ptrace(2) shows and takes them.</summary>
internal static class PtraceRegisters
{
    private const ulong UserCs = 0x33, UserSs = 0x2b;

    // EFLAGS bits that a tracer may set: CF PF AF ZF SF TF DF OF NT RF AC.
    private const ulong Flags = 0x5_4dd5;

    // XSTATE_BV of an XSAVE area, and where Linux puts the features of the processor in its legacy part.
    private const int PresentOffset = 512, FeaturesOffset = 464;
    private const ulong LegacyComponents = 3;

    public static UserRegisters Read(Task tracee)
    {
        ref TrapFrame f = ref tracee.Context.Frame;
        return new UserRegisters
        {
            R15 = f.R15,
            R14 = f.R14,
            R13 = f.R13,
            R12 = f.R12,
            Rbp = f.Rbp,
            Rbx = f.Rbx,
            R11 = f.R11,
            R10 = f.R10,
            R9 = f.R9,
            R8 = f.R8,
            Rax = f.Rax,
            Rcx = f.Rcx,
            Rdx = f.Rdx,
            Rsi = f.Rsi,
            Rdi = f.Rdi,
            OrigRax = f.OrigRax,
            Rip = f.Rip,
            Cs = UserCs,
            Eflags = f.Rflags,
            Rsp = f.Rsp,
            Ss = UserSs,
            FsBase = f.FsBase,
            GsBase = f.GsBase,
        };
    }

    /// <summary>EIO for a selector or a base that no program can have.</summary>
    public static Errno Write(Task tracee, in UserRegisters r)
    {
        ulong limit = tracee.Kernel.Platform.UserAddressLimit;
        if (!IsSelector(r.Cs) || !IsSelector(r.Ss) || !IsDataSelector(r.Ds) || !IsDataSelector(r.Es) || !IsDataSelector(r.Fs) || !IsDataSelector(r.Gs)
            || r.FsBase >= limit || r.GsBase >= limit)
        {
            return Errno.EIO;
        }

        ref TrapFrame f = ref tracee.Context.Frame;
        f.R15 = r.R15;
        f.R14 = r.R14;
        f.R13 = r.R13;
        f.R12 = r.R12;
        f.Rbp = r.Rbp;
        f.Rbx = r.Rbx;
        f.R11 = r.R11;
        f.R10 = r.R10;
        f.R9 = r.R9;
        f.R8 = r.R8;
        f.Rax = r.Rax;
        f.Rcx = r.Rcx;
        f.Rdx = r.Rdx;
        f.Rsi = r.Rsi;
        f.Rdi = r.Rdi;
        f.OrigRax = r.OrigRax;
        f.Rip = r.Rip;
        f.Rflags = (f.Rflags & ~Flags) | (r.Eflags & Flags);
        f.Rsp = r.Rsp;
        f.FsBase = r.FsBase;
        f.GsBase = r.GsBase;
        return Errno.None;
    }

    /// <summary>PTRACE_PEEKUSER: a word of struct user. EIO.</summary>
    public static Errno PeekUser(Task tracee, ulong offset, out ulong value)
    {
        value = 0;
        if (offset % 8 != 0 || offset >= Ptrace.UserSize)
        {
            return Errno.EIO;
        }

        if (offset < UserRegisters.SizeInBytes)
        {
            UserRegisters registers = Read(tracee);
            value = Words(ref registers)[(int)(offset / 8)];
        }

        return Errno.None;
    }

    /// <summary>PTRACE_POKEUSER. EIO; ENOSPC for hardware breakpoints, of which there are none.</summary>
    public static Errno PokeUser(Task tracee, ulong offset, ulong value)
    {
        if (offset % 8 != 0 || offset >= Ptrace.UserSize)
        {
            return Errno.EIO;
        }

        if (offset < UserRegisters.SizeInBytes)
        {
            UserRegisters registers = Read(tracee);
            Words(ref registers)[(int)(offset / 8)] = value;
            return Write(tracee, registers);
        }

        const ulong end = Ptrace.DebugRegistersOffset + (8 * Ptrace.DebugRegisterCount);
        bool isDebugRegister = offset is >= Ptrace.DebugRegistersOffset and < end;
        return !isDebugRegister ? Errno.EIO : value == 0 ? Errno.None : Errno.ENOSPC;
    }

    /// <summary>The XSAVE area, of which the software's part says which components the processor has.</summary>
    public static void ReadXState(Task tracee, Span<byte> area)
    {
        ulong features = tracee.Kernel.Platform.XFeatureMask;
        tracee.Context.SaveXState(area);
        MemoryMarshal.Write(area[FeaturesOffset..], features);
        if (area.Length > PresentOffset)
        {
            // The host may have more components than applications get.
            ulong present = MemoryMarshal.Read<ulong>(area[PresentOffset..]);
            MemoryMarshal.Write(area[PresentOffset..], present & features);
        }
    }

    /// <summary>EINVAL for a state that the processor would refuse; EFAULT for another size.</summary>
    public static Errno WriteXState(Task tracee, ReadOnlySpan<byte> area)
    {
        if (area.Length != tracee.Kernel.Platform.XSaveSize)
        {
            return Errno.EFAULT;
        }

        return tracee.Context.LoadXState(area) ? Errno.None : Errno.EINVAL;
    }

    /// <summary>The FXSAVE image; what is beyond it stays as it is. EINVAL.</summary>
    public static Errno WriteFloatingPoint(Task tracee, ReadOnlySpan<byte> image)
    {
        byte[] area = new byte[tracee.Kernel.Platform.XSaveSize];
        ReadXState(tracee, area);
        image.CopyTo(area);
        if (area.Length > PresentOffset)
        {
            ulong present = MemoryMarshal.Read<ulong>(area.AsSpan(PresentOffset)) | LegacyComponents;
            MemoryMarshal.Write(area.AsSpan(PresentOffset), present);
        }

        return tracee.Context.LoadXState(area) ? Errno.None : Errno.EINVAL;
    }

    public static Span<byte> Bytes(ref UserRegisters registers) => MemoryMarshal.AsBytes(new Span<UserRegisters>(ref registers));

    private static Span<ulong> Words(ref UserRegisters registers) => MemoryMarshal.Cast<byte, ulong>(Bytes(ref registers));

    // Linux refuses a code or stack segment of ring 0 and the null selector; the others are not kept here.
    private static bool IsSelector(ulong value) => unchecked((ushort)value) is ushort selector && (selector & 3) == 3;

    private static bool IsDataSelector(ulong value) => unchecked((ushort)value) is ushort selector && (selector == 0 || (selector & 3) == 3);
}
