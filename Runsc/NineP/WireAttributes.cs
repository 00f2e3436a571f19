namespace Runsc.NineP;

/// <summary>Attributes of a file as messages carry them.</summary>
internal struct WireAttributes
{
    public const int SizeInBytes = 4 + 4 + 4 + 8 + 8 + 8 + 8 + 8 + 8 + (4 * 16);

    public uint Mode;
    public uint Uid;
    public uint Gid;
    public ulong Device;
    public ulong Inode;
    public ulong Links;
    public ulong DeviceNumber;
    public ulong Size;
    public ulong Blocks;
    public WireTime AccessTime;
    public WireTime ModifyTime;
    public WireTime ChangeTime;

    public readonly void Write(ref MessageWriter writer)
    {
        writer.UInt(Mode);
        writer.UInt(Uid);
        writer.UInt(Gid);
        writer.ULong(Device);
        writer.ULong(Inode);
        writer.ULong(Links);
        writer.ULong(DeviceNumber);
        writer.ULong(Size);
        writer.ULong(Blocks);
        AccessTime.Write(ref writer);
        ModifyTime.Write(ref writer);
        ChangeTime.Write(ref writer);
    }

    public static WireAttributes Read(ref MessageReader reader) => new()
    {
        Mode = reader.UInt(),
        Uid = reader.UInt(),
        Gid = reader.UInt(),
        Device = reader.ULong(),
        Inode = reader.ULong(),
        Links = reader.ULong(),
        DeviceNumber = reader.ULong(),
        Size = reader.ULong(),
        Blocks = reader.ULong(),
        AccessTime = WireTime.Read(ref reader),
        ModifyTime = WireTime.Read(ref reader),
        ChangeTime = WireTime.Read(ref reader),
    };
}

/// <summary>Seconds and nanoseconds since 1970.</summary>
internal readonly record struct WireTime(long Seconds, long Nanoseconds)
{
    public void Write(ref MessageWriter writer)
    {
        writer.ULong(unchecked((ulong)Seconds));
        writer.ULong(unchecked((ulong)Nanoseconds));
    }

    public static WireTime Read(ref MessageReader reader) => new(unchecked((long)reader.ULong()), unchecked((long)reader.ULong()));
}

/// <summary>Bits of Tsetattr's valid field.</summary>
internal static class SetAttributeBits
{
    public const uint Mode = 1;
    public const uint Uid = 2;
    public const uint Gid = 4;
    public const uint Size = 8;
    public const uint AccessTime = 16;
    public const uint ModifyTime = 32;
    public const uint AccessTimeNow = 64;
    public const uint ModifyTimeNow = 128;
}
