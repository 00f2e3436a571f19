using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using Runsc.Host.Syscalls;
using Runsc.Linux;

namespace Runsc.Host.Processes;

/// <summary>Programs of the host that serve a container from outside: hooks.</summary>
internal static unsafe partial class HostProcess
{
    // Opaque to us; glibc's are 80, 336 and 128 bytes.
    private const int FileActionsSize = 256, AttributesSize = 512, SignalSetSize = 128;

    private const short POSIX_SPAWN_SETSIGDEF = 4, POSIX_SPAWN_SETSIGMASK = 8;

    /// <summary>
    /// Starts the program at a path with three standard descriptors, no signal blocked, and the default handling of SIGPIPE, which the runtime
    /// ignores: the process's id, or −errno.
    /// </summary>
    /// <param name="path">Absolute.</param>
    /// <param name="arguments">The first is its name.</param>
    /// <param name="environment">All of it.</param>
    /// <param name="input">Standard input; stays the caller's, as the next two.</param>
    /// <param name="output">Standard output.</param>
    /// <param name="error">Standard error.</param>
    /// <param name="network">Network namespace that it runs in; −1 for the caller's.</param>
    public static int Spawn(string path, IReadOnlyList<string> arguments, IReadOnlyList<string> environment, int input, int output, int error, int network = -1)
    {
        int own = -1;
        if (network >= 0)
        {
            // A thread may go to another network namespace and come back; its children begin where it is.
            own = HostFile.OpenAt(Fcntl.AT_FDCWD, "/proc/thread-self/ns/net\0"u8, Fcntl.O_RDONLY | Fcntl.O_CLOEXEC);
            int joined = own < 0 ? own : (int)HostFile.Syscall(SysNo.setns, network, 0);
            if (joined < 0)
            {
                _ = HostFile.Close(own);
                return joined;
            }
        }

        int result = SpawnHere(path, arguments, environment, input, output, error);
        if (own >= 0)
        {
            _ = HostFile.Syscall(SysNo.setns, own, 0);
            _ = HostFile.Close(own);
        }

        return result;
    }

    private static int SpawnHere(string path, IReadOnlyList<string> arguments, IReadOnlyList<string> environment, int input, int output, int error)
    {
        using NativeStrings file = new([path]), argv = new(arguments), envp = new(environment);
        byte* actions = stackalloc byte[FileActionsSize];
        byte* attributes = stackalloc byte[AttributesSize];
        byte* defaults = stackalloc byte[SignalSetSize];
        byte* blocked = stackalloc byte[SignalSetSize];
        new Span<byte>(defaults, SignalSetSize).Clear();
        new Span<byte>(blocked, SignalSetSize).Clear();
        *(ulong*)defaults = 1UL << (Signal.SIGPIPE - 1);
        _ = FileActionsInit(actions);
        _ = AttributesInit(attributes);
        _ = AttributesSetFlags(attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
        _ = AttributesSetDefaults(attributes, defaults);
        _ = AttributesSetMask(attributes, blocked);
        int pid = 0;

        // Copies above the standard numbers, so that none is overwritten before it is used.
        int in0 = HostFile.Duplicate(input), out0 = HostFile.Duplicate(output), err0 = HostFile.Duplicate(error);
        _ = FileActionsAddDup2(actions, in0, 0);
        _ = FileActionsAddDup2(actions, out0, 1);
        _ = FileActionsAddDup2(actions, err0, 2);
        int problem = PosixSpawn(&pid, file.Pointers[0], actions, attributes, argv.Pointers, envp.Pointers);
        _ = FileActionsDestroy(actions);
        _ = AttributesDestroy(attributes);
        foreach (int fd in (int[])[in0, out0, err0])
        {
            _ = HostFile.Close(fd);
        }

        return problem == 0 ? pid : -problem;
    }

    /// <summary>setsid(2): a session of its own, so that a terminal's signals for the caller's do not arrive.</summary>
    public static int NewSession() => (int)HostFile.Syscall(SysNo.setsid);

    [LibraryImport("libc", EntryPoint = "posix_spawn")]
    private static partial int PosixSpawn(int* pid, byte* path, byte* actions, byte* attributes, byte** arguments, byte** environment);

    [LibraryImport("libc", EntryPoint = "posix_spawn_file_actions_init")]
    private static partial int FileActionsInit(byte* actions);

    [LibraryImport("libc", EntryPoint = "posix_spawn_file_actions_adddup2")]
    private static partial int FileActionsAddDup2(byte* actions, int fd, int target);

    [LibraryImport("libc", EntryPoint = "posix_spawn_file_actions_destroy")]
    private static partial int FileActionsDestroy(byte* actions);

    [LibraryImport("libc", EntryPoint = "posix_spawnattr_init")]
    private static partial int AttributesInit(byte* attributes);

    [LibraryImport("libc", EntryPoint = "posix_spawnattr_setflags")]
    private static partial int AttributesSetFlags(byte* attributes, short flags);

    [LibraryImport("libc", EntryPoint = "posix_spawnattr_setsigdefault")]
    private static partial int AttributesSetDefaults(byte* attributes, byte* set);

    [LibraryImport("libc", EntryPoint = "posix_spawnattr_setsigmask")]
    private static partial int AttributesSetMask(byte* attributes, byte* set);

    [LibraryImport("libc", EntryPoint = "posix_spawnattr_destroy")]
    private static partial int AttributesDestroy(byte* attributes);
}
