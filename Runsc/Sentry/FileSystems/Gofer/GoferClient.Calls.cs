using System;
using System.Collections.Generic;
using Runsc.Linux;
using Runsc.NineP;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.FileSystems.Gofer;

/// <content>The messages as calls. Each is one round trip and gives the gofer's errno, or EIO when the gofer is gone.</content>
internal sealed partial class GoferClient
{
    /// <summary>Version and attach: <paramref name="fid"/> is the tree's root. EPROTO when the server does not know our extensions.</summary>
    public Errno Attach(out uint fid, out StatBuffer stat)
    {
        stat = default;
        fid = NewFid();
        Call call = Begin();
        WireWriter request = call.Request(MessageType.Tversion);
        request.UInt32(Protocol.MaxMessage);
        request.String(Protocol.ExtendedVersion);
        Errno error = Transact(call, ref request);
        if (error == Errno.None)
        {
            WireReader reply = call.Reply();
            uint size = reply.UInt32();
            if (size != Protocol.MaxMessage || !reply.String().SequenceEqual(Protocol.ExtendedVersion))
            {
                error = Errno.EPROTO;
            }
        }

        End(call);
        if (error != Errno.None)
        {
            return error;
        }

        call = Begin();
        request = call.Request(MessageType.Tattach);
        request.UInt32(fid);
        request.UInt32(Protocol.NoFid);
        request.String(default);
        request.String(default);
        request.UInt32(0);
        error = Transact(call, ref request);
        End(call);
        return error == Errno.None ? GetAttributes(fid, out stat) : error;
    }

    /// <summary>The child of a directory and its attributes. The new fid is the caller's.</summary>
    public Errno Walk(uint directory, ReadOnlySpan<byte> name, out uint fid, out StatBuffer stat)
    {
        fid = NewFid();
        Errno error = WalkTo(directory, fid, name, out stat);
        if (MakesRoomAfter(error))
        {
            error = WalkTo(directory, fid, name, out stat);
        }

        if (error != Errno.None)
        {
            FreeFid(fid);
        }

        return error;
    }

    /// <summary>Attributes of a directory's child now; no fid.</summary>
    public Errno Look(uint directory, ReadOnlySpan<byte> name, out StatBuffer stat) => WalkTo(directory, Protocol.NoFid, name, out stat);

    public Errno GetAttributes(uint fid, out StatBuffer stat) => WalkTo(fid, Protocol.NoFid, default, out stat);

    private Errno WalkTo(uint fid, uint newFid, ReadOnlySpan<byte> name, out StatBuffer stat)
    {
        Call call = Begin();
        WireWriter request = call.Request(MessageType.Twalkgetattr);
        request.UInt32(fid);
        request.UInt32(newFid);
        request.UInt16(name.IsEmpty ? (ushort)0 : (ushort)1);
        if (!name.IsEmpty)
        {
            request.String(name);
        }

        Errno error = Transact(call, ref request);
        stat = default;
        if (error == Errno.None)
        {
            WireReader reply = call.Reply();
            int count = reply.UInt16();
            stat = WireAttributes.ReadWithDevice(ref reply);
            error = count == 1 && reply.IsComplete ? Errno.None : Errno.EIO;
        }

        End(call);
        return error;
    }

    public Errno SetAttributes(uint fid, in AttributeChange change)
    {
        Call call = Begin();
        WireWriter request = call.Request(MessageType.Tsetattr);
        request.UInt32(fid);
        uint valid = Bit(change.Mask, AttributeMask.Mode, Protocol.SetMode)
            | Bit(change.Mask, AttributeMask.Uid, Protocol.SetUid)
            | Bit(change.Mask, AttributeMask.Gid, Protocol.SetGid)
            | Bit(change.Mask, AttributeMask.Size, Protocol.SetSize)
            | Bit(change.Mask, AttributeMask.AccessTime, Protocol.SetAccessTime | Protocol.SetAccessTimeTo)
            | Bit(change.Mask, AttributeMask.ModifyTime, Protocol.SetModifyTime | Protocol.SetModifyTimeTo)
            | Bit(change.Mask, AttributeMask.AccessTimeNow, Protocol.SetAccessTime)
            | Bit(change.Mask, AttributeMask.ModifyTimeNow, Protocol.SetModifyTime);
        request.UInt32(valid);
        request.UInt32(change.Mode);
        request.UInt32(change.Uid);
        request.UInt32(change.Gid);
        request.UInt64(unchecked((ulong)change.Size));
        request.UInt64(unchecked((ulong)change.AccessTime.Seconds));
        request.UInt64(change.AccessTime.Nanoseconds);
        request.UInt64(unchecked((ulong)change.ModifyTime.Seconds));
        request.UInt64(change.ModifyTime.Nanoseconds);
        return Finish(call, ref request);
    }

    private static uint Bit(AttributeMask mask, AttributeMask bit, uint value) => (mask & bit) != 0 ? value : 0;

