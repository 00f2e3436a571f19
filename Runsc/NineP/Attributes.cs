using Runsc.Linux;

namespace Runsc.NineP;

/// <summary>qid[13]: type, version and the file's number, its inode number here.</summary>
internal readonly record struct Qid(byte Type, uint Version, ulong Path)
{
    public const int SizeInBytes = 13;

    private const byte DirectoryType = 0x80;
    private const byte SymlinkType = 0x02;

    public static Qid Of(uint mode, ulong inode) =>
        new((mode & Stat.S_IFMT) switch { Stat.S_IFDIR => DirectoryType, Stat.S_IFLNK => SymlinkType, _ => 0 }, 0, inode);

    public static Qid Read(ref WireReader reader) => new(reader.UInt8(), reader.UInt32(), reader.UInt64());

    public void Write(ref WireWriter writer)
    {
        writer.UInt8(Type);
        writer.UInt32(Version);
        writer.UInt64(Path);
    }
}

/// <summary>The body of Rgetattr, as struct stat; the device goes before it in our own messages.</summary>
internal static class WireAttributes
{
    public static void Write(ref WireWriter writer, in StatBuffer stat)
    {
        writer.UInt64(Protocol.BasicAttributes);
        Qid.Of(stat.Mode, stat.Inode).Write(ref writer);
        writer.UInt32(stat.Mode);
        writer.UInt32(stat.Uid);
        writer.UInt32(stat.Gid);
        writer.UInt64(stat.Links);
        writer.UInt64(stat.DeviceNumber);
        writer.UInt64(unchecked((ulong)stat.Size));
        writer.UInt64(unchecked((ulong)stat.BlockSize));
        writer.UInt64(unchecked((ulong)stat.Blocks));
        WriteTime(ref writer, stat.AccessTime);
        WriteTime(ref writer, stat.ModifyTime);
        WriteTime(ref writer, stat.ChangeTime);
        WriteTime(ref writer, default);
        writer.UInt64(0);
        writer.UInt64(0);
    }

    public static void WriteWithDevice(ref WireWriter writer, in StatBuffer stat)
    {
        writer.UInt64(stat.Device);
        Write(ref writer, stat);
    }

    public static StatBuffer Read(ref WireReader reader)
    {
        StatBuffer stat = default;
        reader.UInt64();
        stat.Inode = Qid.Read(ref reader).Path;
        stat.Mode = reader.UInt32();
        stat.Uid = reader.UInt32();
        stat.Gid = reader.UInt32();
        stat.Links = reader.UInt64();
        stat.DeviceNumber = reader.UInt64();
        stat.Size = unchecked((long)reader.UInt64());
        stat.BlockSize = unchecked((long)reader.UInt64());
        stat.Blocks = unchecked((long)reader.UInt64());
        stat.AccessTime = ReadTime(ref reader);
        stat.ModifyTime = ReadTime(ref reader);
        stat.ChangeTime = ReadTime(ref reader);
        ReadTime(ref reader);
        reader.UInt64();
        reader.UInt64();
        return stat;
    }

    public static StatBuffer ReadWithDevice(ref WireReader reader)
    {
        ulong device = reader.UInt64();
        StatBuffer stat = Read(ref reader);
        stat.Device = device;
        return stat;
    }

    private static void WriteTime(ref WireWriter writer, in Timespec time)
    {
        writer.UInt64(unchecked((ulong)time.Seconds));
        writer.UInt64(unchecked((ulong)time.Nanoseconds));
    }

    private static Timespec ReadTime(ref WireReader reader) =>
        new() { Seconds = unchecked((long)reader.UInt64()), Nanoseconds = unchecked((long)reader.UInt64()) };
}

/// <summary>Rules for names that come from the other end.</summary>
internal static class WireNames
{
    /// <summary>One component: 1–255 bytes, no '/', no NUL, not "." or "..".</summary>
    public static bool IsComponent(System.ReadOnlySpan<byte> name) =>
        name.Length is > 0 and <= Protocol.MaxName && !System.MemoryExtensions.ContainsAny(name, (byte)'/', (byte)0)
        && !System.MemoryExtensions.SequenceEqual(name, "."u8) && !System.MemoryExtensions.SequenceEqual(name, ".."u8);
}
