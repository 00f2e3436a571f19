using System;
using System.Buffers.Binary;
using System.IO;
using System.Linq;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.NineP;
using Xunit;

namespace Runsc.Tests.Unit.Gofer;

/// <summary>The server against a client that sends what it likes. The served directory is "tree"; "secret" lies beside it.</summary>
public sealed class HostileClientTests : IDisposable
{
    private const uint Root = 1;

    private readonly FileSystemFixture _fs = new();
    private readonly byte[] _buffer = new byte[Protocol.MaxMessage];
    private readonly byte[] _reply = new byte[Protocol.MaxMessage];
    private readonly int _socket;
    private int _replyLength;
    private int _descriptor = -1;

    public HostileClientTests()
    {
        Directory.CreateDirectory(_fs.HostPath("tree/dir"));
        File.WriteAllText(_fs.HostPath("tree/file"), "data");
        File.WriteAllText(_fs.HostPath("secret"), "secret");
        File.CreateSymbolicLink(_fs.HostPath("tree/out"), "../secret");
        File.CreateSymbolicLink(_fs.HostPath("tree/up"), "..");
        _socket = _fs.Serve(_fs.HostPath("tree"));
    }

    public void Dispose()
    {
        CloseDescriptor();
        HostFile.Close(_socket);
        _fs.Dispose();
    }

    private void CloseDescriptor()
    {
        if (_descriptor >= 0)
        {
            HostFile.Close(_descriptor);
            _descriptor = -1;
        }
    }

    private delegate void Fields(ref WireWriter writer);

    /// <summary>Sends one message and reads its reply: the errno of Rlerror, or None.</summary>
    private Errno Send(MessageType type, Fields fields)
    {
        WireWriter writer = new(_buffer, (byte)type, 5);
        fields(ref writer);
        Assert.False(writer.Failed);
        return SendRaw(writer.Finish());
    }

    private Errno SendRaw(ReadOnlySpan<byte> message)
    {
        Assert.Equal(message.Length, HostSocket.Send(_socket, message));
        CloseDescriptor();
        Span<int> descriptors = stackalloc int[1];
        _replyLength = (int)HostSocket.Receive(_socket, _reply, descriptors, out int count);
        Assert.True(_replyLength >= Protocol.HeaderSize);
        Assert.Equal((uint)_replyLength, BinaryPrimitives.ReadUInt32LittleEndian(_reply));
        Assert.Equal(5, BinaryPrimitives.ReadUInt16LittleEndian(_reply.AsSpan(5)));
        if (count > 0)
        {
            _descriptor = descriptors[0];
        }

        if (_reply[4] == (byte)MessageType.Rlerror)
        {
            return (Errno)BinaryPrimitives.ReadUInt32LittleEndian(_reply.AsSpan(Protocol.HeaderSize));
        }

        Assert.Equal(message[4] + 1, _reply[4]);
        return Errno.None;
    }

    private void Attach()
    {
        Assert.Equal(Errno.None, Send(MessageType.Tversion, Version));
        Assert.Equal(Errno.None, Send(MessageType.Tattach, (ref WireWriter w) => AttachTo(ref w, Root)));
    }

    private static void Version(ref WireWriter writer)
    {
        writer.UInt32(Protocol.MaxMessage);
        writer.String(Protocol.ExtendedVersion);
    }

    private static void AttachTo(ref WireWriter writer, uint fid)
    {
        writer.UInt32(fid);
        writer.UInt32(Protocol.NoFid);
        writer.String(default);
        writer.String(default);
        writer.UInt32(0);
    }

    private Errno Walk(uint fid, uint newFid, params string[] names) => Send(MessageType.Twalkgetattr, (ref WireWriter w) =>
    {
        w.UInt32(fid);
        w.UInt32(newFid);
        w.UInt16((ushort)names.Length);
        foreach (string name in names)
        {
            w.String(FileSystemFixture.Bytes(name));
        }
    });

