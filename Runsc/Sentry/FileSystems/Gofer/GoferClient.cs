using System;
using System.Runtime.InteropServices;
using System.Threading;
using Runsc.Common;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.NineP;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.FileSystems.Gofer;

/// <summary>The Sentry's end of a connection to the gofer. One request at a time; what comes back is checked like anything from outside.</summary>
internal sealed class GoferClient : IDisposable
{
    // Held over a request and its answer: a sleeping lock, a leaf of the lock order.
    private readonly Lock _mu = new();
    private readonly int _socket;
    private readonly byte[] _buffer = new byte[Message.MaxSize];
    private uint _nextFid;

    /// <param name="socket">The connected socket; the client owns it.</param>
    public GoferClient(int socket)
    {
        _socket = socket;
    }

    /// <summary>Agrees on the version and attaches to the tree: the root's fid and attributes. EPROTO, EIO.</summary>
    public Errno Attach(out uint fid, out WireAttributes attributes)
    {
        fid = 0;
        attributes = default;
        lock (_mu)
        {
            MessageWriter writer = new(_buffer, MessageType.Tversion);
            writer.UInt(Message.MaxSize);
            writer.String("9P2000.L.runsc"u8);
            Errno error = Call(writer.Finish(), out MessageReader reader, out _);
            if (error != Errno.None)
            {
                return error;
            }

            fid = _nextFid++;
            writer = new MessageWriter(_buffer, MessageType.Tattach);
            writer.UInt(fid);
            error = Call(writer.Finish(), out reader, out _);
            return error != Errno.None ? error : ReadAttributes(ref reader, out attributes);
        }
    }

    /// <summary>One step down: a new fid for a name, and what it is. ENOENT, ….</summary>
    public Errno Walk(uint fid, ReadOnlySpan<byte> name, out uint newFid, out WireAttributes attributes)
    {
        lock (_mu)
        {
            MessageWriter writer = Begin(MessageType.Twalkgetattr, fid);
            newFid = _nextFid++;
            writer.UInt(newFid);
            writer.String(name);
            return FinishNew(writer, out attributes, out _);
        }
    }

    private Errno FinishNew(MessageWriter writer, out WireAttributes attributes, out int fd)
    {
        attributes = default;
        Errno error = Call(writer.Finish(), out MessageReader reader, out fd);
        if (error == Errno.None)
        {
            error = ReadAttributes(ref reader, out attributes);
        }

        if (error != Errno.None && fd >= 0)
        {
            HostFile.Close(fd);
            fd = -1;
        }

        return error;
    }

    public void Clunk(uint fid)
    {
        lock (_mu)
        {
            _ = Simple(Begin(MessageType.Tclunk, fid));
        }
    }

    public Errno GetAttributes(uint fid, out WireAttributes attributes)
    {
        lock (_mu)
        {
            return FinishNew(Begin(MessageType.Tgetattr, fid), out attributes, out _);
        }
    }

    public Errno SetAttributes(uint fid, in AttributeChange change)
    {
        lock (_mu)
        {
            MessageWriter writer = Begin(MessageType.Tsetattr, fid);
            uint valid = 0;
            Add(AttributeMask.Mode, SetAttributeBits.Mode, change.Mask);
            Add(AttributeMask.Uid, SetAttributeBits.Uid, change.Mask);
            Add(AttributeMask.Gid, SetAttributeBits.Gid, change.Mask);
            Add(AttributeMask.Size, SetAttributeBits.Size, change.Mask);
            Add(AttributeMask.AccessTime, SetAttributeBits.AccessTime, change.Mask);
            Add(AttributeMask.ModifyTime, SetAttributeBits.ModifyTime, change.Mask);
            Add(AttributeMask.AccessTimeNow, SetAttributeBits.AccessTimeNow, change.Mask);
            Add(AttributeMask.ModifyTimeNow, SetAttributeBits.ModifyTimeNow, change.Mask);
            writer.UInt(valid);
            writer.UInt(change.Mode);
            writer.UInt(change.Uid);
            writer.UInt(change.Gid);
            writer.ULong((ulong)change.Size);
            new WireTime(change.AccessTime.Seconds, change.AccessTime.Nanoseconds).Write(ref writer);
            new WireTime(change.ModifyTime.Seconds, change.ModifyTime.Nanoseconds).Write(ref writer);
            return Simple(writer);

            void Add(AttributeMask mask, uint bit, AttributeMask have) => valid |= (have & mask) != 0 ? bit : 0;
        }
    }

