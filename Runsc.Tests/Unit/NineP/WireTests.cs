using System;
using System.Buffers.Binary;
using Runsc.Linux;
using Runsc.NineP;
using Xunit;

namespace Runsc.Tests.Unit.NineP;

/// <summary>The codec by itself.</summary>
public sealed class WireTests
{
    [Fact]
    public void Message_WrittenAndRead_IsTheSame()
    {
        byte[] buffer = new byte[256];
        WireWriter writer = new(buffer, (byte)MessageType.Twalk, 0x1234);
        writer.UInt8(1);
        writer.UInt16(0x203);
        writer.UInt32(0x4050607);
        writer.UInt64(0x8090a0b0c0d0e0f);
        writer.String("name"u8);
        writer.Data("data"u8);
        ReadOnlySpan<byte> message = writer.Finish();
        Assert.Equal((uint)message.Length, BinaryPrimitives.ReadUInt32LittleEndian(message));
        Assert.Equal((byte)MessageType.Twalk, message[4]);
        Assert.Equal(0x1234, BinaryPrimitives.ReadUInt16LittleEndian(message[5..]));
        WireReader reader = new(message[Protocol.HeaderSize..]);
        Assert.Equal(1, reader.UInt8());
        Assert.Equal(0x203, reader.UInt16());
        Assert.Equal(0x4050607u, reader.UInt32());
        Assert.Equal(0x8090a0b0c0d0e0ful, reader.UInt64());
        Assert.True(reader.String().SequenceEqual("name"u8));
        Assert.True(reader.Data().SequenceEqual("data"u8));
        Assert.True(reader.IsComplete);
    }

    [Fact]
    public void Reader_CutAnywhere_FailsAndGivesNothingMore()
    {
        byte[] buffer = new byte[64];
        WireWriter writer = new(buffer, 0, 0);
        writer.UInt32(7);
        writer.String("abc"u8);
        writer.Data("defg"u8);
        byte[] body = writer.Finish()[Protocol.HeaderSize..].ToArray();
        for (int length = 0; length < body.Length; length++)
        {
            WireReader reader = new(body.AsSpan(0, length));
            reader.UInt32();
            reader.String();
            reader.Data();
            Assert.True(reader.Failed, $"cut at {length}");
            Assert.False(reader.IsComplete);
            Assert.Equal(0ul, reader.UInt64());
        }
    }

    [Theory]
    [InlineData(uint.MaxValue)]
    [InlineData(0x80000000)]
    [InlineData(9u)]
    public void Reader_CountBeyondTheMessage_Fails(uint count)
    {
        byte[] body = new byte[12];
        BinaryPrimitives.WriteUInt32LittleEndian(body, count);
        WireReader reader = new(body);
        Assert.True(reader.Data().IsEmpty);
        Assert.True(reader.Failed);
    }

    [Fact]
    public void Writer_FieldThatDoesNotFit_FailsAndWritesNothingAfter()
    {
        byte[] buffer = new byte[16];
        WireWriter writer = new(buffer, 0, 0);
        writer.UInt64(ulong.MaxValue);
        writer.UInt16(1);
        Assert.True(writer.Failed);
        Assert.Equal(15, writer.Length);
        writer.UInt8(1);
        Assert.Equal(15, writer.Length);
    }

    [Fact]
    public void Attributes_WrittenAndRead_AreTheSame()
    {
        StatBuffer stat = new()
        {
            Device = 0x801, Inode = ulong.MaxValue, Links = 3, Mode = (uint)Stat.S_IFDIR | 0x1ed, Uid = 1, Gid = uint.MaxValue, DeviceNumber = 0x501, Size = long.MaxValue,
            BlockSize = 4096, Blocks = 8, AccessTime = new Timespec { Seconds = -1, Nanoseconds = 5 }, ModifyTime = new Timespec { Seconds = 1L << 40 },
            ChangeTime = new Timespec { Seconds = 2, Nanoseconds = 999_999_999 },
        };
        byte[] buffer = new byte[256];
        WireWriter writer = new(buffer, 0, 0);
        WireAttributes.WriteWithDevice(ref writer, stat);
        WireReader reader = new(writer.Finish()[Protocol.HeaderSize..]);
        StatBuffer read = WireAttributes.ReadWithDevice(ref reader);
        Assert.True(reader.IsComplete);
        Assert.Equal(stat, read);
    }

    [Theory]
    [InlineData("", false)]
    [InlineData(".", false)]
    [InlineData("..", false)]
    [InlineData("a/b", false)]
    [InlineData("/", false)]
    [InlineData("a\0b", false)]
    [InlineData("...", true)]
    [InlineData(".a", true)]
    [InlineData(" ", true)]
    public void Component_IsOneNameOnly(string name, bool allowed) => Assert.Equal(allowed, WireNames.IsComponent(FileSystemFixture.Bytes(name)));

    [Fact]
    public void Component_LongerThan255Bytes_IsNone()
    {
        Assert.True(WireNames.IsComponent(FileSystemFixture.Bytes(new string('x', 255))));
        Assert.False(WireNames.IsComponent(FileSystemFixture.Bytes(new string('x', 256))));
    }
}
