using System;
using System.Threading;
using Runsc.Platform.Systrap.Stub;

namespace Runsc.Platform.Systrap;

/// <summary>
/// A thread of a stub process, as its slot shows it. While it is stopped it waits in its signal handler, and its signal frame is the
/// application's state. The application can write to the slot at any time: whatever is read here may be anything, and no address in it is used.
/// Used by one context at a time, or idle in the address space.
/// </summary>
internal sealed unsafe class StubThread
{
    /// <summary>
    /// Rounds of about 40 ns: longer than a thread takes to wake up, leave its handler and come back with the next call, where wake-ups cross
    /// processors and traps are dear, as in virtual machines.
    /// </summary>
    private const int MaxSpin = 4000;

    private readonly SystrapPlatform _platform;
    private readonly byte* _header;

    private SpinBudget _spin = new(MaxSpin);

    public StubThread(SystrapPlatform platform, StubProcess process, byte* slot, ulong inStub)
    {
        _platform = platform;
        _header = slot + StubLayout.Header;
        StackBase = inStub;
        Process = process;
        Slot = slot;
    }

    public StubProcess Process { get; }

    public byte* Slot { get; }

    /// <summary>Where the slot is in the stub process: the lowest address of its signal stack.</summary>
    public ulong StackBase { get; }

    /// <summary>The frame of the last trap.</summary>
    public SignalFrame* Frame => (SignalFrame*)(Slot + _platform.FrameOffset);

    /// <summary>FPU and vector state of the last trap, in standard XSAVE format.</summary>
    public Span<byte> XState => new(Slot + _platform.XStateOffset, _platform.XSaveSize);

    /// <summary>Where the handler says that the frame is.</summary>
    public ulong ReportedFrame => *(ulong*)(_header + StubLayout.Frame);

    public int Signal => *(int*)(_header + StubLayout.Signal);

    /// <summary>Bases of FS and GS that the thread has: as last loaded, or as last reported.</summary>
    public ulong FsBase { get; private set; }

    public ulong GsBase { get; private set; }

    /// <summary>The thread has not yet been seen in its handler since it was made. False if it does not come.</summary>
    public bool AwaitStart() => Await(null) && CheckFrame();

    /// <summary>The handler's frame is where every frame has to be.</summary>
    public bool CheckFrame() => _platform.FrameOffset == 0 || ReportedFrame == StackBase + (ulong)_platform.FrameOffset;

    /// <summary>Has the thread take these bases when it goes on.</summary>
    public void SetBases(ulong fs, ulong gs)
    {
        if (fs == FsBase && gs == GsBase)
        {
            *(int*)(_header + StubLayout.SetBases) = 0;
            return;
        }

        FsBase = fs;
        GsBase = gs;
        *(ulong*)(_header + StubLayout.FsBase) = fs;
        *(ulong*)(_header + StubLayout.GsBase) = gs;
        *(int*)(_header + StubLayout.SetBases) = 1;
    }

    /// <summary>After a trap: the bases that the application may have changed by itself.</summary>
    public void ReadBases()
    {
        if (_platform.HasFsGsBase)
        {
            FsBase = *(ulong*)(_header + StubLayout.FsBase);
            GsBase = *(ulong*)(_header + StubLayout.GsBase);
        }
    }

    /// <summary>Lets the application go on with what the frame holds, and waits for its next trap. False if the process is lost.</summary>
    public bool Run(SystrapContext context)
    {
        Interlocked.Exchange(ref State, StubLayout.Running);
        if (Process.IsDead)
        {
            return false;
        }

        bool asleep = Volatile.Read(ref *(int*)(_header + StubLayout.StubSleeps)) != 0;
        if (asleep)
        {
            SystrapCalls.Wake((int*)_header);
        }

        Process.TuneSpin(!asleep);
        return Await(context) && CheckFrame();
    }

    public void Kick()
    {
        if (!Process.IsDead)
        {
            SystrapCalls.Kick(Process.Id, *(int*)(_header + StubLayout.ThreadId));
        }
    }

    private ref int State => ref *(int*)(_header + StubLayout.State);

    private bool Await(SystrapContext? context)
    {
        if (_platform.MaySpin)
        {
            for (int i = _spin.Rounds; i > 0; i--)
            {
                if (Volatile.Read(ref State) == StubLayout.Stopped)
                {
                    _spin.Succeeded();
                    return true;
                }

                Thread.SpinWait(1);
            }

            _spin.Failed();
        }

        ref int sleeps = ref *(int*)(_header + StubLayout.SentrySleeps);
        Interlocked.Exchange(ref sleeps, 1);
        int step = Math.Clamp(_platform.Patience / 4, 1, 2000);
        int waited = 0;
        int state;
        while ((state = Volatile.Read(ref State)) == StubLayout.Running && !Process.IsDead)
        {
            int result = SystrapCalls.Wait((int*)_header, StubLayout.Running, step);
            if (result == -(int)Linux.Errno.ETIMEDOUT && context is { IsInterrupted: true } && (waited += step) > _platform.Patience)
            {
                // It does not answer a signal that only the application itself can have blocked.
                return false;
            }
        }

        Volatile.Write(ref sleeps, 0);
        return state == StubLayout.Stopped;
    }
}
