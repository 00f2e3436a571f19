using System.Threading;
using Runsc.Linux;
using Runsc.Platform;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Memory;

namespace Runsc.Sentry.Kernel.Ipc;

/// <summary>A shared memory segment (shmget(2)). Each mapping holds a reference, so their number is shm_nattch; its pages go when it is removed and nobody has it.</summary>
internal sealed class SharedSegment(IpcTable<SharedSegment> table, PageCache pages, ulong size) : IpcObject, IMappable
{
    private int _attachments;
    private int _isFreed;

    /// <summary>As asked for; mappings are whole pages. Immutable.</summary>
    public ulong Size => size;

    public long AttachTime { get; set; }

    public long DetachTime { get; set; }

    public required int CreatorPid { get; init; }

    public int LastPid { get; set; }

    public int Attachments => Volatile.Read(ref _attachments);

    public ulong ResidentPages => pages.ResidentPages;

    public MappingIdentity Identity
    {
        get => pages.Identity;
        set => pages.Identity = value;
    }

    public Errno Translate(ulong offset, ulong length, AccessType access, out FileRange range) => pages.Translate(offset, length, access, out range);

    public void AddMapping(IMappingSpace space, ulong address, ulong offset, ulong length, bool writableShared) =>
        pages.AddMapping(space, address, offset, length, writableShared);

    public void RemoveMapping(IMappingSpace space, ulong address, ulong offset, ulong length, bool writableShared) =>
        pages.RemoveMapping(space, address, offset, length, writableShared);

    public Errno Sync(ulong offset, ulong length) => Errno.None;

    public void IncRef() => Interlocked.Increment(ref _attachments);

    public void DecRef()
    {
        if (Interlocked.Decrement(ref _attachments) == 0)
        {
            FreeIfUnused();
        }
    }

    /// <summary>Removed and nobody has it: its pages are free. Takes the table's lock.</summary>
    public void FreeIfUnused()
    {
        lock (table.Mu)
        {
            if (!IsRemoved || Attachments > 0 || _isFreed != 0)
            {
                return;
            }

            _isFreed = 1;
            table.RemoveLocked(this);
        }

        pages.DecRef();
    }
}
