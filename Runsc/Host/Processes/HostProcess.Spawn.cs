using System.Collections.Generic;
using System.Runtime.InteropServices;
using Runsc.Linux;

namespace Runsc.Host.Processes;

/// <summary>Programs of the host that serve a container from outside: hooks.</summary>
internal static unsafe partial class HostProcess
{
    // sa_handler, sa_flags, sa_restorer, sa_mask: SIG_DFL and nothing else.
    private const int SignalActionSize = 32;

    /// <summary>
    /// Starts the program at a path with three standard descriptors and the default handling of SIGPIPE, which the runtime ignores.
    /// The process's id, or −errno; a program that cannot be executed, or a namespace that cannot be joined, ends it with status 127.
    /// </summary>
    public static int Spawn(string path, IReadOnlyList<string> arguments, IReadOnlyList<string> environment, int input, int output, int error, int joined = -1)
    {
        using NativeStrings file = new([path]), argv = new(arguments), envp = new(environment);
        byte* action = stackalloc byte[SignalActionSize];
        new System.Span<byte>(action, SignalActionSize).Clear();
        byte* p = file.Pointers[0];
        byte** a = argv.Pointers, e = envp.Pointers;

        // dup3 refuses equal numbers: copies above the standard ones, which end at exec.
        int in0 = Syscalls.HostFile.Duplicate(input), out0 = Syscalls.HostFile.Duplicate(output), err0 = Syscalls.HostFile.Duplicate(error);

        // In the child only raw calls run, on memory that was prepared above.
        long pid = RawClone(SysNo.clone, SIGCHLD, 0, 0, 0, 0);
        if (pid == 0)
        {
            if (joined >= 0 && RawThree(SysNo.setns, (ulong)(uint)joined, 0, 0) < 0)
            {
                RawExit(SysNo.exit_group, 127);
            }

            _ = RawThree(SysNo.dup3, (ulong)(uint)in0, 0, 0);
            _ = RawThree(SysNo.dup3, (ulong)(uint)out0, 1, 0);
            _ = RawThree(SysNo.dup3, (ulong)(uint)err0, 2, 0);
            _ = RawFour(SysNo.rt_sigaction, Signal.SIGPIPE, (ulong)action, 0, 8);
            _ = RawThree(SysNo.execve, (ulong)p, (ulong)a, (ulong)e);
            RawExit(SysNo.exit_group, 127);
        }

        int result = pid < 0 ? -Marshal.GetLastSystemError() : (int)pid;
        foreach (int fd in (int[])[in0, out0, err0])
        {
            _ = Syscalls.HostFile.Close(fd);
        }

        return result;
    }

    /// <summary>setsid(2): a session of its own, so that a terminal's signals for the caller's do not arrive.</summary>
    public static int NewSession() => (int)Syscalls.HostFile.Syscall(SysNo.setsid);

    [LibraryImport("libc", EntryPoint = "syscall")]
    [SuppressGCTransition]
    private static partial long RawFour(long number, ulong a, ulong b, ulong c, ulong d);
}