    private Errno Make(uint fid, uint newFid, string name, uint mode, string target = "", uint access = Protocol.NoAccess) =>
        Send(MessageType.Tmake, (ref WireWriter w) =>
        {
            w.UInt32(fid);
            w.UInt32(newFid);
            w.String(FileSystemFixture.Bytes(name));
            w.UInt32(mode);
            w.UInt32(0);
            w.UInt32(0);
            w.UInt64(0);
            w.String(FileSystemFixture.Bytes(target));
            w.UInt32(access);
        });

    [Fact]
    public void BeforeVersion_NothingIsServed()
    {
        Assert.Equal(Errno.EOPNOTSUPP, Send(MessageType.Tattach, (ref WireWriter w) => AttachTo(ref w, Root)));
    }

    [Fact]
    public void Version_StandardClient_GetsNoExtensions()
    {
        Assert.Equal(Errno.None, Send(MessageType.Tversion, (ref WireWriter w) =>
        {
            w.UInt32(8192);
            w.String("9P2000.L"u8);
        }));
        WireReader reply = new(_reply.AsSpan(Protocol.HeaderSize, _replyLength - Protocol.HeaderSize));
        Assert.Equal(8192u, reply.UInt32());
        Assert.True(reply.String().SequenceEqual("9P2000.L"u8));
        Assert.Equal(Errno.None, Send(MessageType.Tattach, (ref WireWriter w) => AttachTo(ref w, Root)));
        Assert.Equal(Errno.EOPNOTSUPP, Walk(Root, 2, "file"));
        Assert.Equal(Errno.None, Send(MessageType.Twalk, (ref WireWriter w) =>
        {
            w.UInt32(Root);
            w.UInt32(2);
            w.UInt16(1);
            w.String("file"u8);
        }));
        Assert.Equal(Errno.None, Send(MessageType.Tlopen, (ref WireWriter w) =>
        {
            w.UInt32(2);
            w.UInt32(Fcntl.O_RDONLY);
        }));
        Assert.Equal(Errno.None, Send(MessageType.Tread, (ref WireWriter w) =>
        {
            w.UInt32(2);
            w.UInt64(0);
            w.UInt32(uint.MaxValue);
        }));
        reply = new WireReader(_reply.AsSpan(Protocol.HeaderSize, _replyLength - Protocol.HeaderSize));
        Assert.True(reply.Data().SequenceEqual("data"u8));
    }

    [Theory]
    [InlineData(0u, "9P2000.L")]
    [InlineData(7u, "9P2000.L.runsc1")]
    public void Version_TooSmallMessages_IsRefused(uint size, string version)
    {
        Assert.Equal(Errno.EPROTO, Send(MessageType.Tversion, (ref WireWriter w) =>
        {
            w.UInt32(size);
            w.String(FileSystemFixture.Bytes(version));
        }));
    }

    [Theory]
    [InlineData("..")]
    [InlineData(".")]
    [InlineData("")]
    [InlineData("dir/..")]
    [InlineData("/etc")]
    [InlineData("file\0x")]
    public void Walk_WhatIsNoName_IsRefused(string name)
    {
        Attach();
        Assert.Equal(Errno.EINVAL, Walk(Root, 2, name));
        Assert.Equal(Errno.EBADF, Walk(2, 3));
    }

    [Fact]
    public void Walk_ThroughASymlink_StopsAtIt()
    {
        Attach();
        Assert.Equal(Errno.None, Walk(Root, 2, "up"));
        Assert.Equal(Errno.ENOTDIR, Walk(2, 3, "secret"));

        // Two names in one message: the first is found, the second is not, and nothing is bound.
        Assert.Equal(Errno.None, Walk(Root, 4, "up", "secret"));
        Assert.Equal(1, BinaryPrimitives.ReadUInt16LittleEndian(_reply.AsSpan(Protocol.HeaderSize)));
        Assert.Equal(Errno.EBADF, Walk(4, 5));
    }

