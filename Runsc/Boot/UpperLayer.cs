using System;
using System.Collections.Generic;
using System.Formats.Tar;
using System.IO;
using System.Text;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.Sentry.FileSystems.Overlay;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Vfs;
using FileAttributes = Runsc.Sentry.Vfs.FileAttributes;

namespace Runsc.Boot;

/// <summary>
/// What a container has changed of its root, as a layer of an image (image-spec, layer.md): a tar with the new and changed files, and a file ".wh.NAME" for each
/// that is gone. Hard links become files of their own; sockets and extended attributes are left out.
/// </summary>
internal sealed class UpperLayer
{
    private const string Whiteout = ".wh.", Opaque = ".wh..wh..opq";
    private const int MaxDepth = 256;

    private readonly BuilderCaller _caller;
    private readonly OverlaySuperBlock _overlay;
    private readonly Sentry.Vfs.Mount _mount;
    private readonly TarWriter _tar;

    private UpperLayer(BuilderCaller caller, OverlaySuperBlock overlay, Sentry.Vfs.Mount mount, TarWriter tar)
    {
        _caller = caller;
        _overlay = overlay;
        _mount = mount;
        _tar = tar;
    }

    /// <summary>Writes the archive to a descriptor of the host, which stays the caller's.</summary>
    /// <returns>The message for the user; null for success.</returns>
    public static string? WriteTo(MountNamespace mounts, int fd)
    {
        if (mounts.Root.Super is not OverlaySuperBlock overlay)
        {
            return "the root has no overlay: its changes are in the host's files (--overlay2)";
        }

        try
        {
            using TarWriter tar = new(new HostStream(fd), TarEntryFormat.Pax, leaveOpen: true);
            VfsPath root = mounts.GetRootPath();
            Errno error = new UpperLayer(new BuilderCaller(mounts), overlay, mounts.Root, tar).Directory(overlay.UpperRoot, root, "", 0);
            root.DecRef();
            return error == Errno.None ? null : $"cannot read the upper layer: {ErrorText.Of(error)}";
        }
        catch (IOException problem)
        {
            return problem.Message;
        }
    }

    private Errno Directory(Inode upper, in VfsPath place, string path, int depth)
    {
        if (depth > MaxDepth)
        {
            return Errno.ELOOP;
        }

        Errno error = List(upper, out List<byte[]> names);
        foreach (byte[] name in names)
        {
            if (error != Errno.None)
            {
                return error;
            }

            // What has gone meanwhile is not missed.
            if (upper.Lookup(name, out Inode? child) == Errno.None)
            {
                error = Entry(child!, name, place, path, depth);
                child!.DecRef();
            }
        }

        return error;
    }

    private Errno Entry(Inode upper, byte[] name, in VfsPath directory, string path, int depth)
    {
        string text = Encoding.UTF8.GetString(name);
        if (OverlaySuperBlock.IsWhiteout(upper))
        {
            Write(new PaxTarEntry(TarEntryType.RegularFile, path + Whiteout + text), 0);
            return Errno.None;
        }

        Errno error = upper.GetAttributes(out FileAttributes attributes);
        if (error != Errno.None || PathWalker.Resolve(_caller, directory, name, 0, out VfsPath place) != Errno.None)
        {
            return error;
        }

        error = upper.FileType switch
        {
            Stat.S_IFDIR => Subdirectory(upper, attributes, place, path + text + "/", depth),
            Stat.S_IFREG => Regular(attributes, place, path + text),
            Stat.S_IFLNK => Link(attributes, upper, path + text),
            Stat.S_IFCHR or Stat.S_IFBLK or Stat.S_IFIFO => Special(attributes, upper, path + text),
            _ => Errno.None,
        };
        place.DecRef();
        return error;
    }

    private Errno Subdirectory(Inode upper, in FileAttributes attributes, in VfsPath place, string path, int depth)
    {
        Describe(new PaxTarEntry(TarEntryType.Directory, path), attributes);
        if (place.Mount != _mount)
        {
            // A mount point: what is mounted there is not the root's.
            return Errno.None;
        }

        if (place.Dentry.Inode is OverlayInode { Lower: null })
        {
            Write(new PaxTarEntry(TarEntryType.RegularFile, path + Opaque), 0);
        }

        return Directory(upper, place, path, depth + 1);
    }

    /// <summary>The data is read through the overlay: of a file whose attributes alone have changed, it is below.</summary>
    private Errno Regular(in FileAttributes attributes, in VfsPath place, string path)
    {
        if (place.Mount != _mount)
        {
            return Errno.None;
        }

        place.IncRef();
        Errno error = place.Dentry.Inode!.Open(_caller, place, Fcntl.O_RDONLY, out FileDescription? file);
        if (error != Errno.None)
        {
            place.DecRef();
            return error;
        }

        error = file!.Inode.GetAttributes(out FileAttributes now);
        Describe(new PaxTarEntry(TarEntryType.RegularFile, path) { DataStream = new GuestStream(_caller, file, (long)now.Size) }, attributes);
        file.DecRef();
        return error;
    }

