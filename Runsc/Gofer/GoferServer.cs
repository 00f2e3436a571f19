using System;
using System.Collections.Generic;
using System.Threading;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.NineP;

namespace Runsc.Gofer;

/// <summary>One tree that the gofer serves: the socket, and the tree's root as an O_PATH descriptor.</summary>
internal sealed record GoferTree(int Socket, int Root, bool ReadOnly);

/// <summary>The file server of a sandbox: the only process that touches the container's files.</summary>
internal static class GoferServer
{
    /// <summary>Serves until every peer is gone.</summary>
    /// <param name="trees">What is served; descriptors pass to the server.</param>
    /// <param name="descriptors">/proc/self/fd as an O_PATH descriptor, for opening files that are held by O_PATH descriptors.</param>
    public static void Run(IReadOnlyList<GoferTree> trees, int descriptors)
    {
        List<Thread> threads = [];
        for (int i = 1; i < trees.Count; i++)
        {
            GoferConnection connection = new(trees[i], descriptors);
            Thread thread = new(connection.Serve, 256 << 10) { Name = "gofer" };
            thread.Start();
            threads.Add(thread);
        }

        new GoferConnection(trees[0], descriptors).Serve();
        foreach (Thread thread in threads)
        {
            thread.Join();
        }
    }
}

/// <summary>One connection: its fids, and the loop that answers. One thread; requests come one at a time.</summary>
internal sealed partial class GoferConnection(GoferTree tree, int descriptors)
{
    private const int MaxFids = 1 << 20;

    private readonly Dictionary<uint, int> _fids = [];
    private readonly byte[] _request = new byte[Message.MaxSize];
    private readonly byte[] _answer = new byte[Message.MaxSize];

    // A descriptor that goes with the present answer; −1 for none. Closed after sending.
    private int _donated = -1;

    /// <summary>Answers requests until the peer is gone or talks nonsense.</summary>
    public void Serve()
    {
        Span<int> received = stackalloc int[1];
        while (true)
        {
            long n = HostSocket.Receive(tree.Socket, _request, default, out _);
            if (n <= 0)
            {
                break;
            }

            MessageReader reader = new(_request.AsSpan(0, (int)n));
            if (reader.IsBad)
            {
                break;
            }

            MessageWriter writer = new(_answer, reader.Type + 1);
            Errno error = Handle(ref reader, ref writer);
            if (error != Errno.None)
            {
                CloseDonated();
                writer = new MessageWriter(_answer, MessageType.Rlerror);
                writer.UInt((uint)error);
            }

            received[0] = _donated;
            long sent = HostSocket.Send(tree.Socket, writer.Finish(), _donated >= 0 ? received : default);
            CloseDonated();
            if (sent < 0)
            {
                break;
            }
        }

        foreach (int fd in _fids.Values)
        {
            HostFile.Close(fd);
        }

        HostFile.Close(tree.Socket);
    }

    private void CloseDonated()
    {
        if (_donated >= 0)
        {
            HostFile.Close(_donated);
            _donated = -1;
        }
    }

    private Errno Handle(ref MessageReader reader, ref MessageWriter writer) => reader.Type switch
    {
        MessageType.Tversion => Version(ref reader, ref writer),
        MessageType.Tattach => Attach(ref reader, ref writer),
        MessageType.Tclunk => Clunk(ref reader),
        MessageType.Twalkgetattr => Walk(ref reader, ref writer),
        MessageType.Tgetattr => GetAttributes(ref reader, ref writer),
        MessageType.Tsetattr => SetAttributes(ref reader),
        MessageType.Tlopen => Open(ref reader),
        MessageType.Tlcreate => Create(ref reader, ref writer),
        MessageType.Tmkdir => MakeDirectory(ref reader, ref writer),
        MessageType.Tmknod => MakeNode(ref reader, ref writer),
        MessageType.Tsymlink => MakeSymlink(ref reader, ref writer),
        MessageType.Tlink => Link(ref reader),
        MessageType.Tunlinkat => Unlink(ref reader),
        MessageType.Trenameat => Rename(ref reader),
        MessageType.Treadlink => ReadLink(ref reader, ref writer),
        MessageType.Treaddir => ReadDirectory(ref reader, ref writer),
        MessageType.Tfsync => Sync(ref reader),
        MessageType.Tstatfs => StatFs(ref reader, ref writer),
        MessageType.Tgetxattr => GetXattr(ref reader, ref writer),
        MessageType.Tsetxattr => SetXattr(ref reader),
        MessageType.Tlistxattr => ListXattr(ref reader, ref writer),
        MessageType.Tremovexattr => RemoveXattr(ref reader),
        _ => Errno.ENOSYS,
    };

    private static Errno Version(ref MessageReader reader, ref MessageWriter writer)
    {
        uint size = reader.UInt();
        ReadOnlySpan<byte> version = reader.String(64);
        if (!reader.IsComplete || size < 4096 || !version.SequenceEqual("9P2000.L.runsc"u8))
        {
            return Errno.EPROTO;
        }

        writer.UInt(Math.Min(size, Message.MaxSize));
        writer.String(version);
        return Errno.None;
    }

    private Errno Attach(ref MessageReader reader, ref MessageWriter writer)
    {
        uint fid = reader.UInt();
        if (!reader.IsComplete)
        {
            return Errno.EPROTO;
        }

        int root = HostFile.Duplicate(tree.Root);
        return root < 0 ? (Errno)(-root) : Adopt(fid, root, ref writer);
    }

