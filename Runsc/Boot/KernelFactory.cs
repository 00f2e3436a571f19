using System;
using Runsc.Host.Syscalls;
using Runsc.Platform;
using Runsc.Platform.Kvm;
using Runsc.Platform.Systrap;
using Runsc.Sentry.Auth;
using Runsc.Sentry.FileSystems.Tmpfs;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Kernel.Time;
using Runsc.Sentry.Loader;
using Runsc.Sentry.Memory;
using Runsc.Sentry.Sockets;
using Runsc.Sentry.Syscalls;
using Runsc.Sentry.Vfs;

namespace Runsc.Boot;

/// <summary>Puts the parts of the application kernel together: platform, memory, kernel, system calls, file system types.</summary>
internal static class KernelFactory
{
    /// <param name="kvm">Descriptor of /dev/kvm, which may be closed afterwards; −1: the systrap platform, whose processes are started here.</param>
    /// <param name="memoryLimit">Bytes that applications may use.</param>
    /// <param name="processors">Processors that applications see.</param>
    /// <param name="trace">Hears of system calls; null for none.</param>
    /// <param name="panic">Ends the sandbox after an internal error.</param>
    /// <param name="totalMemory">Bytes that applications are told there are; 0 for the limit.</param>
    /// <exception cref="PlatformException">The platform cannot be used; one line for the user.</exception>
    public static SentryKernel Create(int kvm, ulong memoryLimit, int processors, SyscallTable.ITrace? trace, Action<Exception> panic, ulong totalMemory = 0)
    {
        IPlatform? platform = null;
        MemoryFile memory = new(memoryLimit, (offset, address, length) => platform?.AddMemory(offset, address, length));
        platform = kvm >= 0 ? KvmPlatform.Create(kvm, memory) : SystrapPlatform.Create(memory);
        SyscallTable table = SyscallTable.Create(trace);
        Vdso vdso = new(memory);
        CalibratedClock<HostCounter> clock = new(vdso.Time, new HostClock(), default);

        // Nobody writes its time page: with offsets of a time namespace, clocks are read by system calls.
        ElfLoader loader = new(vdso, withoutClock: new Vdso(memory));
        SpecialFiles special = new();
        SentryKernel kernel = new(platform, memory, clock)
        {
            Vfs = new VirtualFileSystem(special),
            SystemCall = table.Dispatch,
            Loader = loader.Load,
            Panic = panic,
            Processors = processors,
            TotalMemory = totalMemory == 0 ? memoryLimit : totalMemory,
        };
        kernel.MemoryFiles = new MemfdFileSystem(kernel);
        SocketSystem sockets = new(kernel);
        kernel.RootNetwork = sockets.CreateNamespace(UserNamespace.Initial);
        HeapTrimmer.Start(kernel, sockets.Buffers);
        if (platform.TscMatchesHost && HostTsc.IsAvailable)
        {
            clock.Start(kernel.Timers);
        }

        FileSystemTable.Register(kernel, special);
        kernel.LogLine($"runsc application kernel, release {SentryKernel.Release}");
        kernel.LogLine($"platform: {platform.Description}");
        return kernel;
    }
}
