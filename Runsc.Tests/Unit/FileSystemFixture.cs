using System;
using System.Collections.Generic;
using System.IO;
using System.Text;
using System.Threading;
using Runsc.Gofer;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.Sentry.Auth;
using Runsc.Sentry.FileSystems.Gofer;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Memory;
using Runsc.Sentry.Sockets;
using Runsc.Sentry.Vfs;
using Xunit;
using FileAttributes = Runsc.Sentry.Vfs.FileAttributes;

namespace Runsc.Tests.Unit;

/// <summary>A kernel without a platform, a directory of the host behind a gofer thread, and path operations as a root user of the sandbox.</summary>
internal sealed class FileSystemFixture : IDisposable
{
    private readonly List<Thread> _servers = [];
    private readonly List<GoferSuperBlock> _gofers = [];

    public FileSystemFixture()
    {
        HostRoot = Directory.CreateTempSubdirectory("runsc-fs-").FullName;
        Kernel = new SentryKernel(null!, new MemoryFile(1UL << 30, (_, _, _) => { }))
        {
            Vfs = new VirtualFileSystem(new SpecialFiles()),
            SystemCall = _ => 0,
            Loader = null!,
            Panic = _ => { },
        };
        Kernel.RootNetwork = new SocketSystem(Kernel).CreateNamespace(UserNamespace.Initial);
    }

    /// <summary>The directory of the host that is served.</summary>
    public string HostRoot { get; }

    public SentryKernel Kernel { get; }

    public TestCaller Caller { get; private set; } = null!;

    /// <summary>Starts a server thread for a directory or file of the host: the client's socket.</summary>
    public int Serve(string path, bool readOnly = false)
    {
        Assert.Equal(0, HostSocket.Pair(Socket.SOCK_SEQPACKET, out int ours, out int theirs));
        int root = HostFile.OpenAt(Fcntl.AT_FDCWD, Encoding.UTF8.GetBytes(path + "\0"), Fcntl.O_PATH | Fcntl.O_NOFOLLOW);
        Assert.True(root >= 0);
        Thread server = new(() =>
        {
            int descriptors = GoferServer.OpenDescriptorDirectory();
            GoferServer.Run([new GoferExport(theirs, root, readOnly)], descriptors);
            HostFile.Close(descriptors);
        });
        server.Start();
        _servers.Add(server);
        return ours;
    }

    public GoferSuperBlock Connect(string? path = null, bool exclusive = true, bool readOnly = false, int validity = 0)
    {
        int socket = Serve(path ?? HostRoot, readOnly);
        Assert.Equal(Errno.None, GoferSuperBlock.Connect(Kernel, socket, new GoferOptions(exclusive, "test", Validity: validity), out GoferSuperBlock? super));
        _gofers.Add(super!);
        return super!;
    }

    /// <summary>Makes a file system the root of the tree that the operations below see.</summary>
    public void Mount(SuperBlock super)
    {
        MountNamespace mounts = new(super, 0);
        VfsPath root = mounts.GetRootPath();
        root.IncRef();
        Caller = new TestCaller(mounts, root);
    }

    public string HostPath(string path) => Path.Combine(HostRoot, path);

    public Errno Open(string path, int flags, out FileDescription? file, uint mode = 0x1a4) =>
        Kernel.Vfs.Open(Caller, Caller.Root, Bytes(path), flags, mode, WalkFlags.None, out file);

    public FileDescription Open(string path, int flags = Fcntl.O_RDONLY, uint mode = 0x1a4)
    {
        Assert.Equal(Errno.None, Open(path, flags, out FileDescription? file, mode));
        return file!;
    }

    public string Read(string path)
    {
        FileDescription file = Open(path);
        string text = Read(file);
        file.DecRef();
        return text;
    }

    public string Read(FileDescription file)
    {
        StringBuilder text = new();
        byte[] bytes = new byte[4096];
        while (true)
        {
            IoBuffer buffer = new(bytes);
            long n = file.Read(Caller, ref buffer);
            Assert.True(n >= 0, $"read: {n}");
            if (n == 0)
            {
                return text.ToString();
            }

            text.Append(Encoding.Latin1.GetString(bytes, 0, (int)n));
        }
    }

    public long Write(FileDescription file, string text)
    {
        IoBuffer buffer = new(Encoding.Latin1.GetBytes(text));
        return file.Write(Caller, ref buffer);
    }

    public void Write(string path, string text, int flags = Fcntl.O_WRONLY | Fcntl.O_CREAT | Fcntl.O_TRUNC)
    {
        FileDescription file = Open(path, flags);
        Assert.Equal(text.Length, Write(file, text));
        file.DecRef();
    }