    /// <summary>Opens a regular file: a descriptor of the host.</summary>
    public Errno Open(uint fid, int flags, out int fd)
    {
        lock (_mu)
        {
            MessageWriter writer = Begin(MessageType.Tlopen, fid);
            writer.UInt((uint)flags);
            Errno error = Call(writer.Finish(), out _, out fd);
            return error == Errno.None && fd < 0 ? Errno.EPROTO : error;
        }
    }

    /// <summary>Makes a file of any kind. A regular file comes open, with its descriptor in <paramref name="fd"/>.</summary>
    public Errno Create(uint fid, ReadOnlySpan<byte> name, in CreateOptions create, out uint newFid, out WireAttributes attributes, out int fd)
    {
        lock (_mu)
        {
            uint type = create.Mode & (uint)Stat.S_IFMT;
            MessageType message = type switch
            {
                (uint)Stat.S_IFREG => MessageType.Tlcreate,
                (uint)Stat.S_IFDIR => MessageType.Tmkdir,
                _ => MessageType.Tmknod,
            };
            MessageWriter writer = Begin(message, fid);
            newFid = _nextFid++;
            writer.UInt(newFid);
            writer.String(name);
            if (message == MessageType.Tlcreate)
            {
                writer.UInt(Fcntl.O_RDWR);
            }

            writer.UInt(message == MessageType.Tmknod ? create.Mode : create.Mode & 0xfff);
            if (message == MessageType.Tmknod)
            {
                writer.ULong(create.DeviceNumber);
            }

            writer.UInt(create.Uid);
            writer.UInt(create.Gid);
            return FinishNew(writer, out attributes, out fd);
        }
    }

    public Errno Symlink(uint fid, ReadOnlySpan<byte> name, ReadOnlySpan<byte> target, in CreateOptions create, out uint newFid, out WireAttributes attributes)
    {
        lock (_mu)
        {
            MessageWriter writer = Begin(MessageType.Tsymlink, fid);
            newFid = _nextFid++;
            writer.UInt(newFid);
            writer.String(name);
            writer.String(target);
            writer.UInt(create.Uid);
            writer.UInt(create.Gid);
            return FinishNew(writer, out attributes, out _);
        }
    }

    public Errno Link(uint directory, uint fid, ReadOnlySpan<byte> name)
    {
        lock (_mu)
        {
            MessageWriter writer = Begin(MessageType.Tlink, directory);
            writer.UInt(fid);
            writer.String(name);
            return Simple(writer);
        }
    }

    public Errno Unlink(uint directory, ReadOnlySpan<byte> name, bool isDirectory)
    {
        lock (_mu)
        {
            MessageWriter writer = Begin(MessageType.Tunlinkat, directory);
            writer.String(name);
            writer.UInt(isDirectory ? (uint)Fcntl.AT_REMOVEDIR : 0);
            return Simple(writer);
        }
    }

    public Errno Rename(uint directory, ReadOnlySpan<byte> name, uint newDirectory, ReadOnlySpan<byte> newName, uint flags)
    {
        lock (_mu)
        {
            MessageWriter writer = Begin(MessageType.Trenameat, directory);
            writer.String(name);
            writer.UInt(newDirectory);
            writer.String(newName);
            writer.UInt(flags);
            return Simple(writer);
        }
    }

    public Errno ReadLink(uint fid, out byte[] target)
    {
        target = [];
        lock (_mu)
        {
            Errno error = Call(Begin(MessageType.Treadlink, fid).Finish(), out MessageReader reader, out _);
            if (error == Errno.None)
            {
                target = reader.String(Message.MaxString).ToArray();
                error = reader.IsBad ? Errno.EPROTO : Errno.None;
            }

            return error;
        }
    }

    /// <summary>Called for each entry; the position is what a later request goes on from.</summary>
    public delegate void EntryHandler(ReadOnlySpan<byte> name, ulong inode, byte type, ulong next);

    /// <summary>Reads entries from a position on, as many as fit a message; the number of them, 0 at the end, or −errno.</summary>
    public long ReadDirectory(uint fid, ulong offset, EntryHandler handler)
    {
        lock (_mu)
        {
            MessageWriter writer = Begin(MessageType.Treaddir, fid);
            writer.ULong(offset);
            Errno error = Call(writer.Finish(), out MessageReader reader, out _);
            if (error != Errno.None)
            {
                return -(long)error;
            }

            uint count = reader.UInt();
            for (uint i = 0; i < count; i++)
            {
                ulong inode = reader.ULong(), next = reader.ULong();
                byte type = reader.Byte();
                ReadOnlySpan<byte> name = reader.String(Message.MaxName);
                if (reader.IsBad || name.IsEmpty || name.Contains((byte)'/'))
                {
                    return -(long)Errno.EPROTO;
                }

                handler(name, inode, type, next);
            }

            return count;
        }
    }

