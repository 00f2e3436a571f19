using System;

namespace Runsc.Platform;

/// <summary>
/// The processor state of one task. All members except <see cref="Interrupt"/> are called by the task's own thread only, or by another while
/// the task is known not to be in <see cref="Switch"/> (before its start, or stopped for ptrace).
/// </summary>
internal interface IContext : IDisposable
{
    /// <summary>The integer registers: loaded by <see cref="Switch"/>, stored before it returns. Stays at one address for the context's life.</summary>
    ref TrapFrame Frame { get; }

    /// <summary>
    /// Runs the application in <paramref name="space"/> until an event. Does not allocate.
    /// After a <see cref="TrapKind.SystemCall"/>, Rcx and R11 hold Rip and Rflags as on Linux and Rax is unchanged; the caller puts the result there.
    /// </summary>
    void Switch(IAddressSpace space, out TrapInfo trap);

    /// <summary>
    /// Makes the switch that runs, or else the next one, return <see cref="TrapKind.Interrupted"/>, unless another event comes at the same time:
    /// then that event is returned and the switch after it is interrupted. Calls before that are merged into one. Any thread.
    /// </summary>
    void Interrupt();

    /// <summary>Writes the FPU and vector state as an XSAVE area in standard format; <paramref name="area"/> has <see cref="IPlatform.XSaveSize"/> bytes.</summary>
    void SaveXState(Span<byte> area);

    /// <summary>
    /// Loads an XSAVE area in standard format (what <see cref="SaveXState"/> wrote, or what an application left in its signal frame). Untrusted:
    /// false, and the state as it was, if the processor would refuse it (reserved bits in XSTATE_BV, the header or MXCSR).
    /// A 512-byte area is a legacy FXSAVE image: the other components become initial.
    /// </summary>
    bool LoadXState(ReadOnlySpan<byte> area);

    /// <summary>Takes over another context's FPU and vector state (clone). The other must not be in a switch.</summary>
    void CopyXStateFrom(IContext other);

    /// <summary>Puts the FPU and vector state back to its initial values (exec).</summary>
    void ResetXState();
}