    private Errno Link(in FileAttributes attributes, Inode upper, string path)
    {
        Errno error = upper.ReadLink(_caller, out byte[] target);
        if (error == Errno.None)
        {
            Describe(new PaxTarEntry(TarEntryType.SymbolicLink, path) { LinkName = Encoding.UTF8.GetString(target) }, attributes);
        }

        return error;
    }

    private Errno Special(in FileAttributes attributes, Inode upper, string path)
    {
        TarEntryType type = upper.FileType switch { Stat.S_IFCHR => TarEntryType.CharacterDevice, Stat.S_IFBLK => TarEntryType.BlockDevice, _ => TarEntryType.Fifo };
        PaxTarEntry entry = new(type, path);
        if (type != TarEntryType.Fifo)
        {
            entry.DeviceMajor = (int)((attributes.DeviceNumber >> 8) & 0xfff);
            entry.DeviceMinor = (int)((attributes.DeviceNumber & 0xff) | ((attributes.DeviceNumber >> 12) & 0xfff00));
        }

        Describe(entry, attributes);
        return Errno.None;
    }

    private void Describe(PaxTarEntry entry, in FileAttributes attributes)
    {
        entry.Uid = (int)attributes.Uid;
        entry.Gid = (int)attributes.Gid;
        entry.ModificationTime = DateTimeOffset.FromUnixTimeSeconds(attributes.ModifyTime.Seconds);
        Write(entry, attributes.Mode & 0xfff);
    }

    private void Write(PaxTarEntry entry, uint mode)
    {
        entry.Mode = (UnixFileMode)mode;
        _tar.WriteEntry(entry);
    }

    private Errno List(Inode directory, out List<byte[]> names)
    {
        Names sink = new();
        names = sink.All;
        Errno error = _overlay.OpenReal(directory, [], Fcntl.O_RDONLY | Fcntl.O_DIRECTORY, out FileDescription? file);
        if (error != Errno.None)
        {
            return error;
        }

        int before;
        do
        {
            before = sink.Seen;
            error = file!.ReadDirectory(_caller, sink);
        }
        while (error == Errno.None && sink.Seen > before);
        file.DecRef();
        names.Sort((one, other) => one.AsSpan().SequenceCompareTo(other));
        return error;
    }

    private sealed class Names : IDirectorySink
    {
        public List<byte[]> All { get; } = [];

        public int Seen { get; private set; }

        public bool Add(ReadOnlySpan<byte> name, ulong inode, byte type, long next)
        {
            Seen++;
            if (!name.SequenceEqual("."u8) && !name.SequenceEqual(".."u8))
            {
                All.Add(name.ToArray());
            }

            return true;
        }
    }

    /// <summary>A file inside, read up to the length that it had; what it lost meanwhile reads as zeros, so that the archive stays whole.</summary>
    private sealed class GuestStream(ICaller caller, FileDescription file, long length) : Stream
    {
        public override bool CanRead => true;

        public override bool CanSeek => true;

        public override bool CanWrite => false;

        public override long Length => length;

        public override long Position { get; set; }

        public override int Read(Span<byte> buffer)
        {
            buffer = buffer[..(int)Math.Min(buffer.Length, Math.Max(length - Position, 0))];
            if (buffer.IsEmpty)
            {
                return 0;
            }

            IoBuffer destination = new(buffer);
            long n = file.PRead(caller, ref destination, Position);
            if (n <= 0)
            {
                buffer.Clear();
                n = buffer.Length;
            }

            Position += n;
            return (int)n;
        }

        public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

        public override long Seek(long offset, SeekOrigin origin) =>
            Position = offset + (origin == SeekOrigin.Begin ? 0 : origin == SeekOrigin.Current ? Position : length);

        public override void Flush()
        {
        }

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }

    /// <summary>A descriptor of the host that is only written to.</summary>
    private sealed class HostStream(int fd) : Stream
    {
        public override bool CanRead => false;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => throw new NotSupportedException();

        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            while (buffer.Length > 0)
            {
                long n = HostFile.Write(fd, buffer);
                if (n < 0 && n != -(long)Errno.EINTR)
                {
                    throw new IOException($"cannot write: errno {-n}");
                }

                buffer = buffer[(int)Math.Max(n, 0)..];
            }
        }

        public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

        public override void Flush()
        {
        }

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();
    }
}
