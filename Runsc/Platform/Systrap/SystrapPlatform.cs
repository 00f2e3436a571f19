using System;
using System.Collections.Generic;
using System.Runtime.Intrinsics.X86;
using System.Threading;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.Platform.Systrap.Stub;

namespace Runsc.Platform.Systrap;

/// <summary>
/// Runs applications without virtualisation: in processes of the host that cannot make a system call (see <see cref="StubFilters"/>). What
/// the application does instead of computing becomes a signal, and its handler hands the thread over to the Sentry. After creation it needs no
/// fork, no path and no executable memory of its own: a small master process makes the stub processes.
/// </summary>
internal sealed unsafe class SystrapPlatform : IPlatform
{
    /// <summary>Bytes of an XSAVE area that this platform can deal with: what fits into a slot, with the frame.</summary>
    public const int MaxXSaveSize = 15 << 10;

    private const int MaxProcesses = 1 << 14;

    // Marks of struct _fpx_sw_bytes (asm/sigcontext.h), within the legacy area and behind all.
    private const uint FP_XSTATE_MAGIC1 = 0x46505853, FP_XSTATE_MAGIC2 = 0x46505845;
    private const int FeaturesMark = XStateImage.SoftwareOffset + 8, SizeMark = XStateImage.SoftwareOffset + 16;

    private static readonly int s_processors = Environment.ProcessorCount;

    private readonly Lock _mu = new();
    private int _running;
    private readonly int _controlFd;
    private readonly StubMaster _master;
    private readonly StubMonitor _monitor;

    // Guarded by _mu: where each process's part of the control file is mapped, and the parts that nobody uses.
    private readonly List<nint> _parts = [];
    private readonly Stack<int> _freeParts = new();
    private byte[] _marks = [];

    private SystrapPlatform(int memoryFd)
    {
        Features = HasFsGsBase ? 1 : 0;
        Lanes = new Lanes();
        _controlFd = HostMemory.CreateFile("runsc-control\0"u8, Mman.MFD_CLOEXEC);
        int result = _controlFd < 0 ? _controlFd : HostFile.Truncate(_controlFd, StubLayout.PartSize * MaxProcesses);
        if (result < 0)
        {
            throw new PlatformException($"systrap: the control file cannot be made (errno {-result})");
        }

        _master = new StubMaster(memoryFd, _controlFd, Lanes);
        _monitor = new StubMonitor();
    }

    public ulong UserAddressLimit => StubLayout.Slots;

    public string Description { get; private set; } = "";

    public int XSaveSize { get; private set; }

    public ulong XFeatureMask { get; private set; }

    public uint HwCap { get; private set; }

    public uint HwCap2 => HasFsGsBase ? HwCap2FsGsBase : 0;

    public bool TscMatchesHost => true;

    public ulong TscKilohertz { get; private set; }

    internal Lanes Lanes { get; }

    internal bool HasFsGsBase { get; } = (SystrapCalls.HardwareCapabilities2() & HwCap2FsGsBase) != 0;

    internal bool HasXSave { get; private set; }

    internal uint MxcsrMask { get; private set; }

    /// <summary>
    /// No more applications run than there are processors for them and the Sentry: only then does waiting without sleep take nothing from others.
    /// </summary>
    internal bool MaySpin => Volatile.Read(ref _running) * 2 <= s_processors;

    /// <summary>Milliseconds that an interrupted thread may take to come out of the application, on a machine under load, before its process is killed.</summary>
    internal int Patience { get; set; } = 30_000;

    /// <summary>Parts of the control file that were ever used, and how many are now; for tests.</summary>
    internal int PartCount
    {
        get
        {
            lock (_mu)
            {
                return _parts.Count;
            }
        }
    }

    internal int ProcessCount
    {
        get
        {
            lock (_mu)
            {
                return _parts.Count - _freeParts.Count;
            }
        }
    }

    /// <summary>Where in a slot the kernel puts the frame and the XSAVE area of every trap: 0 until it is known.</summary>
    internal int FrameOffset { get; private set; }

    internal int XStateOffset { get; private set; }

    /// <summary>struct _fpx_sw_bytes of a frame.</summary>
    internal ReadOnlySpan<byte> FrameMarks => _marks;

    private const uint HwCap2FsGsBase = 2;

    private int Features { get; }

    /// <summary>Starts the master process. Needs clone and execve, so it comes before the Sentry's filter.</summary>
    /// <exception cref="PlatformException">The host lacks something.</exception>
    public static SystrapPlatform Create(IMemorySource memory)
    {
        SystrapPlatform platform = new(memory.Fd);
        try
        {
            platform.Calibrate();
            return platform;
        }
        catch
        {
            platform.Dispose();
            throw;
        }
    }

    public IAddressSpace CreateAddressSpace() => new SystrapAddressSpace(CreateProcess());

    public IContext CreateContext() => new SystrapContext(this);

    public void AddMemory(ulong fileOffset, nint hostBase, ulong length)
    {
        // The stub processes have the file itself.
    }

    public void Dispose()
    {
        _master.Dispose();
        _monitor.Dispose();
        Lanes.Dispose();
        lock (_mu)
        {
            // A part whose process is still held by a context stays mapped: its slot may be looked at.
            foreach (int index in _freeParts)
            {
                _ = HostMemory.Unmap(_parts[index], (nuint)StubLayout.PartSize);
            }
        }

        _ = HostFile.Close(_controlFd);
    }

    /// <summary>A context goes into the application (1) or comes out of it (−1).</summary>
    internal void CountRunning(int change) => Interlocked.Add(ref _running, change);

