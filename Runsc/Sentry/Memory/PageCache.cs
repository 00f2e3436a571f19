using System;
using System.Collections.Generic;
using System.Threading;
using Runsc.Linux;
using Runsc.Platform;
using Runsc.Sentry.Mapping;

namespace Runsc.Sentry.Memory;

/// <summary>Where the pages of a cached file come from and go to. Called with the cache's lock held.</summary>
internal interface IPageSource
{
    /// <summary>Reads file bytes from <paramref name="offset"/> on; what lies past the end stays zero. Errors of the host.</summary>
    Errno ReadPages(ulong offset, Span<byte> destination);

    /// <summary>Writes file bytes back (never past the file's size).</summary>
    Errno WritePages(ulong offset, ReadOnlySpan<byte> source);
}

/// <summary>
/// The pages of one file, kept in the MemoryFile: what mmap(2) maps, and, for a file in memory, the file itself.
/// Without a source it is the only place where the data are (tmpfs, memfd, shared anonymous memory).
/// </summary>
/// <remarks>_mu comes after a memory manager's lock. Mappings are invalidated with no lock held.</remarks>
internal sealed class PageCache(MemoryFile file, IPageSource? source, MappingIdentity identity) : IMappable
{
    private const ulong PageSize = MemoryFile.PageSize;
    private const ulong Around = 64 << 10;

    private readonly Lock _mu = new();

    // Guarded by _mu. Page number to offset in the MemoryFile; the cache holds one reference on each page.
    private readonly Dictionary<ulong, ulong> _pages = [];
    private readonly HashSet<ulong> _dirty = [];
    private readonly List<(IMappingSpace Space, ulong Address, ulong Offset, ulong Length, bool Writable)> _mappings = [];
    private ulong _size;

    private int _references = 1;

    public MappingIdentity Identity { get; set; } = identity;

    /// <summary>Called when the last reference goes (the inode holds one, and each mapping).</summary>
    public Action? Released { get; init; }

    /// <summary>Asked before a page is added to a file in memory: false when the file system is full.</summary>
    public Func<long, bool>? ChargePages { get; init; }

    /// <summary>File size in bytes.</summary>
    public ulong Size
    {
        get
        {
            lock (_mu)
            {
                return _size;
            }
        }
    }

    /// <summary>Pages that hold data.</summary>
    public ulong ResidentPages
    {
        get
        {
            lock (_mu)
            {
                return (ulong)_pages.Count;
            }
        }
    }

    /// <summary>Do all cached pages hold what the source holds? Then it can be read past the cache.</summary>
    public bool IsClean
    {
        get
        {
            lock (_mu)
            {
                return _dirty.Count == 0 && !_mappings.Exists(mapping => mapping.Writable);
            }
        }
    }

    /// <summary>Is any page cached? If not, a file with a source can be read past the cache.</summary>
    public bool IsEmpty
    {
        get
        {
            lock (_mu)
            {
                return _pages.Count == 0;
            }
        }
    }

    public void SetSize(ulong size)
    {
        lock (_mu)
        {
            _size = size;
        }
    }

    public void IncRef() => Interlocked.Increment(ref _references);

    public void DecRef()
    {
        if (Interlocked.Decrement(ref _references) == 0)
        {
            lock (_mu)
            {
                WriteBackLocked(0, ulong.MaxValue);
                DropLocked(0, ulong.MaxValue);
            }

            Released?.Invoke();
        }
    }

    public Errno Translate(ulong offset, ulong length, AccessType access, out FileRange range)
    {
        range = default;
        lock (_mu)
        {
            if (offset >= AlignUp(_size))
            {
                return Errno.EFAULT;
            }

            Errno error = GetPageLocked(offset / PageSize, fill: true, out ulong page);
            if (error != Errno.None)
            {
                return error;
            }

            bool write = (access & AccessType.Write) != 0;
            ulong count = 1, limit = Math.Min(length, AlignUp(_size) - offset) / PageSize;
            while (count < limit && _pages.TryGetValue((offset / PageSize) + count, out ulong next) && next == page + (count * PageSize)
                && next % IMemorySource.ChunkSize != 0)
            {
                count++;
            }

            if (write && source is not null)
            {
                for (ulong i = 0; i < count; i++)
                {
                    _dirty.Add((offset / PageSize) + i);
                }
            }

            file.IncRef(page, count * PageSize);
            range = new FileRange(page, count * PageSize);
            return Errno.None;
        }
    }

