using System.Threading;

namespace Runsc.Sentry.Memory;

/// <summary>
/// Who pays for pages of the memory file: a container that has a limit of its own (memory control group of cgroups(7)). A page is charged to the
/// container whose thread was the first to need it, until it is free; pages of files of the host are charged to nobody.
/// </summary>
internal sealed class MemoryAccount(int index, long limit)
{
    private long _used;
    private long _limit = limit;
    private long _peak;

    /// <summary>1 to 255.</summary>
    public int Index => index;

    /// <summary>Pages that may be charged at most.</summary>
    public long Limit
    {
        get => Volatile.Read(ref _limit);
        set => Volatile.Write(ref _limit, value);
    }

    /// <summary>Pages.</summary>
    public long Used => Volatile.Read(ref _used);

    public long Peak => Volatile.Read(ref _peak);

    /// <summary>The container has gone; what it shared may still be in use. Guarded by the memory file's lock.</summary>
    public bool IsGivenUp { get; set; }

    /// <summary>Set when a charge was refused; whoever frees memory for the container waits for it.</summary>
    public AutoResetEvent Pressed { get; } = new(false);

    /// <summary>False, and <see cref="Pressed"/>, when the limit does not allow it.</summary>
    public bool TryCharge(long pages)
    {
        long now = Interlocked.Add(ref _used, pages);
        if (now > Limit)
        {
            Interlocked.Add(ref _used, -pages);
            Pressed.Set();
            return false;
        }

        if (now > Peak)
        {
            // A lost race makes the peak a little low.
            Volatile.Write(ref _peak, now);
        }

        return true;
    }

    public void Uncharge(long pages) => Interlocked.Add(ref _used, -pages);
}
