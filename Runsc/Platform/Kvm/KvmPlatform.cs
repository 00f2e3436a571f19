using System;
using System.Diagnostics;
using System.Threading;
using Runsc.Platform.Kvm.Abi;
using Runsc.Platform.Kvm.HandOver;
using Runsc.Platform.Kvm.Paging;

namespace Runsc.Platform.Kvm;

/// <summary>
/// One KVM virtual machine: the processor of a sandbox. After creation it needs only ioctls and mappings of descriptors that it has.
/// <code>
/// guest-physical            slot                what
/// 0 … 2 MiB                 0                   <see cref="SystemPages"/>
/// 4 MiB                     1 (read-only)       the code of the ring-3 SYSCALL stub
/// 4 GiB … 32 GiB            2 … 449             page tables (<see cref="TableArena"/>), 64 MiB each, on demand
/// 32 GiB …                  450 …               the MemoryFile, 1 GiB each
/// </code>
/// </summary>
internal sealed unsafe class KvmPlatform : IPlatform, IMemorySlots
{
    /// <summary>Guest-physical address of the MemoryFile's first byte.</summary>
    public const ulong DataBase = 32UL << 30;

    /// <summary>
    /// The signal that ends KVM_RUN. 32 and 33 belong to glibc, 34 to the runtime's garbage collector. It is blocked in every thread that runs a vCPU.
    /// </summary>
    public const int KickSignal = 35;

    private const uint SystemSlot = 0;
    private const uint StubSlot = 1;
    private const uint FirstTableSlot = 2;
    private const uint FirstDataSlot = FirstTableSlot + TableArena.MaxSlots;
    private const int DefaultVCpuLimit = 128;

    /// <summary>Only processors that enter real mode by other means than their own need these three pages; they must be free of slots.</summary>
    private const long TssPages = 0xfffb_d000;

    private readonly Lock _slotsMu = new();
    private nint[] _chunks = [];
    private ulong _generations;
    private VCpuPool? _vcpus;
    private int _running;

    private KvmPlatform(int kvmFd)
    {
        KvmRequirements.Check(kvmFd);
        Features = new CpuFeatures(kvmFd);
        RunSize = (int)KvmRequirements.Require(KvmCalls.Ioctl(kvmFd, KvmNumbers.KVM_GET_VCPU_MMAP_SIZE, 0), "KVM_GET_VCPU_MMAP_SIZE");
        MaxVCpus = (int)Math.Max(1, KvmCalls.Ioctl(kvmFd, KvmNumbers.KVM_CHECK_EXTENSION, KvmNumbers.KVM_CAP_MAX_VCPUS));
        VmFd = CreateVm(kvmFd);
        System = new SystemPages();
        KvmRequirements.Require(KvmCalls.Ioctl(VmFd, KvmNumbers.KVM_SET_TSS_ADDR, unchecked((nint)TssPages)), "KVM_SET_TSS_ADDR");
        SetSlot(SystemSlot, 0, 0, System.Host, SystemPages.Size);
        SetSlot(StubSlot, KvmNumbers.KVM_MEM_READONLY, SystemPages.UserStubPhysical, System.StubHost, PageEntry.PageSize);
        Tables = new TableArena(this);
    }

    public ulong UserAddressLimit => SystemCallsStayInRing3 ? SystemPages.UserStubs : SystemPages.UserEnd;

    public string Description { get; private set; } = "";

    public int XSaveSize => Features.XSaveSize;

    public ulong XFeatureMask => Features.XFeatureMask;

    public uint HwCap { get; private set; }

    public uint HwCap2 => Features.HwCap2;

    public bool TscMatchesHost { get; private set; }

    public ulong TscKilohertz { get; private set; }

    internal int VmFd { get; }

    internal int RunSize { get; }

    internal int MaxVCpus { get; }

    internal CpuFeatures Features { get; }

    internal SystemPages System { get; }

    internal TableArena Tables { get; }

    internal VCpuPool VCpus => _vcpus!;