    public List<string> List(string path)
    {
        FileDescription directory = Open(path, Fcntl.O_RDONLY | Fcntl.O_DIRECTORY);
        NameSink sink = new();
        Assert.Equal(Errno.None, directory.ReadDirectory(Caller, sink));
        directory.DecRef();
        sink.Names.Sort(StringComparer.Ordinal);
        return sink.Names;
    }

    public Errno Stat(string path, out FileAttributes attributes)
    {
        attributes = default;
        Errno error = PathWalker.Resolve(Caller, Caller.Root, Bytes(path), WalkFlags.None, out VfsPath place);
        if (error == Errno.None)
        {
            error = place.Dentry.Inode!.GetAttributes(out attributes);
            place.DecRef();
        }

        return error;
    }

    public FileAttributes Stat(string path)
    {
        Assert.Equal(Errno.None, Stat(path, out FileAttributes attributes));
        return attributes;
    }

    public Errno Change(string path, AttributeChange change)
    {
        Errno error = PathWalker.Resolve(Caller, Caller.Root, Bytes(path), WalkFlags.None, out VfsPath place);
        if (error == Errno.None)
        {
            error = place.Dentry.Inode!.SetAttributes(change);
            place.DecRef();
        }

        return error;
    }

    public Errno Make(string path, uint mode, ulong device = 0)
    {
        Errno error = VirtualFileSystem.Create(Caller, Caller.Root, Bytes(path), mode, device, out VfsPath made);
        if (error == Errno.None)
        {
            made.DecRef();
        }

        return error;
    }

    public Errno MakeDirectory(string path) => Make(path, (uint)Linux.Stat.S_IFDIR | 0x1ed);

    public Errno Symlink(string path, string target) => VirtualFileSystem.Symlink(Caller, Caller.Root, Bytes(path), Bytes(target));

    public Errno Link(string existing, string path)
    {
        Errno error = PathWalker.Resolve(Caller, Caller.Root, Bytes(existing), WalkFlags.None, out VfsPath place);
        if (error == Errno.None)
        {
            error = VirtualFileSystem.Link(Caller, place, Caller.Root, Bytes(path));
            place.DecRef();
        }

        return error;
    }

    public Errno Unlink(string path) => VirtualFileSystem.Remove(Caller, Caller.Root, Bytes(path), directory: false);

    public Errno RemoveDirectory(string path) => VirtualFileSystem.Remove(Caller, Caller.Root, Bytes(path), directory: true);

    public Errno Rename(string from, string to, uint flags = 0) => Kernel.Vfs.Rename(Caller, Caller.Root, Bytes(from), Caller.Root, Bytes(to), flags);

    public string ReadLink(string path)
    {
        Assert.Equal(Errno.None, PathWalker.Resolve(Caller, Caller.Root, Bytes(path), WalkFlags.None, out VfsPath place));
        Assert.Equal(Errno.None, place.Dentry.Inode!.ReadLink(Caller, out byte[] target));
        place.DecRef();
        return Encoding.UTF8.GetString(target);
    }

    public Inode Inode(string path)
    {
        Assert.Equal(Errno.None, PathWalker.Resolve(Caller, Caller.Root, Bytes(path), WalkFlags.None, out VfsPath place));
        Inode inode = place.Dentry.Inode!;
        return inode;
    }

    public static byte[] Bytes(string text) => Encoding.UTF8.GetBytes(text);

    public void Dispose()
    {
        foreach (GoferSuperBlock gofer in _gofers)
        {
            gofer.Release();
        }

        foreach (Thread server in _servers)
        {
            server.Join();
        }

        Directory.Delete(HostRoot, recursive: true);
    }

    /// <summary>Collects the names that a directory gives, without "." and "..".</summary>
    internal sealed class NameSink : IDirectorySink
    {
        public List<string> Names { get; } = [];

        public Dictionary<string, ulong> Numbers { get; } = [];

        public bool Add(ReadOnlySpan<byte> name, ulong inode, byte type, long next)
        {
            string text = Encoding.UTF8.GetString(name);
            if (text is not ("." or ".."))
            {
                Names.Add(text);
                Numbers[text] = inode;
            }

            return true;
        }
    }

    /// <summary>Root of the sandbox.</summary>
    internal sealed class TestCaller(MountNamespace mounts, VfsPath root) : ICaller
    {
        public VfsPath Root => root;

        public Credentials Credentials { get; set; } = new() { Permitted = ulong.MaxValue, Effective = ulong.MaxValue };

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