    [Fact]
    public void Donate_SymlinkOrDirectory_GivesNoDescriptor()
    {
        Attach();
        Assert.Equal(Errno.None, Walk(Root, 2, "out"));
        Assert.Equal(Errno.EINVAL, Donate(2, Fcntl.O_RDONLY));
        Assert.Equal(Errno.EINVAL, Donate(Root, Fcntl.O_RDONLY));
        Assert.Equal(Errno.None, Walk(Root, 3, "file"));
        Assert.Equal(Errno.EINVAL, Donate(3, 3));
        Assert.Equal(Errno.EINVAL, Donate(3, Fcntl.O_RDONLY | Fcntl.O_PATH));
        Assert.True(_descriptor < 0);
        Assert.Equal(Errno.None, Donate(3, Fcntl.O_RDONLY));
        Assert.True(_descriptor >= 0);
        Assert.Equal(-(long)Errno.EBADF, HostFile.PWrite(_descriptor, "x"u8, 0));
    }

    private Errno Donate(uint fid, int access) => Send(MessageType.Tdonate, (ref WireWriter w) =>
    {
        w.UInt32(fid);
        w.UInt32((uint)access);
    });

    [Fact]
    public void Fids_UnknownOrTaken_AreRefused()
    {
        Attach();
        Assert.Equal(Errno.EBADF, Walk(99, 2));
        Assert.Equal(Errno.None, Walk(Root, 2, "dir"));
        Assert.Equal(Errno.EBADF, Walk(Root, 2, "file"));
        Assert.Equal(Errno.EBADF, Make(Root, 2, "new", (uint)Stat.S_IFREG));
        Assert.False(File.Exists(_fs.HostPath("tree/new")));
        Assert.Equal(Errno.EBADF, Send(MessageType.Tclunk, (ref WireWriter w) => w.UInt32(99)));
        Assert.Equal(Errno.None, Send(MessageType.Tclunk, (ref WireWriter w) => w.UInt32(2)));
        Assert.Equal(Errno.EBADF, Send(MessageType.Tclunk, (ref WireWriter w) => w.UInt32(2)));
        Assert.Equal(Errno.EBADF, Send(MessageType.Tattach, (ref WireWriter w) => AttachTo(ref w, Root)));
        Assert.Equal(Errno.EBADF, Send(MessageType.Tattach, (ref WireWriter w) => AttachTo(ref w, Protocol.NoFid)));
    }

    [Theory]
    [InlineData("..")]
    [InlineData("a/b")]
    [InlineData("")]
    [InlineData("../secret2")]
    public void Changes_WithWhatIsNoName_AreRefused(string name)
    {
        Attach();
        byte[] bytes = FileSystemFixture.Bytes(name);
        Assert.Equal(Errno.EINVAL, Make(Root, 2, name, (uint)Stat.S_IFREG | 0x1a4));
        Assert.Equal(Errno.EINVAL, Make(Root, 2, name, (uint)Stat.S_IFDIR | 0x1a4));
        Assert.Equal(Errno.EINVAL, Send(MessageType.Tunlinkat, (ref WireWriter w) =>
        {
            w.UInt32(Root);
            w.String(bytes);
            w.UInt32(0);
        }));
        Assert.Equal(Errno.EINVAL, Send(MessageType.Trenameat2, (ref WireWriter w) =>
        {
            w.UInt32(Root);
            w.String("file"u8);
            w.UInt32(Root);
            w.String(bytes);
            w.UInt32(0);
        }));
        Assert.Equal(Errno.None, Walk(Root, 3, "file"));
        Assert.Equal(Errno.EINVAL, Send(MessageType.Tlink, (ref WireWriter w) =>
        {
            w.UInt32(Root);
            w.UInt32(3);
            w.String(bytes);
        }));
        Assert.Equal(["file", "secret", "tree"], [.. Names("tree/file"), .. Names("secret"), .. Names("tree")]);
    }

    private string[] Names(string path) => Path.Exists(_fs.HostPath(path)) ? [Path.GetFileName(path)] : [];