    public Errno Sync(uint fid, bool dataOnly)
    {
        lock (_mu)
        {
            MessageWriter writer = Begin(MessageType.Tfsync, fid);
            writer.UInt(dataOnly ? 1u : 0);
            return Simple(writer);
        }
    }

    public Errno GetStatfs(uint fid, out Statfs statfs)
    {
        statfs = default;
        lock (_mu)
        {
            Errno error = Call(Begin(MessageType.Tstatfs, fid).Finish(), out MessageReader reader, out _);
            if (error != Errno.None)
            {
                return error;
            }

            Span<byte> bytes = MemoryMarshal.AsBytes(new Span<Statfs>(ref statfs));
            for (int i = 0; i < bytes.Length; i++)
            {
                bytes[i] = reader.Byte();
            }

            return reader.IsComplete ? Errno.None : Errno.EPROTO;
        }
    }

    public long GetXattr(uint fid, ReadOnlySpan<byte> name, Span<byte> value)
    {
        lock (_mu)
        {
            MessageWriter writer = Begin(MessageType.Tgetxattr, fid);
            writer.UInt((uint)value.Length);
            writer.String(name);
            return FinishBlob(writer, value);
        }
    }

    public long ListXattr(uint fid, Span<byte> names)
    {
        lock (_mu)
        {
            MessageWriter writer = Begin(MessageType.Tlistxattr, fid);
            writer.UInt((uint)names.Length);
            return FinishBlob(writer, names);
        }
    }

    private long FinishBlob(MessageWriter writer, Span<byte> destination)
    {
        Errno error = Call(writer.Finish(), out MessageReader reader, out _);
        if (error != Errno.None)
        {
            return -(long)error;
        }

        uint size = reader.UInt();
        if (reader.IsBad || size > Message.MaxXattr)
        {
            return -(long)Errno.EPROTO;
        }

        if (destination.IsEmpty)
        {
            return size;
        }

        for (int i = 0; i < (int)size && i < destination.Length; i++)
        {
            destination[i] = reader.Byte();
        }

        return reader.IsBad ? -(long)Errno.EPROTO : size > destination.Length ? -(long)Errno.ERANGE : size;
    }

    public Errno SetXattr(uint fid, ReadOnlySpan<byte> name, ReadOnlySpan<byte> value, int flags)
    {
        lock (_mu)
        {
            MessageWriter writer = Begin(MessageType.Tsetxattr, fid);
            writer.UInt((uint)flags);
            writer.String(name);
            writer.UInt((uint)value.Length);
            writer.Bytes(value);
            return Simple(writer);
        }
    }

    public Errno RemoveXattr(uint fid, ReadOnlySpan<byte> name)
    {
        lock (_mu)
        {
            MessageWriter writer = Begin(MessageType.Tremovexattr, fid);
            writer.String(name);
            return Simple(writer);
        }
    }

    public void Dispose() => HostFile.Close(_socket);

    private MessageWriter Begin(MessageType type, uint fid)
    {
        MessageWriter writer = new(_buffer, type);
        writer.UInt(fid);
        return writer;
    }

    private Errno Simple(MessageWriter writer)
    {
        Errno error = Call(writer.Finish(), out _, out int fd);
        if (fd >= 0)
        {
            HostFile.Close(fd);
        }

        return error;
    }

    private static Errno ReadAttributes(ref MessageReader reader, out WireAttributes attributes)
    {
        attributes = WireAttributes.Read(ref reader);
        return reader.IsComplete ? Errno.None : Errno.EPROTO;
    }

    /// <summary>Lock held: _mu. EIO when the gofer is gone, EPROTO for an answer that is none.</summary>
    private Errno Call(ReadOnlySpan<byte> request, out MessageReader reader, out int fd)
    {
        fd = -1;
        reader = default;
        byte type = request[4];
        if (HostSocket.Send(_socket, request) < 0)
        {
            return Errno.EIO;
        }

        Span<int> received = stackalloc int[1];
        long n = HostSocket.Receive(_socket, _buffer, received, out int count);
        fd = count > 0 ? received[0] : -1;
        if (n <= 0)
        {
            return Errno.EIO;
        }

        reader = new MessageReader(_buffer.AsSpan(0, (int)n));
        if (!reader.IsBad && reader.Type == MessageType.Rlerror)
        {
            uint error = reader.UInt();
            return error is > 0 and < 4096 ? (Errno)error : Errno.EIO;
        }

        if (reader.IsBad || (byte)reader.Type != type + 1)
        {
            Log.Warning($"the gofer answered message {type} with {(byte)reader.Type}");
            return Errno.EPROTO;
        }

        return Errno.None;
    }
}