    internal RunnerPool Runners { get; } = new(Environment.ProcessorCount);

    internal uint MxcsrMask { get; private set; } = 0xffff;

    /// <summary>SYSCALL runs its target without leaving ring 3, so the stub must be a user page. Found out by <see cref="KvmProbe"/>.</summary>
    internal bool SystemCallsStayInRing3 { get; private set; } = true;

    /// <summary>
    /// System calls may be handed over to the task's thread without an exit (<see cref="CallPage"/>): where they stay in ring 3, the stub can tell
    /// the segment bases, and there is a processor for each side.
    /// </summary>
    internal bool HandsOver { get; private set; }

    /// <summary>For tests: hand over whatever the policy says.</summary>
    internal bool HandsOverAlways { get; set; }

    /// <summary>Time in the guest, in ticks of Stopwatch, up to which a system call counts as following on the one before.</summary>
    internal long QuickTicks { get; private set; }

    /// <summary>There is a second processor for each of the tasks that are in the guest now.</summary>
    internal bool MaySpin => HandsOverAlways || Volatile.Read(ref _running) * 2 <= Environment.ProcessorCount;

    /// <summary>The processor reads our page tables itself; a CR3 load makes it read them again. Found out by <see cref="KvmProbe"/>.</summary>
    internal bool NestedPaging { get; private set; }

    /// <summary>
    /// Creates the machine on an open /dev/kvm, which stays the caller's and is not needed afterwards.
    /// <paramref name="vcpuLimit"/> 0 means the default.
    /// </summary>
    /// <exception cref="PlatformException">KVM lacks something, or refuses.</exception>
    public static KvmPlatform Create(int kvmFd, IMemorySource? memory = null, int vcpuLimit = 0)
    {
        var platform = new KvmPlatform(kvmFd);
        try
        {
            platform.Start(vcpuLimit);
            for (int chunk = 0; memory != null && (ulong)chunk < memory.Size / IMemorySource.ChunkSize; chunk++)
            {
                platform.AddMemory((ulong)chunk * IMemorySource.ChunkSize, (nint)memory.ChunkBase(chunk), IMemorySource.ChunkSize);
            }

            return platform;
        }
        catch
        {
            platform.Dispose();
            throw;
        }
    }

    public IAddressSpace CreateAddressSpace() => new KvmAddressSpace(this);

    public IContext CreateContext() => new KvmContext(this);

    public void AddMemory(ulong fileOffset, nint hostBase, ulong length)
    {
        if ((fileOffset | length) % IMemorySource.ChunkSize != 0)
        {
            throw new ArgumentException("the MemoryFile grows in whole chunks", nameof(length));
        }

        ulong end = DataBase + fileOffset + length;
        if (end > 1UL << Features.PhysicalAddressBits)
        {
            KvmFailure.Fatal($"the MemoryFile has outgrown the guest's {Features.PhysicalAddressBits} physical address bits");
        }

        lock (_slotsMu)
        {
            for (ulong done = 0; done < length; done += IMemorySource.ChunkSize)
            {
                int chunk = (int)((fileOffset + done) / IMemorySource.ChunkSize);
                byte* host = (byte*)hostBase + done;
                if (chunk >= _chunks.Length)
                {
                    nint[] grown = new nint[Math.Max(8, (chunk + 1) * 2)];
                    _chunks.CopyTo(grown, 0);
                    Volatile.Write(ref _chunks, grown);
                }

                Volatile.Write(ref _chunks[chunk], (nint)host);
                SetSlot(FirstDataSlot + (uint)chunk, 0, DataBase + fileOffset + done, host, IMemorySource.ChunkSize);
            }
        }
    }

    void IMemorySlots.AddTableSlot(int index, ulong physical, nint host, ulong length) =>
        SetSlot(FirstTableSlot + (uint)index, 0, physical, (byte*)host, length);

    void IMemorySlots.RemoveTableSlot(int index) => SetSlot(FirstTableSlot + (uint)index, 0, 0, null, 0);