    public void AddMapping(IMappingSpace space, ulong address, ulong offset, ulong length, bool writableShared)
    {
        lock (_mu)
        {
            _mappings.Add((space, address, offset, length, writableShared));
        }
    }

    public void RemoveMapping(IMappingSpace space, ulong address, ulong offset, ulong length, bool writableShared)
    {
        lock (_mu)
        {
            // A mapping may go in parts other than those in which it came: keep what is not covered.
            ulong end = address + length;
            for (int i = _mappings.Count - 1; i >= 0; i--)
            {
                (IMappingSpace owner, ulong start, ulong at, ulong size, bool writable) = _mappings[i];
                ulong stop = start + size;
                if (owner != space || stop <= address || start >= end)
                {
                    continue;
                }

                _mappings.RemoveAt(i);
                if (start < address)
                {
                    _mappings.Add((owner, start, at, address - start, writable));
                }

                if (stop > end)
                {
                    _mappings.Add((owner, end, at + (end - start), stop - end, writable));
                }
            }
        }
    }

    /// <summary>Is the file mapped shared and writable anywhere (F_SEAL_WRITE)?</summary>
    public bool HasWritableMapping
    {
        get
        {
            lock (_mu)
            {
                return _mappings.Exists(mapping => mapping.Writable);
            }
        }
    }

    public Errno Sync(ulong offset, ulong length)
    {
        lock (_mu)
        {
            return WriteBackLocked(offset / PageSize, length == ulong.MaxValue ? ulong.MaxValue : (offset + length + PageSize - 1) / PageSize);
        }
    }

    /// <summary>Reads at an offset: bytes, 0 at the end, or −errno.</summary>
    public long Read(ref IoBuffer destination, ulong offset)
    {
        long done = 0;
        while (destination.Remaining > 0)
        {
            ulong at = offset + (ulong)done;
            ulong page;
            bool hole = false;
            int step;
            lock (_mu)
            {
                if (at >= _size)
                {
                    break;
                }

                step = (int)Math.Min(Math.Min((ulong)destination.Remaining, PageSize - (at % PageSize)), _size - at);
                if (!_pages.TryGetValue(at / PageSize, out page))
                {
                    if (source is null)
                    {
                        hole = true;
                    }
                    else
                    {
                        Errno error = GetPageLocked(at / PageSize, fill: true, out page);
                        if (error != Errno.None)
                        {
                            return done > 0 ? done : -(long)error;
                        }
                    }
                }

                if (!hole)
                {
                    // Held while the lock is not: copying may fault, and a fault may need this cache.
                    file.IncRef(page, PageSize);
                }
            }

            long n;
            if (hole)
            {
                n = destination.ZeroOut(step);
            }
            else
            {
                n = destination.CopyOut(file.Span(page + (at % PageSize), step));
                file.DecRef(page, PageSize);
            }

            if (n < 0)
            {
                return done > 0 ? done : n;
            }

            done += n;
            if (n < step)
            {
                break;
            }
        }

        return done;
    }

    /// <summary>Writes at an offset, growing the file: bytes or −errno (EFAULT, ENOSPC).</summary>
    public long Write(ref IoBuffer from, ulong offset)
    {
        long done = 0;
        while (from.Remaining > 0)
        {
            ulong at = offset + (ulong)done;
            int step = (int)Math.Min((ulong)from.Remaining, PageSize - (at % PageSize));
            ulong page;
            lock (_mu)
            {
                // A page that the file has is read even if all of it is to be written: the copy below may fail half-way.
                Errno error = GetPageLocked(at / PageSize, fill: step < (int)PageSize || at < _size, out page);
                if (error != Errno.None)
                {
                    return done > 0 ? done : -(long)error;
                }

                file.IncRef(page, PageSize);
            }

            long n = from.CopyIn(file.Span(page + (at % PageSize), step));
            lock (_mu)
            {
                if (n > 0)
                {
                    if (source is not null)
                    {
                        _dirty.Add(at / PageSize);
                    }

                    _size = Math.Max(_size, at + (ulong)n);
                }
            }

            file.DecRef(page, PageSize);
            if (n < 0)
            {
                return done > 0 ? done : n;
            }

            done += n;
            if (n < step)
            {
                break;
            }
        }

        return done;
    }

