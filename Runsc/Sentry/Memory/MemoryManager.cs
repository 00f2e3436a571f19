using System;
using System.Threading;
using Runsc.Common;
using Runsc.Platform;
using Runsc.Sentry.Mapping;

namespace Runsc.Sentry.Memory;

/// <summary>An address space (Linux: struct mm_struct): VMAs, the pages behind them, and what the platform has mapped of them.</summary>
/// <remarks>
/// _mu guards VMAs, pages and layout; it is held while a mappable is asked for pages (which may read a file) and while the platform is told.
/// Two managers are locked only in fork, the parent first; the child is not visible yet.
/// Invariant: what the platform maps is a subset of the page map, with no more rights than the VMA gives, and write access only to
/// pages that this space alone may write (private pages with one reference, or pages of shared mappings that were made dirty).
/// Other parts: Mmap, Protect, Remap, Advise, Faults, Copy, Fork, Report.
/// </remarks>
internal sealed partial class MemoryManager : IUserMemory, IMappingSpace
{
    private const ulong PageSize = MemoryFile.PageSize;

    /// <summary>vm.max_map_count.</summary>
    public const int MaxMapCount = 65530;

    /// <summary>vm.mmap_min_addr.</summary>
    public const ulong MinAddress = 65536;

    private readonly Lock _mu = new();
    private readonly MemoryFile _file;
    private readonly IPlatform _platform;
    private readonly IAddressSpace _space;
    private readonly VmaSet _vmas = new();
    private readonly PageMap _pages = new();
    private readonly ulong _limit;
    private int _users = 1;

    // Layout. Guarded by _mu after set-up.
    private ulong _mmapTop;
    private ulong _brkStart;
    private ulong _brk;
    private ulong _totalBytes;

    public MemoryManager(IPlatform platform, MemoryFile file)
    {
        _platform = platform;
        _file = file;
        _limit = platform.UserAddressLimit;
        _space = platform.CreateAddressSpace();
        _mmapTop = _limit - (1UL << 30);
    }

    /// <summary>What contexts switch to.</summary>
    public IAddressSpace AddressSpace => _space;

    public MemoryFile File => _file;

    // What execve leaves for /proc: set by the loader before the first instruction.
    public ulong ArgumentStart { get; set; }
    public ulong ArgumentEnd { get; set; }
    public ulong EnvironmentStart { get; set; }
    public ulong EnvironmentEnd { get; set; }
    public ulong StackStart { get; set; }
    public ulong CodeStart { get; set; }
    public ulong CodeEnd { get; set; }
    public byte[] AuxiliaryVector { get; set; } = [];

    /// <summary>The program's file, as a reference to its open description's mappable identity is kept by the task; null before exec.</summary>
    public ulong VdsoBase { get; set; }

    /// <summary>RLIMIT_STACK, RLIMIT_AS and RLIMIT_DATA of the owner, kept current by the kernel.</summary>
    public ulong StackLimit { get; set; } = 8UL << 20;

    public ulong AddressSpaceLimit { get; set; } = ulong.MaxValue;

    /// <summary>One more task, or reader of /proc, uses this space. False when the last user has gone.</summary>
    public bool TryIncUsers()
    {
        int users = Volatile.Read(ref _users);
        while (users > 0)
        {
            int seen = Interlocked.CompareExchange(ref _users, users + 1, users);
            if (seen == users)
            {
                return true;
            }

            users = seen;
        }

        return false;
    }

    /// <summary>A user goes; the last one takes the address space down.</summary>
    public void DecUsers()
    {
        int left = Interlocked.Decrement(ref _users);
        if (left > 0)
        {
            return;
        }

        if (left < 0)
        {
            Invariant.Fail("address space user count below zero");
        }

        lock (_mu)
        {
            UnmapLocked(0, _limit);
            _space.Dispose();
        }
    }

    /// <summary>Bytes of pages that are mapped in.</summary>
    public ulong ResidentBytes => (ulong)_pages.Count * PageSize;

    /// <summary>The most that <see cref="ResidentBytes"/> has been, as far as it was looked at.</summary>
    public ulong PeakResidentBytes => _peakResident = Math.Max(_peakResident, ResidentBytes);

    private ulong _peakResident;

    public int Users => Volatile.Read(ref _users);

    private static ulong PageUp(ulong value) => unchecked(value + PageSize - 1) & ~(PageSize - 1);

    private static ulong PageDown(ulong value) => value & ~(PageSize - 1);
}
