using Runsc.Linux;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.FileSystems.Pseudo;

/// <summary>A file system whose files are made up by the kernel: procfs, sysfs, and the like.</summary>
internal sealed class PseudoSuperBlock(string typeName, long magic) : SuperBlock
{
    private Inode? _root;

    public override string TypeName => typeName;

    public override Inode Root => _root!;

    /// <summary>Time that its files show when they have none of their own: when the file system was made.</summary>
    public required FileTime Created { get; init; }

    /// <summary>Once, after construction; the reference passes to the super block.</summary>
    public void SetRoot(Inode root) => _root = root;

    public override Errno GetStatfs(out Statfs statfs)
    {
        statfs = new Statfs { Type = magic, BlockSize = 4096, FragmentSize = 4096, NameLength = 255 };
        return Errno.None;
    }
}