    /// <summary>Puts bytes that were written past the cache into the pages that it has, and grows the file.</summary>
    public void Update(ulong offset, ReadOnlySpan<byte> data)
    {
        lock (_mu)
        {
            _size = Math.Max(_size, offset + (ulong)data.Length);
            while (_pages.Count > 0 && data.Length > 0)
            {
                int step = (int)Math.Min((ulong)data.Length, PageSize - (offset % PageSize));
                if (_pages.TryGetValue(offset / PageSize, out ulong page))
                {
                    data[..step].CopyTo(file.Span(page + (offset % PageSize), step));
                }

                data = data[step..];
                offset += (ulong)step;
            }
        }
    }

    /// <summary>Changes the size: pages past the end go, the rest of the last one becomes zero, and mappings of it are dropped.</summary>
    public void Truncate(ulong size)
    {
        ulong old;
        lock (_mu)
        {
            old = _size;
            _size = size;
            if (size < old)
            {
                if (size % PageSize != 0 && _pages.TryGetValue(size / PageSize, out ulong last))
                {
                    file.Span(last + (size % PageSize), (int)(PageSize - (size % PageSize))).Clear();
                }

                DropLocked(AlignUp(size) / PageSize, ulong.MaxValue);
            }
        }

        if (size < old)
        {
            Invalidate(AlignUp(size), ulong.MaxValue, includingPrivate: true);
        }
    }

    /// <summary>FALLOC_FL_PUNCH_HOLE for a file in memory: the range reads as zeros.</summary>
    public void Punch(ulong offset, ulong length)
    {
        ulong end = Math.Min(offset + length, AlignUp(Size)), first = AlignUp(offset), last = end & ~(PageSize - 1);
        lock (_mu)
        {
            for (ulong page = offset / PageSize; page * PageSize < end; page++)
            {
                ulong from = Math.Max(offset, page * PageSize), to = Math.Min(end, (page + 1) * PageSize);
                if (to - from < PageSize && _pages.TryGetValue(page, out ulong at))
                {
                    file.Span(at + (from % PageSize), (int)(to - from)).Clear();
                }
            }

            if (first < last)
            {
                DropLocked(first / PageSize, last / PageSize);
            }
        }

        if (first < last)
        {
            Invalidate(first, last, includingPrivate: false);
        }
    }

    /// <summary>fallocate(2) for a file in memory: makes sure of pages for the range, all or none. ENOSPC, ENOMEM.</summary>
    public Errno Reserve(ulong offset, ulong length)
    {
        List<ulong> added = [];
        lock (_mu)
        {
            for (ulong page = offset / PageSize; page * PageSize < offset + length; page++)
            {
                if (_pages.ContainsKey(page))
                {
                    continue;
                }

                Errno error = GetPageLocked(page, fill: true, out _);
                if (error != Errno.None)
                {
                    foreach (ulong number in added)
                    {
                        DropLocked(number, number + 1);
                    }

                    return error;
                }

                added.Add(page);
            }
        }

        return Errno.None;
    }

    /// <summary>SEEK_DATA or SEEK_HOLE for a file in memory: the position, or −ENXIO past the end.</summary>
    public long SeekDataOrHole(ulong offset, bool data)
    {
        lock (_mu)
        {
            if (offset >= _size)
            {
                return -(long)Errno.ENXIO;
            }

            // By the pages that there are: a file may be one great hole.
            ulong first = offset / PageSize, found = ulong.MaxValue;
            if (data)
            {
                foreach (ulong page in _pages.Keys)
                {
                    found = page >= first ? Math.Min(found, page) : found;
                }

                return found == ulong.MaxValue || found * PageSize >= _size ? -(long)Errno.ENXIO : (long)Math.Max(found * PageSize, offset);
            }

            found = first;
            while (_pages.ContainsKey(found))
            {
                found++;
            }

            return (long)Math.Min(Math.Max(found * PageSize, offset), _size);
        }
    }