    [Fact]
    public void Make_OddModesAndTargets_AreRefused()
    {
        Attach();
        Assert.Equal(Errno.EINVAL, Make(Root, 2, "x", 0xf000));
        Assert.Equal(Errno.EINVAL, Make(Root, 2, "x", 0));
        Assert.Equal(Errno.EINVAL, Make(Root, 2, "x", (uint)Stat.S_IFLNK, ""));
        Assert.Equal(Errno.EINVAL, Make(Root, 2, "x", (uint)Stat.S_IFLNK, "a\0b"));
        Assert.Equal(Errno.EINVAL, Make(Root, 2, "x", (uint)Stat.S_IFDIR, access: Fcntl.O_RDWR));
        Assert.Equal(Errno.EINVAL, Make(Root, 2, "x", (uint)Stat.S_IFREG, access: 3));
        Assert.Equal(Errno.EEXIST, Make(Root, 2, "out", (uint)Stat.S_IFREG, access: Fcntl.O_RDWR));
        Assert.Equal(Errno.None, Walk(Root, 3, "file"));
        Assert.Equal(Errno.ENOTDIR, Make(3, 2, "x", (uint)Stat.S_IFREG));
        Assert.Equal("secret", File.ReadAllText(_fs.HostPath("secret")));
    }

    [Fact]
    public void SetAttributes_OfASymlink_DoesNotReachItsTarget()
    {
        Attach();
        Assert.Equal(Errno.None, Walk(Root, 2, "out"));
        DateTime before = File.GetLastWriteTimeUtc(_fs.HostPath("secret"));
        Assert.Equal(Errno.EOPNOTSUPP, SetAttributes(2, Protocol.SetMode, 0));
        Assert.Equal(Errno.EINVAL, SetAttributes(2, Protocol.SetSize, 0));
        Assert.Equal(Errno.None, SetAttributes(2, Protocol.SetModifyTime | Protocol.SetModifyTimeTo | Protocol.SetUid | Protocol.SetGid, 77));
        Assert.Equal(before, File.GetLastWriteTimeUtc(_fs.HostPath("secret")));
        Assert.Equal("secret", File.ReadAllText(_fs.HostPath("secret")));
        Assert.Equal("0", Runsc.Tests.Support.CommandRunner.Shell($"stat -c %u '{_fs.HostPath("secret")}'").Trim());
        Assert.Equal("77", Runsc.Tests.Support.CommandRunner.Shell($"stat -c %u '{_fs.HostPath("tree/out")}'").Trim());
    }

    private Errno SetAttributes(uint fid, uint valid, uint value) => Send(MessageType.Tsetattr, (ref WireWriter w) =>
    {
        w.UInt32(fid);
        w.UInt32(valid);
        w.UInt32(value);
        w.UInt32(value);
        w.UInt32(value);
        w.UInt64(value);
        w.UInt64(value);
        w.UInt64(value);
        w.UInt64(value);
        w.UInt64(value);
    });

    [Fact]
    public void Counts_BeyondEverything_AreCutOrRefused()
    {
        Attach();
        Assert.Equal(Errno.None, Send(MessageType.Treaddir, (ref WireWriter w) =>
        {
            w.UInt32(Root);
            w.UInt64(0);
            w.UInt32(uint.MaxValue);
        }));
        Assert.Equal(Errno.EINVAL, Send(MessageType.Treaddir, (ref WireWriter w) =>
        {
            w.UInt32(Root);
            w.UInt64(0);
            w.UInt32(1);
        }));
        Assert.Equal(Errno.EPROTO, Send(MessageType.Twalkgetattr, (ref WireWriter w) =>
        {
            w.UInt32(Root);
            w.UInt32(2);
            w.UInt16(ushort.MaxValue);
        }));
        Assert.Equal(Errno.EINVAL, Walk(Root, 2, [.. Enumerable.Repeat("dir", 17)]));
        Assert.Equal(Errno.EPROTO, Send(MessageType.Tclunkmany, (ref WireWriter w) => w.UInt16(ushort.MaxValue)));
        Assert.Equal(Errno.ENODATA, Send(MessageType.Tgetxattr, (ref WireWriter w) =>
        {
            w.UInt32(Root);
            w.String("user.none"u8);
            w.UInt32(uint.MaxValue);
        }));
    }

