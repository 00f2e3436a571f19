using System.Threading;
using Runsc.Common;

namespace Runsc.NetStack.Buffers;

/// <summary>A block of pinned bytes with a count of holders; at zero it goes back to its pool.</summary>
/// <remarks>
/// Whoever filled it hands it on as read-only: bytes that a second holder can see do not change any more. A
/// filler may go on writing behind what it has handed out (a send buffer that grows).
/// </remarks>
internal sealed class Slab
{
    private readonly BufferPool _pool;
    private int _references;

    internal Slab(BufferPool pool, byte[] array, int level)
    {
        _pool = pool;
        Array = array;
        Level = level;
    }

    /// <summary>Pinned for its life, so host calls may be given its address.</summary>
    public byte[] Array { get; }

    /// <summary>The size class in the pool.</summary>
    internal int Level { get; }

    /// <summary>The next free slab of the pool.</summary>
    internal Slab? NextFree { get; set; }

    public bool IsShared => Volatile.Read(ref _references) > 1;

    public void Retain()
    {
        if (Interlocked.Increment(ref _references) <= 1)
        {
            Invariant.Fail("a slab was retained after its release");
        }
    }

    public void Release()
    {
        int left = Interlocked.Decrement(ref _references);
        if (left == 0)
        {
            _pool.Return(this);
        }
        else if (left < 0)
        {
            Invariant.Fail("a slab was released twice");
        }
    }

    internal void Rented() => _references = 1;
}