    public Errno ReadLink(uint fid, out byte[] target)
    {
        Call call = Begin();
        WireWriter request = call.Request(MessageType.Treadlink);
        request.UInt32(fid);
        Errno error = Transact(call, ref request);
        target = [];
        if (error == Errno.None)
        {
            WireReader reply = call.Reply();
            target = reply.String().ToArray();
            error = reply.IsComplete ? Errno.None : Errno.EIO;
        }

        End(call);
        return error;
    }

    /// <summary>Entries of a directory in the form of Rreaddir, from a position on; empty at the end.</summary>
    public Errno ReadDirectory(uint fid, long offset, out byte[] entries)
    {
        Errno error = ReadDirectoryOnce(fid, offset, out entries);
        return MakesRoomAfter(error) ? ReadDirectoryOnce(fid, offset, out entries) : error;
    }

    private Errno ReadDirectoryOnce(uint fid, long offset, out byte[] entries)
    {
        Call call = Begin();
        WireWriter request = call.Request(MessageType.Treaddir);
        request.UInt32(fid);
        request.UInt64(unchecked((ulong)offset));
        request.UInt32(Protocol.MaxData);
        Errno error = Transact(call, ref request);
        entries = [];
        if (error == Errno.None)
        {
            WireReader reply = call.Reply();
            entries = reply.Data().ToArray();
            error = reply.IsComplete ? Errno.None : Errno.EIO;
        }

        End(call);
        return error;
    }

    public Errno StatFileSystem(uint fid, out Statfs statfs)
    {
        Call call = Begin();
        WireWriter request = call.Request(MessageType.Tstatfs);
        request.UInt32(fid);
        Errno error = Transact(call, ref request);
        statfs = default;
        if (error == Errno.None)
        {
            WireReader reply = call.Reply();
            reply.UInt32();
            statfs.Type = Stat.V9FS_MAGIC;
            statfs.BlockSize = statfs.FragmentSize = reply.UInt32();
            statfs.Blocks = reply.UInt64();
            statfs.BlocksFree = reply.UInt64();
            statfs.BlocksAvailable = reply.UInt64();
            statfs.Files = reply.UInt64();
            statfs.FilesFree = reply.UInt64();
            reply.UInt64();
            statfs.NameLength = reply.UInt32();
            error = reply.IsComplete ? Errno.None : Errno.EIO;
        }

        End(call);
        return error;
    }

    /// <summary>A descriptor of a regular file, for O_RDONLY, O_WRONLY or O_RDWR. It is the caller's.</summary>
    public Errno Donate(uint fid, int access, out int descriptor)
    {
        Errno error = DonateOnce(fid, access, out descriptor);
        return MakesRoomAfter(error) ? DonateOnce(fid, access, out descriptor) : error;
    }

    private Errno DonateOnce(uint fid, int access, out int descriptor)
    {
        Call call = Begin();
        WireWriter request = call.Request(MessageType.Tdonate);
        request.UInt32(fid);
        request.UInt32((uint)access);
        Errno error = Transact(call, ref request);
        descriptor = error == Errno.None ? call.TakeDescriptor() : -1;
        End(call);
        return error == Errno.None && descriptor < 0 ? Errno.EIO : error;
    }

    /// <summary>Makes a file of any type; a regular one comes with a descriptor for reading and writing.</summary>
    public Errno Make(
        uint directory, ReadOnlySpan<byte> name, in CreateOptions create, ReadOnlySpan<byte> target, out uint fid, out StatBuffer stat, out int descriptor)
    {
        fid = NewFid();
        bool regular = (create.Mode & Stat.S_IFMT) == Stat.S_IFREG;
        Call call = Begin();
        WireWriter request = call.Request(MessageType.Tmake);
        request.UInt32(directory);
        request.UInt32(fid);
        request.String(name);
        request.UInt32(create.Mode);
        request.UInt32(create.Uid);
        request.UInt32(create.Gid);
        request.UInt64(create.DeviceNumber);
        request.String(target);
        request.UInt32(regular ? Fcntl.O_RDWR : Protocol.NoAccess);
        Errno error = Transact(call, ref request);
        stat = default;
        descriptor = -1;
        if (error == Errno.None)
        {
            WireReader reply = call.Reply();
            stat = WireAttributes.ReadWithDevice(ref reply);
            error = reply.IsComplete ? Errno.None : Errno.EIO;
            descriptor = call.TakeDescriptor();
        }

        End(call);
        if (error != Errno.None)
        {
            FreeFid(fid);
        }

        return error;
    }

    public Errno Link(uint directory, uint fid, ReadOnlySpan<byte> name)
    {
        Call call = Begin();
        WireWriter request = call.Request(MessageType.Tlink);
        request.UInt32(directory);
        request.UInt32(fid);
        request.String(name);
        return Finish(call, ref request);
    }

