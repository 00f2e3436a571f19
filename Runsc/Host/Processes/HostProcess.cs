using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using System.Text;
using Runsc.Host.Syscalls;
using Runsc.Linux;

namespace Runsc.Host.Processes;

/// <summary>Strings for execve in native memory: nothing managed is touched between clone and exec.</summary>
internal sealed unsafe class NativeStrings : IDisposable
{
    private readonly byte** _pointers;
    private readonly int _count;

    public NativeStrings(IReadOnlyList<string> strings)
    {
        _count = strings.Count;
        _pointers = (byte**)NativeMemory.AllocZeroed((nuint)(_count + 1), (nuint)sizeof(byte*));
        for (int i = 0; i < _count; i++)
        {
            int length = Encoding.UTF8.GetByteCount(strings[i]);
            _pointers[i] = (byte*)NativeMemory.AllocZeroed((nuint)length + 1);
            Encoding.UTF8.GetBytes(strings[i], new Span<byte>(_pointers[i], length));
        }
    }

    public byte** Pointers => _pointers;

    public void Dispose()
    {
        for (int i = 0; i < _count; i++)
        {
            NativeMemory.Free(_pointers[i]);
        }

        NativeMemory.Free(_pointers);
    }
}

/// <summary>Starting processes, and what a process does to itself before it serves.</summary>
internal static unsafe partial class HostProcess
{
    public const int CLONE_NEWNS = 0x20000, CLONE_NEWUTS = 0x4000000, CLONE_NEWIPC = 0x8000000, CLONE_NEWUSER = 0x10000000, CLONE_NEWPID = 0x20000000, CLONE_NEWNET = 0x40000000;

    private const int SIGCHLD = 17;

    /// <summary>
    /// Starts a program in new namespaces: the process's id, or −errno. The child inherits the descriptors that are not close-on-exec.
    /// A program that cannot be executed, and a namespace that cannot be joined, ends it with status 127.
    /// </summary>
    /// <param name="program">The program's file.</param>
    /// <param name="arguments">The first is its name.</param>
    /// <param name="environment">All of it.</param>
    /// <param name="namespaces">CLONE_NEW*.</param>
    /// <param name="joined">Namespaces to join.</param>
    /// <param name="gate">With a new user namespace: a pipe from which the child reads one byte, written when its ids are mapped. Whoever executes a program
    /// before that loses all rights in the namespace. It then becomes user and group 0 of the namespace.</param>
    /// <param name="gateWriter">The pipe's other end, of which the child keeps no copy.</param>
    /// <param name="view">With a new mount namespace: its root.</param>
    public static int Start(
        int program, IReadOnlyList<string> arguments, IReadOnlyList<string> environment, int namespaces, IReadOnlyList<int>? joined = null, int gate = -1, int gateWriter = -1,
        RootView? view = null)
    {
        int count = joined?.Count ?? 0;
        int* spaces = stackalloc int[count + 1];
        for (int i = 0; i < count; i++)
        {
            spaces[i] = joined![i];
        }

        using NativeStrings argv = new(arguments), envp = new(environment);
        byte* empty = stackalloc byte[1];
        *empty = 0;
        byte** a = argv.Pointers, e = envp.Pointers;

        // In the child only the raw calls below run, on memory that was prepared above.
        long pid = RawClone(SysNo.clone, (ulong)(namespaces | SIGCHLD), 0, 0, 0, 0);
        if (pid == 0)
        {
            if (gate >= 0)
            {
                _ = RawThree(SysNo.close, (ulong)(uint)gateWriter, 0, 0);
                if (RawThree(SysNo.read, (ulong)(uint)gate, (ulong)empty, 1) != 1
                    || RawThree(SysNo.setresgid, 0, 0, 0) < 0 || RawThree(SysNo.setresuid, 0, 0, 0) < 0)
                {
                    RawExit(SysNo.exit_group, 127);
                }

                *empty = 0;
            }

            for (int i = 0; i < count; i++)
            {
                if (RawThree(SysNo.setns, (ulong)(uint)spaces[i], 0, 0) < 0)
                {
                    RawExit(SysNo.exit_group, 127);
                }
            }

            view?.Enter();
            _ = RawExec(SysNo.execveat, program, empty, a, e, Fcntl.AT_EMPTY_PATH);
            RawExit(SysNo.exit_group, 127);
        }

        return pid < 0 ? -Marshal.GetLastSystemError() : (int)pid;
    }

