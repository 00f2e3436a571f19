using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Threading;
using Runsc.Linux;
using Runsc.Platform.Systrap.Stub;

namespace Runsc.Platform.Systrap;

/// <summary>
/// The address space of a stub process: mmap(2), munmap(2) and mprotect(2) made there, on the MemoryFile. An order is carried out before the
/// call returns, and the host's kernel takes translations away from every thread at once, so nothing is left to do about caches.
/// If the host refuses to take something away, the process must not go on: it is killed.
/// </summary>
internal sealed class SystrapAddressSpace : IAddressSpace
{
    private const ulong PageSize = 4096;

    /// <summary>Where to drop everything: below vm.max_map_count (65530), with room for what one operation splits.</summary>
    private const int MaxMappings = 60000;

    private readonly Lock _mu = new();

    // Guarded by _mu.
    private readonly MappingSet _mappings = new();
    private readonly Stack<StubThread> _idle = new();
    private bool _disposed;

    /// <param name="process">Null if none could be made: then nothing runs here.</param>
    public SystrapAddressSpace(StubProcess? process) => Process = process;

    public StubProcess? Process { get; }

    /// <summary>Number of ranges that are mapped, for tests.</summary>
    public int MappingCount
    {
        get
        {
            lock (_mu)
            {
                return _mappings.Count;
            }
        }
    }

    public void Map(ulong address, ulong fileOffset, ulong length, AccessType access)
    {
        CheckRange(address, length);
        Debug.Assert((access & (AccessType.Read | AccessType.Execute)) != 0 && fileOffset % PageSize == 0);
        Mapping mapping = new() { Start = address, End = address + length, Offset = fileOffset, Access = access | AccessType.Read };
        lock (_mu)
        {
            if (length == 0 || !CanWork() || _mappings.Holds(mapping))
            {
                return;
            }

            if (_mappings.Count < MaxMappings && TryMapLocked(mapping))
            {
                return;
            }

            // Too many ranges for the host, perhaps: all but this one can be mapped again when it is used.
            UnmapAllLocked();
            if (!TryMapLocked(mapping))
            {
                Process!.Kill();
            }
        }
    }

    public void Unmap(ulong address, ulong length)
    {
        CheckRange(address, length);
        lock (_mu)
        {
            UnmapLocked(address, address + length);
        }
    }

    public void MakeReadOnly(ulong address, ulong length)
    {
        CheckRange(address, length);
        ulong end = address + length;
        lock (_mu)
        {
            if (!CanWork())
            {
                return;
            }

            SplitLocked(address);
            SplitLocked(end);
            for (int i = _mappings.FindFrom(address); i < _mappings.Count && _mappings[i].Start < end; i++)
            {
                ref readonly Mapping mapping = ref _mappings[i];
                if ((mapping.Access & AccessType.Write) == 0)
                {
                    continue;
                }

                ulong rights = (ulong)(mapping.Access & ~AccessType.Write);
                Process!.Add(SysNo.mprotect, mapping.Start, mapping.End - mapping.Start, rights, 0, 0, 0, 0);
                _mappings.TakeWrite(i);
                if (Process.IsFull)
                {
                    Require(Process.Execute());
                }
            }

            Require(Process!.Execute());
        }
    }

    public void Dispose()
    {
        lock (_mu)
        {
            if (_disposed || Process == null)
            {
                return;
            }

            _disposed = true;
            _idle.Clear();
            Process.Kill();
            Process.Release();
        }
    }

    /// <summary>A thread for a context to run on; null if there can be none.</summary>
    public StubThread? TakeThread()
    {
        lock (_mu)
        {
            if (!CanWork())
            {
                return null;
            }

            if (!_idle.TryPop(out StubThread? thread))
            {
                thread = Process!.CreateThread();
                if (thread == null)
                {
                    return null;
                }
            }

            Process!.Hold();
            return thread;
        }
    }

    /// <summary>A thread of this space that its context does not need any more.</summary>
    public void ReturnThread(StubThread thread)
    {
        lock (_mu)
        {
            if (!_disposed && !thread.Process.IsDead)
            {
                _idle.Push(thread);
            }
        }

        thread.Process.Release();
    }

    private static void CheckRange(ulong address, ulong length)
    {
        bool valid = (address | length) % PageSize == 0 && length <= StubLayout.Slots && address <= StubLayout.Slots - length;
        if (!valid)
        {
            throw new ArgumentOutOfRangeException(nameof(address), $"not a range of user pages: 0x{address:x} + 0x{length:x}");
        }
    }

    private bool CanWork() => !_disposed && Process is { IsDead: false };

    private bool TryMapLocked(in Mapping mapping)
    {
        Process!.Add(
            SysNo.mmap, mapping.Start, mapping.End - mapping.Start, (ulong)mapping.Access, Mman.MAP_SHARED | Mman.MAP_FIXED, StubLayout.MemoryFd,
            mapping.Offset, mapping.Start);
        if (!Process.Execute())
        {
            return false;
        }

        _mappings.Set(mapping);
        return true;
    }

    private void UnmapLocked(ulong start, ulong end)
    {
        if (!CanWork() || !_mappings.Intersects(start, end))
        {
            return;
        }

        Process!.Add(SysNo.munmap, start, end - start, 0, 0, 0, 0, 0);
        bool done = Process.Execute();
        if (!done && !Process.IsDead && _mappings.Count > 1)
        {
            // A hole in a range makes two of it, and the host may have no room for one more. Everything at once needs none.
            UnmapAllLocked();
            return;
        }

        _mappings.Remove(start, end);
        Require(done);
    }

    private void UnmapAllLocked()
    {
        if (CanWork())
        {
            Process!.Add(SysNo.munmap, 0, StubLayout.Slots, 0, 0, 0, 0, 0);
            Require(Process.Execute());
            _mappings.Clear();
        }
    }

    /// <summary>Makes an address the border between two ranges, if it is inside of one.</summary>
    private void SplitLocked(ulong address)
    {
        int index = _mappings.FindFrom(address);
        if (index < _mappings.Count && _mappings[index].Start < address)
        {
            _mappings.Split(index, address);
        }
    }

    private void Require(bool done)
    {
        if (!done && !Process!.IsDead)
        {
            // To go on would leave the application with pages that are no longer its own.
            Process.Kill();
        }
    }
}