    public void Dispose()
    {
        _vcpus?.RecallAll();
        Runners.Dispose();
        _vcpus?.Dispose();
        _ = KvmCalls.Close(VmFd);
        Tables.Dispose();
        System.Dispose();
    }

    /// <summary>A task enters the guest (1) or has left it (−1).</summary>
    internal void CountRunning(int change) => Interlocked.Add(ref _running, change);

    /// <summary>A number that no address space has had.</summary>
    internal ulong NextGeneration() => Interlocked.Increment(ref _generations);

    /// <summary>
    /// Drops the host's own mapping of frames, so that KVM drops every translation to them. The data stay: the mapping is shared.
    /// </summary>
    internal void DropHostMapping(ulong start, ulong end)
    {
        nint[] chunks = Volatile.Read(ref _chunks);
        for (ulong offset = start - DataBase; offset < end - DataBase;)
        {
            int chunk = (int)(offset / IMemorySource.ChunkSize);
            ulong inChunk = offset % IMemorySource.ChunkSize;
            ulong length = Math.Min(IMemorySource.ChunkSize - inChunk, end - DataBase - offset);
            long result = KvmCalls.Madvise(chunks[chunk] + (nint)inChunk, (nuint)length, KvmCalls.MADV_DONTNEED);
            if (result < 0)
            {
                // To go on would leave an application with pages that are no longer its own.
                KvmFailure.Fatal($"MADV_DONTNEED on guest memory failed (errno {-result})");
            }

            offset += length;
        }
    }

    private static int CreateVm(int kvmFd)
    {
        long result;
        do
        {
            result = KvmCalls.Ioctl(kvmFd, KvmNumbers.KVM_CREATE_VM, 0);
        }
        while (result == -KvmCalls.EINTR);

        return (int)KvmRequirements.Require(result, "KVM_CREATE_VM");
    }

    private void Start(int vcpuLimit)
    {
        int limit = Math.Min(vcpuLimit > 0 ? vcpuLimit : DefaultVCpuLimit, Math.Min(MaxVCpus, SystemPages.MaxVCpus));
        _vcpus = new VCpuPool(this, limit);
        KvmProbe probe = KvmProbe.Run(this);
        SystemCallsStayInRing3 = probe.SystemCallsStayInRing3;
        NestedPaging = probe.NestedPaging;
        TscMatchesHost = probe.TscMatchesHost;
        TscKilohertz = probe.TscKilohertz;
        MxcsrMask = probe.MxcsrMask;
        HwCap = probe.HwCap;
        HandsOver = SystemCallsStayInRing3 && probe.HasFsGsBase && Environment.ProcessorCount > 1;
        QuickTicks = (2 * probe.ExitTicks) + (Stopwatch.Frequency / 100_000);
        Tables.ReuseAtOnce = NestedPaging;
        _vcpus.PrepareMsrs();
        Description = $"kvm: {(NestedPaging ? "nested" : "shadow")} paging, system calls in ring {(SystemCallsStayInRing3 ? 3 : 0)}, " +
            $"up to {limit} vCPUs, TSC {(TscMatchesHost ? "as the host's" : "not the host's")}, " +
            $"an exit costs {Stopwatch.GetElapsedTime(0, probe.ExitTicks).TotalMicroseconds:0.0} us{(HandsOver ? ", calls are handed over" : "")}";
    }

    private void SetSlot(uint slot, uint flags, ulong physical, byte* host, ulong length)
    {
        var region = new KvmUserspaceMemoryRegion
        {
            Slot = slot, Flags = flags, GuestPhysAddr = physical, MemorySize = length, UserspaceAddr = (ulong)host,
        };
        long result = KvmCalls.Ioctl(VmFd, KvmNumbers.KVM_SET_USER_MEMORY_REGION, &region);
        if (result < 0)
        {
            throw new PlatformException($"KVM refuses a memory slot at 0x{physical:x} (errno {-result})");
        }
    }
}