    [Fact]
    public void EveryMessage_CutAtEveryLength_GivesAnErrorAndTheServerLives()
    {
        Attach();
        byte[] body = new byte[64];
        for (int type = 0; type < 256; type++)
        {
            if (type == (int)MessageType.Tversion)
            {
                continue;
            }

            for (int length = 0; length < 24; length++)
            {
                // Zero bytes: fid 0 is never bound, so nothing can succeed but an empty batch and Tflush.
                byte[] message = new byte[Protocol.HeaderSize + length];
                WireWriter writer = new(message, (byte)type, 5);
                body.AsSpan(0, length).CopyTo(message.AsSpan(Protocol.HeaderSize));
                BinaryPrimitives.WriteUInt32LittleEndian(message, (uint)message.Length);
                Errno error = SendRaw(message);
                bool harmless = (type == (int)MessageType.Tflush || type == (int)MessageType.Tclunkmany) && length == 2;
                Assert.True(error != Errno.None || harmless || type == (int)MessageType.Tattach, $"type {type}, {length} bytes");
            }
        }

        Assert.Equal(Errno.None, Walk(Root, 77, "file"));
    }

    [Fact]
    public void RandomMessages_NeverLeaveTheTreeOrStopTheServer()
    {
        Attach();
        const int seed = 20260711;
        Random random = new(seed);
        string[] names = ["file", "dir", "out", "up", "..", ".", "", "a/b", "new", "../secret"];
        MessageType[] types = Enum.GetValues<MessageType>();
        for (int i = 0; i < 4000; i++)
        {
            MessageType type = types[random.Next(types.Length)];
            if (type is MessageType.Tversion)
            {
                continue;
            }

            WireWriter writer = new(_buffer, (byte)type, 5);
            for (int field = random.Next(8); field > 0; field--)
            {
                switch (random.Next(5))
                {
                    case 0:
                        writer.UInt16((ushort)random.Next(4));
                        break;
                    case 1:
                        writer.UInt32((uint)random.Next(1, 12));
                        break;
                    case 2:
                        writer.UInt32(unchecked((uint)random.Next(int.MinValue, int.MaxValue)));
                        break;
                    case 3:
                        writer.UInt64(unchecked((ulong)random.NextInt64()));
                        break;
                    default:
                        writer.String(FileSystemFixture.Bytes(names[random.Next(names.Length)]));
                        break;
                }
            }

            SendRaw(writer.Finish());
        }

        Assert.Equal("secret", File.ReadAllText(_fs.HostPath("secret")));
        Assert.Equal(["secret", "tree"], TopNames());
        Assert.Equal(Errno.None, Send(MessageType.Tversion, Version));

        string[] TopNames()
        {
            string[] found = Directory.GetFileSystemEntries(_fs.HostRoot);
            Array.Sort(found, StringComparer.Ordinal);
            return Array.ConvertAll(found, path => Path.GetFileName(path)!);
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(3)]
    [InlineData(6)]
    public void Framing_ThatLies_EndsTheConnectionOnly(int length)
    {
        Attach();
        byte[] message = new byte[Math.Max(length, 1)];
        if (length > 4)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(message, uint.MaxValue);
        }

        HostSocket.Send(_socket, message);
        Assert.True(HostSocket.Receive(_socket, _reply, default, out _) <= 0);
    }

    [Fact]
    public void DescriptorsFromTheClient_AreClosed()
    {
        Attach();
        Assert.Equal(0, HostFile.Pipe(out int read, out int write));
        WireWriter writer = new(_buffer, (byte)MessageType.Tflush, 5);
        writer.UInt16(0);
        HostSocket.Send(_socket, writer.Finish(), write);
        HostFile.Close(write);
        Assert.True(HostSocket.Receive(_socket, _reply, default, out _) > 0);

        // Nobody else holds the pipe's writing end: its reader sees the end.
        Assert.Equal(0, HostFile.Read(read, _reply));
        HostFile.Close(read);
    }
}
