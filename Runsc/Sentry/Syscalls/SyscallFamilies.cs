namespace Runsc.Sentry.Syscalls;

/// <summary>The families of system calls.</summary>
internal static class SyscallFamilies
{
    public static void RegisterAll(SyscallTable.Builder b)
    {
        FileOpen.Register(b);
        FileReadWrite.Register(b);
        FileStatus.Register(b);
        FileDirectory.Register(b);
        FileChange.Register(b);
        FileControl.Register(b);
        FileXattr.Register(b);
        AioCalls.Register(b);
        PipeCalls.Register(b);
        PollCalls.Register(b);
        EventCalls.Register(b);
        EpollCalls.Register(b);
        InotifyCalls.Register(b);
        SocketCalls.Register(b);
        SocketMessages.Register(b);
        MountCalls.Register(b);
        MemoryCalls.Register(b);
        ProcessCalls.Register(b);
        ProcessIdCalls.Register(b);
        PrctlCalls.Register(b);
        PtraceCalls.Register(b);
        SeccompCalls.Register(b);
        SharedMemoryCalls.Register(b);
        SemaphoreCalls.Register(b);
        MessageCalls.Register(b);
        PosixQueueCalls.Register(b);
        SignalCalls.Register(b);
        FutexCalls.Register(b);
        CredentialCalls.Register(b);
        CapabilityCalls.Register(b);
        SchedulingCalls.Register(b);
        MembarrierCalls.Register(b);
        ClockCalls.Register(b);
        TimerCalls.Register(b);
        LimitCalls.Register(b);
        SystemCalls.Register(b);
    }
}
