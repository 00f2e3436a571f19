using System;

namespace Runsc.Platform;

/// <summary>A way to run application code and to get control back at its system calls and faults. One for each sandbox. Thread-safe.</summary>
internal interface IPlatform : IDisposable
{
    /// <summary>First address that an application cannot use: TASK_SIZE of x86-64 Linux, 0x7fff_ffff_f000.</summary>
    ulong UserAddressLimit { get; }

    /// <summary>One line for the log: the kind of virtualisation, what was found out at the start.</summary>
    string Description { get; }

    /// <summary>Bytes of an XSAVE area (standard format) that <see cref="IContext.SaveXState"/> writes: as in a signal frame.</summary>
    int XSaveSize { get; }

    /// <summary>The XCR0 that applications run with: which components an XSAVE area holds (XSTATE_BV of a signal frame's sw_reserved).</summary>
    ulong XFeatureMask { get; }

    /// <summary>AT_HWCAP: CPUID.1:EDX as the application sees it.</summary>
    uint HwCap { get; }

    /// <summary>AT_HWCAP2: bit 1 (HWCAP2_FSGSBASE) when the application may use RDFSBASE and WRFSBASE.</summary>
    uint HwCap2 { get; }

    /// <summary>RDTSC in the application gives the host's count: what a vDSO computes from the host's TSC is right in the guest.</summary>
    bool TscMatchesHost { get; }

    /// <summary>Frequency of the application's TSC in kHz, or 0 if it is not known.</summary>
    ulong TscKilohertz { get; }

    /// <summary>An empty address space.</summary>
    IAddressSpace CreateAddressSpace();

    /// <summary>Registers and FPU state of one task, as after exec: all zero, FPU in its initial state.</summary>
    IContext CreateContext();

    /// <summary>
    /// The MemoryFile has grown by [fileOffset, fileOffset + length), mapped at <paramref name="hostBase"/>: whole chunks.
    /// Must be called before a frame of the range is mapped into an address space.
    /// </summary>
    void AddMemory(ulong fileOffset, nint hostBase, ulong length);
}
