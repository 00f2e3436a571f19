using System;
using System.Buffers.Binary;
using System.Collections.Generic;
using Runsc.Common;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.NineP;

namespace Runsc.Gofer;

/// <summary>One client. Messages are handled one after the other by the thread in <see cref="Serve"/>; nothing here is shared.</summary>
internal sealed partial class GoferConnection(GoferExport export, int descriptorDirectory) : IDisposable
{
    // Each fid holds a descriptor: the host's limit comes first, this one bounds the table itself.
    private const int MaxFids = 1 << 20;

    private readonly Dictionary<uint, GoferNode> _fids = [];
    private readonly byte[] _request = GC.AllocateUninitializedArray<byte>(Protocol.MaxMessage);
    private readonly byte[] _reply = GC.AllocateUninitializedArray<byte>(Protocol.MaxMessage);
    private int _messageSize;
    private bool _extended;

    /// <summary>Reads and answers until the peer has closed or breaks the framing.</summary>
    public void Serve()
    {
        Span<int> descriptors = stackalloc int[1];
        if (export.Ids is OwnerMap ids && HostFile.Stat(export.Root, out StatBuffer root) == 0)
        {
            ids.RootDevice = root.Device;
        }

        while (true)
        {
            long length = HostSocket.Receive(export.Socket, _request, descriptors, out int count);
            for (int i = 0; i < count; i++)
            {
                // No message of ours brings a descriptor.
                _ = HostFile.Close(descriptors[i]);
            }

            if (length < Protocol.HeaderSize || BinaryPrimitives.ReadUInt32LittleEndian(_request) != (ulong)length)
            {
                if (length != 0)
                {
                    Log.Warning($"gofer: connection dropped at a message of {length} bytes");
                }

                return;
            }

            if (!Answer(_request.AsSpan(0, (int)length)))
            {
                return;
            }
        }
    }

    public void Dispose()
    {
        DropFids();
        _ = HostFile.Close(export.Root);
        _ = HostFile.Close(export.Socket);
    }

    /// <summary>Handles one message whose framing is right. False when the peer is gone.</summary>
    private bool Answer(ReadOnlySpan<byte> message)
    {
        byte type = message[4];
        ushort tag = BinaryPrimitives.ReadUInt16LittleEndian(message[5..]);
        WireReader reader = new(message[Protocol.HeaderSize..]);
        WireWriter writer = new(_messageSize > 0 ? _reply.AsSpan(0, _messageSize) : _reply, unchecked((byte)(type + 1)), tag);
        int donated = -1;
        Errno error = Handle((MessageType)type, ref reader, ref writer, ref donated);
        if (error == Errno.None && writer.Failed)
        {
            error = Errno.EMSGSIZE;
        }

        if (error != Errno.None)
        {
            writer = new WireWriter(_reply, (byte)MessageType.Rlerror, tag);
            writer.UInt32((uint)error);
        }

        long sent = HostSocket.Send(export.Socket, writer.Finish(), error == Errno.None ? donated : -1);
        if (donated >= 0)
        {
            _ = HostFile.Close(donated);
        }

        return sent >= 0;
    }

    private Errno Handle(MessageType type, ref WireReader reader, ref WireWriter writer, ref int donated)
    {
        if (type == MessageType.Tversion)
        {
            return Version(ref reader, ref writer);
        }

        if (_messageSize == 0 || ((byte)type >= 200 && !_extended))
        {
            return Errno.EOPNOTSUPP;
        }

        return type switch
        {
            MessageType.Tattach => Attach(ref reader, ref writer),
            MessageType.Tflush => Flush(ref reader),
            MessageType.Tclunk => Clunk(ref reader),
            MessageType.Tclunkmany => ClunkMany(ref reader),
            MessageType.Twalk => Walk(ref reader, ref writer),
            MessageType.Twalkgetattr => WalkGetAttributes(ref reader, ref writer),
            MessageType.Tgetattr => GetAttributes(ref reader, ref writer),
            MessageType.Tsetattr => SetAttributes(ref reader),
            MessageType.Treadlink => ReadLink(ref reader, ref writer),
            MessageType.Treaddir => ReadDirectory(ref reader, ref writer),
            MessageType.Tstatfs => StatFileSystem(ref reader, ref writer),
            MessageType.Tlopen => Open(ref reader, ref writer),
            MessageType.Tlcreate => CreateAndOpen(ref reader, ref writer),
            MessageType.Tread => Read(ref reader, ref writer),
            MessageType.Twrite => Write(ref reader, ref writer),
            MessageType.Tfsync => Sync(ref reader),
            MessageType.Tdonate => Donate(ref reader, ref donated),
            MessageType.Tmake => Make(ref reader, ref writer, ref donated),
            MessageType.Tmkdir => MakeDirectory(ref reader, ref writer),
            MessageType.Tmknod => MakeNode(ref reader, ref writer),
            MessageType.Tsymlink => MakeSymlink(ref reader, ref writer),
            MessageType.Tlink => Link(ref reader),
            MessageType.Tunlinkat => Unlink(ref reader),
            MessageType.Trenameat => Rename(ref reader, hasFlags: false),
            MessageType.Trenameat2 => Rename(ref reader, hasFlags: true),
            MessageType.Tgetxattr => GetXattr(ref reader, ref writer),
            MessageType.Tsetxattr => SetXattr(ref reader),
            MessageType.Tlistxattr => ListXattr(ref reader, ref writer),
            MessageType.Tremovexattr => RemoveXattr(ref reader),
            _ => Errno.EOPNOTSUPP,
        };
    }