    /// <summary>A descriptor becomes a fid, and its attributes the answer. On failure the descriptor is closed.</summary>
    private Errno Adopt(uint fid, int fd, ref MessageWriter writer)
    {
        int result = HostFile.Stat(fd, out StatBuffer stat);
        Errno error = result < 0 ? (Errno)(-result) : _fids.Count >= MaxFids ? Errno.EMFILE : Errno.None;
        if (error == Errno.None && !_fids.TryAdd(fid, fd))
        {
            error = Errno.EBADF;
        }

        if (error != Errno.None)
        {
            HostFile.Close(fd);
            return error;
        }

        Describe(stat).Write(ref writer);
        return Errno.None;
    }

    private static WireAttributes Describe(in StatBuffer stat) => new()
    {
        Mode = stat.Mode,
        Uid = stat.Uid,
        Gid = stat.Gid,
        Device = stat.Device,
        Inode = stat.Inode,
        Links = stat.Links,
        DeviceNumber = stat.DeviceNumber,
        Size = (ulong)stat.Size,
        Blocks = (ulong)stat.Blocks,
        AccessTime = new WireTime(stat.AccessTime.Seconds, stat.AccessTime.Nanoseconds),
        ModifyTime = new WireTime(stat.ModifyTime.Seconds, stat.ModifyTime.Nanoseconds),
        ChangeTime = new WireTime(stat.ChangeTime.Seconds, stat.ChangeTime.Nanoseconds),
    };

    private Errno Find(uint fid, out int fd) => _fids.TryGetValue(fid, out fd) ? Errno.None : Errno.EBADF;

    /// <summary>A name as the host's calls take it: NUL-terminated, one component, neither "." nor "..". EINVAL.</summary>
    private static Errno CheckName(ReadOnlySpan<byte> name, Span<byte> buffer, out ReadOnlySpan<byte> terminated)
    {
        terminated = default;
        if (name.IsEmpty || name.Length > Message.MaxName || name.ContainsAny((byte)'/', (byte)0) || name.SequenceEqual("."u8) || name.SequenceEqual(".."u8))
        {
            return Errno.EINVAL;
        }

        name.CopyTo(buffer);
        buffer[name.Length] = 0;
        terminated = buffer[..(name.Length + 1)];
        return Errno.None;
    }

    private Errno Clunk(ref MessageReader reader)
    {
        uint fid = reader.UInt();
        if (!reader.IsComplete || !_fids.Remove(fid, out int fd))
        {
            return Errno.EBADF;
        }

        HostFile.Close(fd);
        return Errno.None;
    }

    private Errno Walk(ref MessageReader reader, ref MessageWriter writer)
    {
        Span<byte> buffer = stackalloc byte[Message.MaxName + 1];
        uint fid = reader.UInt(), newFid = reader.UInt();
        ReadOnlySpan<byte> name = reader.String(Message.MaxName);
        if (!reader.IsComplete)
        {
            return Errno.EPROTO;
        }

        Errno error = Find(fid, out int directory);
        if (error == Errno.None)
        {
            error = CheckName(name, buffer, out ReadOnlySpan<byte> path);
            return error != Errno.None ? error : WalkTo(directory, path, newFid, ref writer);
        }

        return error;
    }

    /// <summary>The entry itself, never what a link points to.</summary>
    private Errno WalkTo(int directory, scoped ReadOnlySpan<byte> name, uint newFid, ref MessageWriter writer)
    {
        int fd = HostFile.OpenAt(directory, name, Fcntl.O_PATH | Fcntl.O_NOFOLLOW | Fcntl.O_CLOEXEC);
        return fd < 0 ? (Errno)(-fd) : Adopt(newFid, fd, ref writer);
    }

    private Errno GetAttributes(ref MessageReader reader, ref MessageWriter writer)
    {
        uint fid = reader.UInt();
        if (!reader.IsComplete)
        {
            return Errno.EPROTO;
        }

        Errno error = Find(fid, out int fd);
        if (error != Errno.None)
        {
            return error;
        }

        int result = HostFile.Stat(fd, out StatBuffer stat);
        if (result < 0)
        {
            return (Errno)(-result);
        }

        Describe(stat).Write(ref writer);
        return Errno.None;
    }

    /// <summary>Opens what a fid stands for again, through its own descriptor: no path, no race.</summary>
    private int Reopen(int fd, int flags)
    {
        Span<byte> name = stackalloc byte[16];
        fd.TryFormat(name, out int length);
        name[length] = 0;
        return HostFile.OpenAt(descriptors, name[..(length + 1)], flags | Fcntl.O_CLOEXEC);
    }

    private Errno Open(ref MessageReader reader)
    {
        const int known = Fcntl.O_ACCMODE | Fcntl.O_TRUNC;
        uint fid = reader.UInt();
        int flags = unchecked((int)reader.UInt()) & known;
        if (!reader.IsComplete)
        {
            return Errno.EPROTO;
        }

        Errno error = Find(fid, out int fd);
        if (error != Errno.None)
        {
            return error;
        }

        if (tree.ReadOnly && flags != Fcntl.O_RDONLY)
        {
            return Errno.EROFS;
        }

        int result = HostFile.Stat(fd, out StatBuffer stat);
        if (result < 0)
        {
            return (Errno)(-result);
        }

        // Only regular files: devices, FIFOs and sockets of the host are never opened for a container.
        if ((stat.Mode & (uint)Stat.S_IFMT) != (uint)Stat.S_IFREG)
        {
            return Errno.ENXIO;
        }

        _donated = Reopen(fd, flags);
        if (_donated >= 0)
        {
            return Errno.None;
        }

        error = (Errno)(-_donated);
        _donated = -1;
        return error;
    }
}
