using System;
using System.Threading;
using Runsc.Platform.Systrap.Stub;

namespace Runsc.Platform.Systrap;

/// <summary>
/// One task's processor state. It runs on a thread of the stub process of whatever address space it is switched to, and keeps that thread until
/// it is switched to another space.
/// <para>
/// Interrupts are level-triggered. <see cref="_interrupt"/> is the level: <see cref="Interrupt"/> raises it and then, if the context runs, signals
/// the stub's thread. <see cref="Switch"/> publishes that it runs, fences, and looks at the level; so either it sees the level or the kicker sees
/// that it runs. The handler has the signal blocked, so a kick that comes while the thread is stopped is delivered when it goes on: spurious, never
/// lost. The level falls only when Interrupted is returned.
/// </para>
/// </summary>
internal sealed class SystrapContext : IContext
{
    private readonly SystrapPlatform _platform;
    private readonly GuestXState _xstate;
    private TrapFrame _frame;

    /// <summary>Used by the task's own thread only.</summary>
    private SystrapAddressSpace? _space;
    private StubThread? _thread;

    /// <summary>The thread between the look at <see cref="_interrupt"/> and the trap.</summary>
    private StubThread? _running;
    private int _interrupt;

    public SystrapContext(SystrapPlatform platform)
    {
        _platform = platform;
        _xstate = new GuestXState(platform);
    }

    public ref TrapFrame Frame => ref _frame;

    internal bool IsInterrupted => Volatile.Read(ref _interrupt) != 0;

    public void Switch(IAddressSpace space, out TrapInfo trap)
    {
        var target = (SystrapAddressSpace)space;
        if (_frame.Rip >= StubLayout.Slots)
        {
            FrameDecoder.FetchOutside(ref _frame, out trap);
            return;
        }

        if (_space != target && !Bind(target))
        {
            FrameDecoder.Lost(ref _frame, out trap);
            return;
        }

        StubThread thread = _thread!;
        Volatile.Write(ref _running, thread);
        Interlocked.MemoryBarrier();
        if (TakeInterrupt())
        {
            Volatile.Write(ref _running, null);
            trap = new TrapInfo { Kind = TrapKind.Interrupted };
            return;
        }

        _platform.CountRunning(1);
        _xstate.Install(thread);
        FrameDecoder.Load(_platform, thread, _frame);
        bool alive;
        while ((alive = thread.Run(this)) && FrameDecoder.IsKick(thread) && !IsInterrupted)
        {
            // A kick for an interrupt that was answered long ago. The frame and the bases are as the thread left them.
            thread.ReadBases();
            thread.SetBases(thread.FsBase, thread.GsBase);
        }

        _platform.CountRunning(-1);
        Volatile.Write(ref _running, null);
        if (!alive)
        {
            thread.Process.Kill();
            FrameDecoder.Lost(ref _frame, out trap);
            return;
        }

        FrameDecoder.Store(thread, ref _frame, out trap);
        if (trap.Kind == TrapKind.Interrupted)
        {
            Volatile.Write(ref _interrupt, 0);
        }
    }

    public void Interrupt()
    {
        Interlocked.Exchange(ref _interrupt, 1);
        Volatile.Read(ref _running)?.Kick();
    }

    public void SaveXState(Span<byte> area) => _xstate.Save(_thread, area);

    public bool LoadXState(ReadOnlySpan<byte> area) => _xstate.Load(area);

    public void CopyXStateFrom(IContext other)
    {
        var source = (SystrapContext)other;
        source._xstate.Fetch(source._thread);
        _xstate.CopyFrom(source._xstate);
    }

    public void ResetXState() => _xstate.Reset();

    public void Dispose()
    {
        Unbind();
        _xstate.Dispose();
    }

    private bool Bind(SystrapAddressSpace space)
    {
        Unbind();
        _thread = space.TakeThread();
        _space = _thread == null ? null : space;
        return _thread != null;
    }

    private void Unbind()
    {
        if (_thread == null)
        {
            return;
        }

        _xstate.Detach(_thread);
        _space!.ReturnThread(_thread);
        _thread = null;
        _space = null;
    }

    private bool TakeInterrupt() => Volatile.Read(ref _interrupt) != 0 && Interlocked.Exchange(ref _interrupt, 0) != 0;
}