    private Errno Version(ref WireReader reader, ref WireWriter writer)
    {
        uint size = reader.UInt32();
        ReadOnlySpan<byte> version = reader.String();
        if (!reader.IsComplete || size < Protocol.MinMessage)
        {
            return Errno.EPROTO;
        }

        DropFids();
        _messageSize = 0;
        _extended = version.SequenceEqual(Protocol.ExtendedVersion);
        bool known = _extended || version.StartsWith(Protocol.Version);
        size = Math.Min(size, Protocol.MaxMessage);
        _messageSize = known ? (int)size : 0;
        writer.UInt32(size);
        writer.String(_extended ? Protocol.ExtendedVersion : known ? Protocol.Version : "unknown"u8);
        return Errno.None;
    }

    private Errno Attach(ref WireReader reader, ref WireWriter writer)
    {
        uint fid = reader.UInt32(), authentication = reader.UInt32();
        reader.String();
        ReadOnlySpan<byte> name = reader.String();
        reader.UInt32();
        if (!reader.IsComplete || authentication != Protocol.NoFid)
        {
            return Errno.EPROTO;
        }

        if (!name.IsEmpty && !name.SequenceEqual("/"u8))
        {
            return Errno.ENOENT;
        }

        int copy = HostFile.Duplicate(export.Root);
        if (copy < 0)
        {
            return (Errno)(-copy);
        }

        Errno error = GoferNode.FromPath(copy, out GoferNode? node, out StatBuffer stat);
        if (error != Errno.None)
        {
            return error;
        }

        error = Bind(fid, node!);
        if (error == Errno.None)
        {
            Qid.Of(stat.Mode, stat.Inode).Write(ref writer);
        }

        return error;
    }

    /// <summary>There is one message at a time: whatever the old tag was has been answered.</summary>
    private static Errno Flush(ref WireReader reader)
    {
        reader.UInt16();
        return reader.IsComplete ? Errno.None : Errno.EPROTO;
    }

    private Errno Clunk(ref WireReader reader)
    {
        uint fid = reader.UInt32();
        if (!reader.IsComplete)
        {
            return Errno.EPROTO;
        }

        return Unbind(fid) ? Errno.None : Errno.EBADF;
    }

    private Errno ClunkMany(ref WireReader reader)
    {
        int count = reader.UInt16();
        if (reader.Failed || reader.Remaining != count * sizeof(uint))
        {
            return Errno.EPROTO;
        }

        for (int i = 0; i < count; i++)
        {
            Unbind(reader.UInt32());
        }

        return Errno.None;
    }

    /// <summary>Gives a fid its node. On failure the node is closed: EBADF when the fid is taken, EMFILE.</summary>
    private Errno Bind(uint fid, GoferNode node)
    {
        Errno error = fid == Protocol.NoFid || _fids.ContainsKey(fid) ? Errno.EBADF : _fids.Count >= MaxFids ? Errno.EMFILE : Errno.None;
        if (error != Errno.None)
        {
            node.Dispose();
            return error;
        }

        _fids.Add(fid, node);
        return Errno.None;
    }

    private bool Unbind(uint fid)
    {
        if (!_fids.Remove(fid, out GoferNode? node))
        {
            return false;
        }

        node.Dispose();
        return true;
    }

    private void DropFids()
    {
        foreach (GoferNode node in _fids.Values)
        {
            node.Dispose();
        }

        _fids.Clear();
    }

    /// <summary>The node of a fid in a message whose fields are all read: EPROTO, EBADF.</summary>
    private Errno Find(in WireReader reader, uint fid, out GoferNode node)
    {
        if (!reader.IsComplete)
        {
            node = null!;
            return Errno.EPROTO;
        }

        return _fids.TryGetValue(fid, out node!) ? Errno.None : Errno.EBADF;
    }

    /// <summary>As <see cref="Find"/>, for a directory in which <paramref name="name"/> is to be changed: EROFS, ENOTDIR, EINVAL for what is no name.</summary>
    private Errno FindForChange(in WireReader reader, uint fid, ReadOnlySpan<byte> name, out GoferNode node)
    {
        Errno error = Find(reader, fid, out node);
        if (error != Errno.None)
        {
            return error;
        }

        return export.IsReadOnly ? Errno.EROFS : !node.IsDirectory ? Errno.ENOTDIR : WireNames.IsComponent(name) ? Errno.None : Errno.EINVAL;
    }

    private void WriteAttributes(ref WireWriter writer, StatBuffer stat)
    {
        export.Ids?.Show(ref stat);
        WireAttributes.WriteWithDevice(ref writer, stat);
    }

    /// <summary>An owner as the file system is to have it. EOVERFLOW.</summary>
    /// <param name="place">The file, or its directory.</param>
    /// <param name="uid">−1 for none.</param>
    /// <param name="gid">−1 for none.</param>
    private Errno TakeOwner(GoferNode place, ref uint uid, ref uint gid)
    {
        if (export.Ids is not OwnerMap ids)
        {
            return Errno.None;
        }

        Errno error = Result(HostFile.Stat(place.PathFd, out StatBuffer stat));
        return error != Errno.None ? error : ids.Take(stat.Device, ref uid, ref gid);
    }

    /// <summary>A checked name with its NUL; <paramref name="room"/> has Protocol.MaxName + 1 bytes.</summary>
    private static ReadOnlySpan<byte> Terminate(ReadOnlySpan<byte> name, Span<byte> room)
    {
        name.CopyTo(room);
        room[name.Length] = 0;
        return room[..(name.Length + 1)];
    }

    private static Errno Result(long result) => result < 0 ? (Errno)(-result) : Errno.None;
}
