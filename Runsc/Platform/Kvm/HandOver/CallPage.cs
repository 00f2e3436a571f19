using System.Threading;

namespace Runsc.Platform.Kvm.HandOver;

/// <summary>
/// The data of the SYSCALL stub of ring 3 (call.S) for one vCPU in one address space: where a system call is handed to the task's thread, and its
/// answer back, without leaving the guest.
/// <para>
/// Every thread of the application in that space can write here, at any time. So a value is read once, an answer that is not one of ours is taken
/// for any of them, and nothing but the application's own registers depends on what is read.
/// </para>
/// </summary>
internal readonly unsafe struct CallPage(byte* page)
{
    /// <summary>The application runs and will find its task's thread looking.</summary>
    public const int Running = 0;

    /// <summary>The same, but the task's thread sleeps: the call must ring the bell.</summary>
    public const int Sleeping = 1;

    /// <summary>A call is in the frame, and the stub waits for its answer.</summary>
    public const int Called = 2;

    /// <summary>As <see cref="Called"/>, but the stub has waited long enough and leaves the guest.</summary>
    public const int Left = 3;

    // Offsets of call.S; a cache line each.
    private const int StateOffset = 0;
    private const int HandOverOffset = 0x40;
    private const int SpinOffset = 0x44;
    private const int FrameOffset = 0x80;

    /// <summary>RFLAGS that POPF cannot restore in ring 3, or not with the effect of IRET: TF RF.</summary>
    private const ulong UnrestorableFlags = 0x1_0100;

    private readonly byte* _page = page;

    public bool IsNull => _page == null;

    public int State => Volatile.Read(ref *(int*)(_page + StateOffset));

    private TrapFrame* Frame => (TrapFrame*)(_page + FrameOffset);

    /// <summary>Before the guest is entered by the task's own thread: calls ring the bell at once.</summary>
    public void Disarm() => *(int*)(_page + HandOverOffset) = 0;

    /// <summary>Before the guest is entered by the vCPU's runner: calls are handed over, and their answers waited for <paramref name="spin"/> rounds.</summary>
    public void Arm(int spin)
    {
        *(int*)(_page + SpinOffset) = spin;
        *(int*)(_page + HandOverOffset) = 1;
        Volatile.Write(ref *(int*)(_page + StateOffset), Running);
    }

    /// <summary>The stub can load this frame.</summary>
    public static bool CanAnswer(in TrapFrame frame) => (frame.Rflags & UnrestorableFlags) == 0;

    /// <summary>Gives the answer. False if the stub is not waiting any more.</summary>
    public bool TryAnswer(in TrapFrame frame)
    {
        *Frame = frame;
        Frame->Rflags = (frame.Rflags & VCpu.UserFlags) | VCpu.FixedFlags;
        return Interlocked.CompareExchange(ref *(int*)(_page + StateOffset), Running, Called) == Called;
    }

    /// <summary>Asks to be woken by the bell. False if a call came first.</summary>
    public bool TrySleep() => Interlocked.CompareExchange(ref *(int*)(_page + StateOffset), Sleeping, Running) == Running;

    /// <summary>The call in the frame, segment bases included.</summary>
    public void Take(ref TrapFrame frame)
    {
        frame = *Frame;
        frame.OrigRax = frame.Rax;
    }

    /// <summary>RAX of a call that is about to be handed over: the register itself is no longer it.</summary>
    public ulong SavedRax => Frame->Rax;
}
