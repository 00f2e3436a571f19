using System;
using System.IO;
using System.Text;
using System.Threading;
using Runsc.Boot;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.Platform.Kvm;
using Runsc.Sentry.Auth;
using Runsc.Sentry.FileSystems.Host;
using Runsc.Sentry.FileSystems.Tmpfs;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Syscalls;
using Runsc.Sentry.Vfs;
using Runsc.Sentry.Waiting;
using Runsc.Tests.Support;
using Xunit;

namespace Runsc.Tests.Sentry;

/// <summary>The application kernel inside the test process, with a tmpfs or a file system of the test's as root: no other process.</summary>
internal sealed class InProcessSandbox : IDisposable
{
    private readonly HostFileSystem _host = new() { Device = 99 };
    private readonly SuperBlock _super;
    private readonly MountNamespace _mounts;

    public InProcessSandbox(Action<string>? trace = null, Func<SentryKernel, SuperBlock>? root = null)
    {
        int kvm = TestEnvironment.Platform == "kvm" ? KvmRequirements.OpenDevice() : -1;
        Kernel = KernelFactory.Create(kvm, 4UL << 30, 2, trace is null ? null : new Strace(trace, null), error => Panic = error);
        if (kvm >= 0)
        {
            HostFile.Close(kvm);
        }

        _super = root?.Invoke(Kernel) ?? new TmpfsSuperBlock(Kernel, mode: 0x1ed) { Device = Kernel.NewDevice() };
        _mounts = new MountNamespace(_super, 0);
    }

    public SentryKernel Kernel { get; }

    public Exception? Panic { get; private set; }

    /// <summary>Puts a file of the host into the root.</summary>
    public void Add(string path, byte[] content, uint mode = 0x1ed)
    {
        TmpfsDirectory directory = (TmpfsDirectory)_super.Root;
        string[] parts = path.Trim('/').Split('/');
        foreach (string part in parts[..^1])
        {
            byte[] name = Encoding.UTF8.GetBytes(part);
            if (directory.Lookup(name, out Inode? child) == Errno.ENOENT)
            {
                Assert.Equal(Errno.None, directory.Create(name, new CreateOptions((uint)Stat.S_IFDIR | 0x1ed, 0, 0), out child));
            }

            directory = (TmpfsDirectory)child!;
        }

        Assert.Equal(Errno.None, directory.Create(Encoding.UTF8.GetBytes(parts[^1]), new CreateOptions((uint)Stat.S_IFREG | mode, 0, 0), out Inode? made));
        VfsPath root = _mounts.GetRootPath();
        Caller caller = new(_mounts, root);
        Assert.Equal(Errno.None, made!.Open(caller, new VfsPath(root.Mount, new Dentry(null, [], made)), Fcntl.O_RDWR, out FileDescription? file));
        IoBuffer buffer = new(content);
        while (buffer.Remaining > 0)
        {
            Assert.True(file!.Write(caller, ref buffer) > 0);
        }
    }

    /// <summary>Runs a program to its end: its wait status, and what it wrote to standard output and error.</summary>
    public (int Status, string Output) Run(params string[] arguments)
    {
        Assert.Equal(0, HostFile.Pipe(out int read, out int write));
        int copy = HostFile.Duplicate(write), input = HostFile.OpenAt(Fcntl.AT_FDCWD, "/dev/null\0"u8, Fcntl.O_RDONLY);
        ProcessRequest request = new()
        {
            Arguments = arguments,
            Environment = ["PATH=/bin:/usr/bin:/sbin:/usr/sbin", "HOME=/", "LC_ALL=C"],
            Credentials = new Credentials { Permitted = Credentials.AllCapabilities, Effective = Credentials.AllCapabilities, Bounding = Credentials.AllCapabilities },
            Files = [Open(input), Open(write), Open(copy)],
            Mounts = _mounts,
            IsInit = true,
        };
        MemoryStream output = new();
        Thread reader = new(() =>
        {
            byte[] bytes = new byte[65536];
            long n;
            while ((n = HostFile.Read(read, bytes)) > 0)
            {
                output.Write(bytes, 0, (int)n);
            }
        });
        reader.Start();
        ThreadGroup? group = ProcessStarter.Start(Kernel, request, out string message);
        Assert.True(group is not null, message);
        using ManualResetEventSlim ended = new();
        EventWaiter waiter = new(ended);
        group.ExitEvents.Register(waiter);
        while (!group.IsZombie && Panic is null)
        {
            ended.Wait(1000);
        }

        group.ExitEvents.Unregister(waiter);
        Assert.True(Panic is null, Panic?.ToString());
        reader.Join();
        HostFile.Close(read);
        lock (Kernel.TaskLock)
        {
            group.ReleaseLocked();
        }

        return (group.ExitStatus, Encoding.UTF8.GetString(output.ToArray()));
    }

    private FileDescription Open(int fd)
    {
        Assert.Equal(Errno.None, _host.Open(fd, out FileDescription? file));
        return file!;
    }

    public void Dispose() => Kernel.Platform.Dispose();

    private sealed class EventWaiter : Waiter
    {
        private readonly ManualResetEventSlim _event;

        public EventWaiter(ManualResetEventSlim signal)
        {
            _event = signal;
            Mask = EventMask.All;
        }

        public override void Notify(EventMask events) => _event.Set();
    }

    private sealed class Caller(MountNamespace mounts, VfsPath root) : ICaller
    {
        public Credentials Credentials { get; } = new();

        public IUserMemory UserMemory => throw new InvalidOperationException();

        public FsContext? Fs { get; } = new(root, root, 0);

        public MountNamespace MountNamespace => mounts;

        public int ProcessId => 0;

        public ulong FileSizeLimit => ulong.MaxValue;

        public void FileSizeExceeded()
        {
        }
    }
}