    /// <summary>Nobody uses this process any more, and it has ended.</summary>
    internal void Recycle(StubProcess process)
    {
        _ = HostFile.Close(process.Descriptor);
        const int KeepSizePunchHole = 3;
        lock (_mu)
        {
            // The next process must find zeros there.
            if (HostFile.Allocate(_controlFd, KeepSizePunchHole, process.Index * StubLayout.PartSize, StubLayout.PartSize) == 0)
            {
                _freeParts.Push(process.Index);
            }
        }
    }

    /// <summary>The mark behind the XSAVE area.</summary>
    internal void WriteEndMark(StubThread thread)
    {
        if (HasXSave)
        {
            *(uint*)(thread.Slot + XStateOffset + XSaveSize) = FP_XSTATE_MAGIC2;
        }
    }

    private StubProcess? CreateProcess()
    {
        lock (_mu)
        {
            if (!_freeParts.TryPop(out int index))
            {
                index = _parts.Count;
                nint mapped = index == MaxProcesses ? -1
                    : HostMemory.Map(0, (nuint)StubLayout.PartSize, Mman.PROT_READ | Mman.PROT_WRITE, Mman.MAP_SHARED, _controlFd, index * StubLayout.PartSize);
                if (mapped < 0)
                {
                    return null;
                }

                _parts.Add(mapped);
            }

            byte* part = (byte*)_parts[index];
            *(int*)(part + StubLayout.Spin) = 0;
            *(int*)(part + StubLayout.Features) = Features;
            int id = _master.CreateProcess(index * StubLayout.PartSize);
            int descriptor = id < 0 ? id : SystrapCalls.OpenProcess(id);
            if (descriptor < 0)
            {
                _freeParts.Push(index);
                return null;
            }

            StubProcess process = new(this, index, part, id, descriptor);
            if (_monitor.TryAdd(process))
            {
                return process;
            }

            // Its part is lost: nobody would notice its end.
            SystrapCalls.KillProcess(descriptor);
            _ = HostFile.Close(descriptor);
            return null;
        }
    }

    /// <summary>Makes one thread that has run nothing of an application, and learns from its frame what every frame will look like.</summary>
    private void Calibrate()
    {
        var space = (SystrapAddressSpace)CreateAddressSpace();
        if (space.Process == null)
        {
            throw new PlatformException("systrap: no stub process can be made (clone or pidfd_open was refused)");
        }

        StubThread thread = space.TakeThread() ?? throw new PlatformException("systrap: the stub process does not run (seccomp or syscall user dispatch, of Linux 5.11, was refused)");
        ulong frameOffset = thread.ReportedFrame - thread.StackBase;
        Expect(frameOffset is > 0 and < StubLayout.Header - SignalFrame.SizeInBytes, "a signal frame is not in its slot");
        FrameOffset = (int)frameOffset;
        Expect(thread.Signal == Signal.SIGSYS, "a system call is not trapped");
        SignalFrame* frame = thread.Frame;
        ulong areaOffset = frame->XState - thread.StackBase;
        Expect(areaOffset is > 0 and < StubLayout.Header - XStateImage.LegacySize, "the FPU state is not in its slot");
        XStateOffset = (int)areaOffset;
        byte* area = thread.Slot + XStateOffset;
        HasXSave = *(uint*)(area + XStateImage.SoftwareOffset) == FP_XSTATE_MAGIC1;
        XFeatureMask = HasXSave ? *(ulong*)(area + FeaturesMark) : 0;
        XSaveSize = HasXSave ? *(int*)(area + SizeMark) : XStateImage.LegacySize;
        Expect(XSaveSize >= XStateImage.LegacySize && XStateOffset + XSaveSize + 4 <= StubLayout.Header && XSaveSize <= MaxXSaveSize, "the FPU state is too large");
        _marks = new ReadOnlySpan<byte>(area + XStateImage.SoftwareOffset, XStateImage.LegacySize - XStateImage.SoftwareOffset).ToArray();
        MxcsrMask = XStateImage.ReadMxcsrMask(new ReadOnlySpan<byte>(area, XStateImage.LegacySize));
        space.ReturnThread(thread);
        space.Dispose();
        HwCap = (uint)X86Base.CpuId(1, 0).Edx;
        TscKilohertz = ReadTscKilohertz();
        Description = $"systrap: stub processes, FS base by {(HasFsGsBase ? "instruction" : "arch_prctl")}, XSAVE area of {XSaveSize} bytes";
    }

    /// <summary>From CPUID: the timing leaf of hypervisors, or the processor's own; 0 if neither is there.</summary>
    private static ulong ReadTscKilohertz()
    {
        const int HypervisorLeaves = 0x4000_0000, Timing = 0x10, Tsc = 0x15;
        const int HypervisorBit = 1 << 31;
        if ((X86Base.CpuId(1, 0).Ecx & HypervisorBit) != 0 && unchecked((uint)X86Base.CpuId(HypervisorLeaves, 0).Eax) >= HypervisorLeaves + Timing)
        {
            return (uint)X86Base.CpuId(HypervisorLeaves + Timing, 0).Eax;
        }

        if (X86Base.CpuId(0, 0).Eax < Tsc)
        {
            return 0;
        }

        (int denominator, int numerator, int crystal, _) = X86Base.CpuId(Tsc, 0);
        return denominator == 0 ? 0 : (ulong)(uint)crystal * (uint)numerator / (uint)denominator / 1000;
    }

    private static void Expect(bool condition, string what)
    {
        if (!condition)
        {
            throw new PlatformException($"systrap cannot run on this host: {what}");
        }
    }
}