    /// <summary>Forgets clean pages so that the next reader asks the source (a file changed behind the cache).</summary>
    public void Forget()
    {
        lock (_mu)
        {
            WriteBackLocked(0, ulong.MaxValue);
            DropLocked(0, ulong.MaxValue);
        }

        Invalidate(0, ulong.MaxValue, includingPrivate: false);
    }

    private void Invalidate(ulong start, ulong end, bool includingPrivate)
    {
        (IMappingSpace Space, ulong Address, ulong Offset, ulong Length, bool Writable)[] mappings;
        lock (_mu)
        {
            mappings = [.. _mappings];
        }

        foreach ((IMappingSpace space, ulong address, ulong offset, ulong length, _) in mappings)
        {
            ulong from = Math.Max(start, offset), to = Math.Min(end, offset + length);
            if (from < to)
            {
                space.InvalidateMappings(address + (from - offset), to - from, includingPrivate);
            }
        }
    }

    private Errno GetPageLocked(ulong number, bool fill, out ulong page)
    {
        if (_pages.TryGetValue(number, out page))
        {
            return Errno.None;
        }

        // A source is read in larger pieces: neighbours will be wanted, and the cost is per call.
        ulong first = number, count = 1;
        if (source is not null && fill)
        {
            ulong end = Math.Max(AlignUp(_size) / PageSize, number + 1);
            count = Math.Min(Around / PageSize, end - number);
            for (ulong i = 1; i < count; i++)
            {
                if (_pages.ContainsKey(number + i))
                {
                    count = i;
                    break;
                }
            }
        }

        if (source is null && ChargePages is not null && !ChargePages(1))
        {
            return Errno.ENOSPC;
        }

        Errno error = file.Allocate(count * PageSize, out ulong offset, charged: source is null);
        if (error != Errno.None)
        {
            return error;
        }

        if (source is not null && fill)
        {
            error = source.ReadPages(first * PageSize, file.Span(offset, (int)(count * PageSize)));
            if (error != Errno.None)
            {
                file.DecRef(offset, count * PageSize);
                return error;
            }
        }

        for (ulong i = 0; i < count; i++)
        {
            _pages.Add(first + i, offset + (i * PageSize));
        }

        page = offset;
        return Errno.None;
    }

    private Errno WriteBackLocked(ulong first, ulong end)
    {
        if (source is null || _dirty.Count == 0)
        {
            return Errno.None;
        }

        // An application that can write to a page does so without a fault: it stays dirty.
        bool stayDirty = _mappings.Exists(mapping => mapping.Writable);
        Errno result = Errno.None;
        ulong[] numbers = [.. _dirty];
        foreach (ulong number in numbers)
        {
            ulong at = number * PageSize;
            if (number < first || number >= end || !_pages.TryGetValue(number, out ulong page))
            {
                continue;
            }

            if (at < _size)
            {
                Errno error = source.WritePages(at, file.Span(page, (int)Math.Min(PageSize, _size - at)));
                result = result == Errno.None ? error : result;
            }

            if (!stayDirty)
            {
                _dirty.Remove(number);
            }
        }

        return result;
    }

    private void DropLocked(ulong first, ulong end)
    {
        List<ulong> victims = [];
        if (end - first < (ulong)_pages.Count)
        {
            for (ulong number = first; number < end; number++)
            {
                if (_pages.ContainsKey(number))
                {
                    victims.Add(number);
                }
            }
        }
        else
        {
            foreach (ulong number in _pages.Keys)
            {
                if (number >= first && number < end)
                {
                    victims.Add(number);
                }
            }
        }

        foreach (ulong number in victims)
        {
            _pages.Remove(number, out ulong page);
            _dirty.Remove(number);
            file.DecRef(page, PageSize);
        }

        if (source is null && victims.Count > 0)
        {
            ChargePages?.Invoke(-victims.Count);
        }
    }

    private static ulong AlignUp(ulong value) => unchecked(value + PageSize - 1) & ~(PageSize - 1);
}
