namespace Runsc.Platform.Systrap.Stub;

/// <summary>
/// Where things are in a stub process, in its part of the control file, and in a slot. stub.S has the same numbers.
/// <code>
/// 0                 … 0x7fff_c000_0000   the application's
/// 0x7fff_c000_0000  … 0x7fff_c800_0000   slots: one for each thread, read and write
/// 0x7fff_fffd_0000                       control page: orders of the Sentry, read only
/// 0x7fff_fffe_0000                       stub code and seccomp filters, read and execute
/// </code>
/// </summary>
internal static class StubLayout
{
    public const ulong Code = 0x7fff_fffe_0000;
    public const int CodeSize = 0x4000;
    public const ulong Slots = 0x7fff_c000_0000;

    // The code file: an ELF header, then what is mapped at Code.
    public const int CodeFileOffset = 0x1000;
    public const int ServeFilter = 0x2000;
    public const int GuestFilter = 0x2010;
    public const int ServeInstructions = 0x2100;
    public const int GuestInstructions = 0x3000;

    // Descriptors of the master and of the stub processes.
    public const int CodeFd = 0;
    public const int CommandFd = 1;
    public const int ControlFd = 2;
    public const int MemoryFd = 3;
    public const int FirstLaneFd = 4;
    public const int LaneCount = 16;

    // A process's part of the control file.
    public const int SlotsOffset = 0x10000;
    public const int SlotSize = 0x4000;
    public const int SlotCount = 0x2000;
    public const long PartSize = SlotsOffset + ((long)SlotSize * SlotCount);

    // The control page.
    public const int Sequence = 0;
    public const int Count = 4;
    public const int Lane = 8;
    public const int Spin = 12;
    public const int Features = 16;
    public const int Operations = 64;
    public const int OperationSize = 64;
    public const int MaxOperations = (4096 - Operations) / OperationSize;

    /// <summary>The header of a slot, which ends it; below it is the signal stack.</summary>
    public const int Header = 0x3f00;
    public const int State = 0;
    public const int StubSleeps = 4;
    public const int SentrySleeps = 8;
    public const int SetBases = 12;
    public const int FsBase = 16;
    public const int GsBase = 24;
    public const int Frame = 32;
    public const int Signal = 40;
    public const int ThreadId = 48;
    public const int Stack = 64;

    // Values of State. In slot 0 it is a hint: the last order that was carried out.
    public const int Stopped = 0;
    public const int Running = 1;

    /// <summary>Written by the Sentry when the process has ended.</summary>
    public const int Dead = 2;

    /// <summary>The signal that stops a thread of the application: the first real-time signal that neither glibc nor the runtime uses.</summary>
    public const int KickSignal = 35;
}
