using Runsc.Linux;
using Runsc.Platform;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Memory;
using Xunit;

namespace Runsc.Tests.Unit.Memory;

/// <summary>An address space that is used as a processor would: by its translations, and by a fault when they do not do.</summary>
internal sealed class FakeProcess(MemoryFile file, MemoryManager memory)
{
    public const ulong PageSize = 4096;

    public static readonly AccessType ReadWrite = AccessType.Read | AccessType.Write;

    public FakeProcess(MemoryFile file)
        : this(file, new MemoryManager(new FakePlatform(), file))
    {
    }

    public MemoryManager Memory => memory;

    public FakeAddressSpace Space => (FakeAddressSpace)memory.AddressSpace;

    public static MemoryFile NewFile() => new(1UL << 30, (_, _, _) => { });

    public FakeProcess Fork() => new(file, memory.Fork());

    /// <summary>One access to a byte; what the fault came to if it could not be had.</summary>
    public FaultResult Touch(ulong address, AccessType access, out ulong offset)
    {
        // Once for what is there, and again after the fault was handled: a third time would be a loop in the application.
        for (int i = 0; i < 2; i++)
        {
            if (Space.Pages.TryGetValue(address & ~(PageSize - 1), out (ulong Offset, AccessType Access) page) && (page.Access & access) == access)
            {
                offset = page.Offset + (address % PageSize);
                return FaultResult.Handled;
            }

            FaultResult result = memory.HandleFault(address, access);
            if (result != FaultResult.Handled)
            {
                offset = 0;
                return result;
            }
        }

        Assert.Fail($"fault at {address:x} was handled, but the access {access} is still not possible");
        offset = 0;
        return FaultResult.Bus;
    }

    public FaultResult Store(ulong address, byte value)
    {
        FaultResult result = Touch(address, AccessType.Write, out ulong offset);
        if (result == FaultResult.Handled)
        {
            file.Span(offset, 1)[0] = value;
        }

        return result;
    }

    public FaultResult Load(ulong address, out byte value)
    {
        FaultResult result = Touch(address, AccessType.Read, out ulong offset);
        value = result == FaultResult.Handled ? file.Span(offset, 1)[0] : (byte)0;
        return result;
    }

    public byte Load(ulong address)
    {
        Assert.Equal(FaultResult.Handled, Load(address, out byte value));
        return value;
    }

    public ulong Map(ulong pages, AccessType protection, ulong address = 0, IMappable? mappable = null, ulong offset = 0, bool shared = false)
    {
        MmapRequest request = new()
        {
            Address = address,
            Fixed = address != 0,
            Length = pages * PageSize,
            Protection = protection,
            Mappable = mappable,
            Offset = offset,
            Shared = shared,
        };
        Assert.Equal(Errno.None, memory.Mmap(request, out ulong place));
        return place;
    }

    public ulong MapShared(MemoryFile memoryFile, ulong pages, ulong address = 0)
    {
        PageCache cache = new(memoryFile, null, new MappingIdentity("/dev/zero", 1, 0));
        cache.SetSize(pages * PageSize);
        ulong place = Map(pages, ReadWrite, address, cache, shared: true);
        cache.DecRef();
        return place;
    }

    public string Maps()
    {
        string text = "";
        foreach (MappingReport report in memory.Report(count: false))
        {
            text += $"{report.Start:x}-{report.End:x}:{(int)report.Protection} ";
        }

        return text.TrimEnd();
    }
}
