namespace Runsc.Sentry.Vfs;

/// <summary>Nanoseconds since the epoch, as files keep them.</summary>
internal readonly record struct FileTime(long Seconds, uint Nanoseconds);

/// <summary>What stat(2) and statx(2) tell of a file.</summary>
internal struct FileAttributes
{
    /// <summary>Type and permission bits.</summary>
    public uint Mode;
    public uint Uid;
    public uint Gid;
    public ulong Device;
    public ulong Inode;
    public ulong Links;
    public ulong DeviceNumber;
    public long Size;

    /// <summary>In units of 512 bytes.</summary>
    public ulong Blocks;
    public uint BlockSize;
    public FileTime AccessTime;
    public FileTime ModifyTime;
    public FileTime ChangeTime;
    public FileTime BirthTime;
}

/// <summary>Which of <see cref="AttributeChange"/> is meant.</summary>
[System.Flags]
internal enum AttributeMask : uint
{
    None = 0,
    Mode = 1,
    Uid = 2,
    Gid = 4,
    Size = 8,
    AccessTime = 16,
    ModifyTime = 32,

    /// <summary>Set the time to now rather than to the value given.</summary>
    AccessTimeNow = 64,
    ModifyTimeNow = 128,
}

/// <summary>A change by chmod, chown, truncate or utimensat. The change time follows by itself.</summary>
internal struct AttributeChange
{
    public AttributeMask Mask;

    /// <summary>Permission bits (07777) only.</summary>
    public uint Mode;
    public uint Uid;
    public uint Gid;
    public long Size;
    public FileTime AccessTime;
    public FileTime ModifyTime;
}

/// <summary>How a new file begins. Mode holds type and permission bits, the umask already applied; the set-group-id rule of the directory too.</summary>
internal readonly record struct CreateOptions(uint Mode, uint Uid, uint Gid, ulong DeviceNumber = 0);