    public Errno Unlink(uint directory, ReadOnlySpan<byte> name, bool isDirectory)
    {
        Call call = Begin();
        WireWriter request = call.Request(MessageType.Tunlinkat);
        request.UInt32(directory);
        request.String(name);
        request.UInt32(isDirectory ? (uint)Fcntl.AT_REMOVEDIR : 0);
        return Finish(call, ref request);
    }

    public Errno Rename(uint oldDirectory, ReadOnlySpan<byte> oldName, uint newDirectory, ReadOnlySpan<byte> newName, uint flags)
    {
        Call call = Begin();
        WireWriter request = call.Request(MessageType.Trenameat2);
        request.UInt32(oldDirectory);
        request.String(oldName);
        request.UInt32(newDirectory);
        request.String(newName);
        request.UInt32(flags);
        return Finish(call, ref request);
    }

    public Errno Sync(uint fid, bool dataOnly)
    {
        Call call = Begin();
        WireWriter request = call.Request(MessageType.Tfsync);
        request.UInt32(fid);
        request.UInt32(dataOnly ? 1u : 0);
        return Finish(call, ref request);
    }

    /// <summary>As <see cref="Inode.GetXattr"/>.</summary>
    public long GetXattr(uint fid, ReadOnlySpan<byte> name, Span<byte> value)
    {
        Call call = Begin();
        WireWriter request = call.Request(MessageType.Tgetxattr);
        request.UInt32(fid);
        request.String(name);
        request.UInt32((uint)value.Length);
        return FinishXattr(call, ref request, value);
    }

    /// <summary>As <see cref="Inode.ListXattr"/>.</summary>
    public long ListXattr(uint fid, Span<byte> names)
    {
        Call call = Begin();
        WireWriter request = call.Request(MessageType.Tlistxattr);
        request.UInt32(fid);
        request.UInt32((uint)names.Length);
        return FinishXattr(call, ref request, names);
    }

    public Errno SetXattr(uint fid, ReadOnlySpan<byte> name, ReadOnlySpan<byte> value, int flags)
    {
        if (value.Length > Protocol.MaxXattrValue)
        {
            return Errno.ENOSPC;
        }

        Call call = Begin();
        WireWriter request = call.Request(MessageType.Tsetxattr);
        request.UInt32(fid);
        request.String(name);
        request.UInt32((uint)flags);
        request.Data(value);
        return Finish(call, ref request);
    }

    public Errno RemoveXattr(uint fid, ReadOnlySpan<byte> name)
    {
        Call call = Begin();
        WireWriter request = call.Request(MessageType.Tremovexattr);
        request.UInt32(fid);
        request.String(name);
        return Finish(call, ref request);
    }

    /// <summary>Gives a fid back at once: the file may be removed, and its space with it.</summary>
    public void Clunk(uint fid)
    {
        Call call = Begin();
        WireWriter request = call.Request(MessageType.Tclunk);
        request.UInt32(fid);
        Finish(call, ref request);
        FreeFid(fid);
    }

    /// <summary>Gives a fid back with the next batch.</summary>
    public void ClunkLater(uint fid)
    {
        bool full;
        lock (_mu)
        {
            _clunks.Add(fid);
            full = _clunks.Count >= ClunkBatch;
        }

        if (full)
        {
            FlushClunks();
        }
    }

    private void FlushClunks()
    {
        List<uint> batch;
        lock (_mu)
        {
            if (_clunks.Count == 0)
            {
                return;
            }

            batch = _clunks;
            _clunks = [];
        }

        Call call = Begin();
        WireWriter request = call.Request(MessageType.Tclunkmany);
        request.UInt16((ushort)batch.Count);
        foreach (uint one in batch)
        {
            request.UInt32(one);
        }

        Finish(call, ref request);
        lock (_mu)
        {
            foreach (uint one in batch)
            {
                _freeFids.Push(one);
            }
        }
    }

    /// <summary>The host has no descriptor left for the gofer: unused files are given back, and the request may be made again.</summary>
    private bool MakesRoomAfter(Errno error)
    {
        if (error is not (Errno.EMFILE or Errno.ENFILE))
        {
            return false;
        }

        DentryCache.Shrink();
        FlushClunks();
        return true;
    }

    private Errno Finish(Call call, ref WireWriter request)
    {
        Errno error = Transact(call, ref request);
        End(call);
        return error;
    }

    private long FinishXattr(Call call, ref WireWriter request, Span<byte> room)
    {
        Errno error = Transact(call, ref request);
        long size = 0;
        if (error == Errno.None)
        {
            WireReader reply = call.Reply();
            size = reply.UInt32();
            ReadOnlySpan<byte> data = reply.Data();
            if (!reply.IsComplete || data.Length > room.Length)
            {
                error = Errno.EIO;
            }
            else
            {
                data.CopyTo(room);
            }
        }

        End(call);
        return error == Errno.None ? size : -(long)error;
    }
}
