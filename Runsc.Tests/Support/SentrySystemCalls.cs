using System;
using Runsc.Linux;
using Runsc.Platform;
using Runsc.Sentry.Auth;
using Runsc.Sentry.FileSystems.Proc;
using Runsc.Sentry.FileSystems.Tmpfs;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Kernel.Signals;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Memory;
using Runsc.Sentry.Sockets;
using Runsc.Sentry.Syscalls;
using Runsc.Sentry.Vfs;
using Runsc.Tests.Unit.Memory;
using Xunit;

namespace Runsc.Tests.Support;

/// <summary>
/// Our kernel without a platform: system calls are made by the test's own threads on tasks that never run an application. The root is a tmpfs.
/// </summary>
internal sealed class SentrySystemCalls : ISystemCalls
{
    private readonly SyscallTable _table;

    public SentrySystemCalls()
    {
        _table = SyscallTable.Create(null);
        Kernel = new SentryKernel(new FakePlatform(), new MemoryFile(1UL << 30, (_, _, _) => { }))
        {
            Vfs = new VirtualFileSystem(new SpecialFiles()),
            SystemCall = _table.Dispatch,
            Loader = null!,
            Panic = _ => { },
        };
        Kernel.RootNetwork = new SocketSystem(Kernel).CreateNamespace(UserNamespace.Initial);
        Kernel.FileSystemTypes["proc"] = (SentryKernel owner, ICaller _, ReadOnlySpan<byte> _, string _, out SuperBlock? super) =>
        {
            super = ProcFileSystem.Create(owner);
            return Errno.None;
        };
        MountNamespace mounts = new(new TmpfsSuperBlock(Kernel, mode: 0x1ed) { Device = Kernel.NewDevice() }, 0);
        VfsPath root = mounts.GetRootPath();
        root.IncRef();
        ThreadGroup group = new(Kernel)
        {
            ProcessGroup = new ProcessGroup(0, new Session(0)),
            Actions = new SignalActions(),
            IsInit = true,
        };
        Credentials all = new() { Permitted = Credentials.AllCapabilities, Effective = Credentials.AllCapabilities, Bounding = Credentials.AllCapabilities };
        Task = new Task(Kernel, group, new MemoryManager(Kernel.Platform, Kernel.Memory), new FdTable(), new FsContext(root, root, 0x12), mounts, all);
        group.Leader = Task;
        AddTask(group);
        group.Id = Task.ThreadId;
        Kernel.Init = group;
    }

    private SentrySystemCalls(SentrySystemCalls other)
    {
        _table = other._table;
        Kernel = other.Kernel;
        Task one = other.Task;
        Assert.True(one.Memory.TryIncUsers());
        one.Files.IncUsers();
        one.Fs.IncRef();
        Task = new Task(Kernel, one.ThreadGroup, one.Memory, one.Files, one.Fs, one.MountNamespace, one.Credentials);
        AddTask(one.ThreadGroup);
    }

    public SentryKernel Kernel { get; }

    public Task Task { get; }

    public string Directory => "";

    public int ProcessId => Task.ProcessId;

    private void AddTask(ThreadGroup group)
    {
        lock (Kernel.TaskLock)
        {
            Assert.True(Kernel.TryAddTaskLocked(Task));
            group.Tasks.Add(Task);
        }
    }

    public long Call(int number, params ReadOnlySpan<ulong> arguments)
    {
        Span<ulong> all = stackalloc ulong[6];
        arguments.CopyTo(all);
        ref TrapFrame frame = ref Task.Context.Frame;
        frame.OrigRax = (ulong)number;
        (frame.Rdi, frame.Rsi, frame.Rdx, frame.R10, frame.R8, frame.R9) = (all[0], all[1], all[2], all[3], all[4], all[5]);
        return _table.Dispatch(Task);
    }

    public ulong Allocate(int length)
    {
        MmapRequest request = new() { Length = ((ulong)Math.Max(length, 1) + 4095) & ~4095UL, Protection = AccessType.Read | AccessType.Write };
        Assert.Equal(Errno.None, Task.Memory.Mmap(request, out ulong address));
        return address;
    }

    public void Write(ulong address, ReadOnlySpan<byte> bytes) => Assert.Equal(bytes.Length, Task.Memory.CopyOut(address, bytes));

    public byte[] Read(ulong address, int length)
    {
        byte[] bytes = new byte[length];
        Assert.Equal(length, Task.Memory.CopyIn(address, bytes));
        return bytes;
    }

    public ISystemCalls NewThread() => new SentrySystemCalls(this);
}
