namespace Runsc.NetStack.Core;

/// <summary>A timer of protocol code: a node of the heap, so that setting it allocates nothing. Guarded by the stack's lock.</summary>
internal abstract class NetTimer
{
    /// <summary>The value of <see cref="Deadline"/> of a timer that is not set.</summary>
    public const long Never = long.MaxValue;

    /// <summary>When it fires, in monotonic nanoseconds.</summary>
    public long Deadline { get; internal set; } = Never;

    public bool IsSet => Deadline != Never;

    /// <summary>Position in the heap, or -1.</summary>
    internal int HeapIndex { get; set; } = -1;

    /// <summary>The key under which it stands in the heap: never later than <see cref="Deadline"/>.</summary>
    internal long HeapKey { get; set; }

    /// <summary>Called under the stack's lock, once, when the deadline has passed; it may set itself again.</summary>
    public abstract void Fire();
}