    /// <summary>Becomes another program, or the same one anew. Returns −errno on failure only.</summary>
    public static int Execute(int program, IReadOnlyList<string> arguments, IReadOnlyList<string> environment)
    {
        using NativeStrings argv = new(arguments), envp = new(environment);
        byte* empty = stackalloc byte[1];
        *empty = 0;
        long result = RawExec(SysNo.execveat, program, empty, argv.Pointers, envp.Pointers, Fcntl.AT_EMPTY_PATH);
        return result < 0 ? -Marshal.GetLastSystemError() : 0;
    }

    /// <summary>wait4(2): the process, 0 with WNOHANG when it goes on, or −errno.</summary>
    public static int Wait(int process, out int status, int options = 0)
    {
        int value;
        int result;
        do
        {
            result = HostResult.Of(WaitNative(process, &value, options, 0));
        }
        while (result == -(int)Errno.EINTR);
        status = value;
        return result;
    }

    public static int Kill(int process, int signal) => HostResult.Of(KillNative(process, signal));

    /// <summary>mount(2); null for no string.</summary>
    public static int Mount(string? source, string target, string? type, ulong flags, string? data) => HostResult.Of(MountNative(source, target, type, flags, data));

    public static int Unmount(string target, int flags) => HostResult.Of(UnmountNative(target, flags));

    public static int PivotRoot(string newRoot, string oldRoot) => HostResult.Of((int)PivotRootNative(SysNo.pivot_root, newRoot, oldRoot));

    public static int ChangeRoot(string path) => HostResult.Of(ChrootNative(path));

    public static int ChangeDirectory(string path) => HostResult.Of(ChdirNative(path));

    public static int SetHostName(string name) => HostResult.Of(SetHostNameNative(name, (nuint)Encoding.UTF8.GetByteCount(name)));

    public static int Prctl(int option, ulong a, ulong b = 0, ulong c = 0, ulong d = 0) => HostResult.Of(PrctlNative(option, a, b, c, d));

    /// <summary>setresgid and setresuid of the calling thread alone: for use before exec.</summary>
    public static int SetIds(uint uid, uint gid)
    {
        long result = RawThree(SysNo.setgroups, 0, 0, 0);
        result = result < 0 ? result : RawThree(SysNo.setresgid, gid, gid, gid);
        result = result < 0 ? result : RawThree(SysNo.setresuid, uid, uid, uid);
        return result < 0 ? -Marshal.GetLastSystemError() : 0;
    }

    /// <summary>capset(2) of the calling thread: the same effective, permitted and inheritable sets.</summary>
    public static int SetCapabilities(ulong set)
    {
        uint* header = stackalloc uint[2];
        header[0] = Capability._LINUX_CAPABILITY_VERSION_3;
        header[1] = 0;
        uint* data = stackalloc uint[6];
        data[0] = data[1] = data[2] = (uint)set;
        data[3] = data[4] = data[5] = (uint)(set >> 32);
        long result = RawThree(SysNo.capset, (ulong)header, (ulong)data, 0);
        return result < 0 ? -Marshal.GetLastSystemError() : 0;
    }

    [LibraryImport("libc", EntryPoint = "syscall")]
    [SuppressGCTransition]
    private static partial long RawClone(long number, ulong flags, ulong stack, ulong parent, ulong child, ulong tls);

    [LibraryImport("libc", EntryPoint = "syscall")]
    [SuppressGCTransition]
    private static partial long RawExec(long number, int directory, byte* path, byte** arguments, byte** environment, int flags);

    [LibraryImport("libc", EntryPoint = "syscall")]
    [SuppressGCTransition]
    private static partial void RawExit(long number, int status);

    [LibraryImport("libc", EntryPoint = "syscall")]
    [SuppressGCTransition]
    private static partial long RawThree(long number, ulong a, ulong b, ulong c);

    [LibraryImport("libc", EntryPoint = "wait4", SetLastError = true)]
    private static partial int WaitNative(int process, int* status, int options, nint usage);

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int KillNative(int process, int signal);

    [LibraryImport("libc", EntryPoint = "mount", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int MountNative(string? source, string target, string? type, ulong flags, string? data);

    [LibraryImport("libc", EntryPoint = "umount2", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int UnmountNative(string target, int flags);

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial long PivotRootNative(long number, string newRoot, string oldRoot);

    [LibraryImport("libc", EntryPoint = "chroot", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int ChrootNative(string path);

    [LibraryImport("libc", EntryPoint = "chdir", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int ChdirNative(string path);

    [LibraryImport("libc", EntryPoint = "sethostname", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int SetHostNameNative(string name, nuint length);

    [LibraryImport("libc", EntryPoint = "prctl", SetLastError = true)]
    private static partial int PrctlNative(int option, ulong a, ulong b, ulong c, ulong d);

}
