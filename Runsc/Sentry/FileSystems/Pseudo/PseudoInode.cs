using System.Threading;
using Runsc.Linux;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.FileSystems.Pseudo;

/// <summary>What all files of a pseudo file system share. Owner and times are fixed unless overridden; the mode may be changed where Linux lets it.</summary>
internal abstract class PseudoInode : Inode
{
    private static long s_nextInode = 1;

    private readonly PseudoSuperBlock _super;
    private readonly uint _mode;

    /// <param name="super">The file system.</param>
    /// <param name="mode">Type and permission bits.</param>
    protected PseudoInode(PseudoSuperBlock super, uint mode)
        : base(super)
    {
        _super = super;
        _mode = mode;
        Number = (ulong)Interlocked.Increment(ref s_nextInode);
    }

    public ulong Number { get; protected init; }

    public override uint FileType => _mode & (uint)Stat.S_IFMT;

    /// <summary>Owner and group; root unless it belongs to a process.</summary>
    protected virtual (uint Uid, uint Gid) Owner => (0, 0);

    protected virtual ulong LinkCount => 1;

    protected virtual long Size => 0;

    public override Errno GetAttributes(out FileAttributes attributes)
    {
        (uint uid, uint gid) = Owner;
        attributes = new FileAttributes
        {
            Mode = _mode,
            Uid = uid,
            Gid = gid,
            Device = Super.Device,
            Inode = Number,
            Links = LinkCount,
            Size = Size,
            BlockSize = 1024,
            AccessTime = _super.Created,
            ModifyTime = _super.Created,
            ChangeTime = _super.Created,
            BirthTime = _super.Created,
        };
        return Errno.None;
    }
}
