using System;
using Runsc.Platform;

namespace Runsc.Tests.Unit.Memory;

/// <summary>Registers only: nothing ever runs.</summary>
internal sealed class FakeContext : IContext
{
    private TrapFrame _frame;

    public ref TrapFrame Frame => ref _frame;

    public void Switch(IAddressSpace space, out TrapInfo trap) => throw new NotSupportedException();

    public void Interrupt()
    {
    }

    public void SaveXState(Span<byte> area) => area.Clear();

    public bool LoadXState(ReadOnlySpan<byte> area) => true;

    public void CopyXStateFrom(IContext other)
    {
    }

    public void ResetXState()
    {
    }

    public void Dispose()
    {
    }
}
