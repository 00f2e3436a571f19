namespace Runsc.NetStack.Core;

/// <summary>Where protocol code sets its timers. All members need the stack's lock; timers fire under it.</summary>
internal interface ITimerHost
{
    /// <summary>Monotonic nanoseconds, read once for the packet or call that is being handled.</summary>
    long Now { get; }

    /// <summary>Sets or moves the timer; <paramref name="deadline"/> is in monotonic nanoseconds, one in the past fires soon.</summary>
    /// <remarks>Moving a timer to a later time costs O(1), so that a retransmission timer may be moved for every acknowledgement.</remarks>
    void Schedule(NetTimer timer, long deadline);

    /// <summary>The timer does not fire any more; harmless if it was not set.</summary>
    void Cancel(NetTimer timer);
}
