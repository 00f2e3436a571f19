using System.Collections.Generic;
using Runsc.Linux;

namespace Runsc.Sentry.Vfs;

/// <summary>Opens a character device.</summary>
internal delegate Errno CharacterDeviceOpener(ICaller caller, in VfsPath path, int flags, out FileDescription? file);

/// <summary>What is behind special files: character devices by number, and the maker of FIFOs. Filled at start, then read-only.</summary>
internal sealed class SpecialFiles
{
    private readonly Dictionary<ulong, CharacterDeviceOpener> _character = [];

    /// <summary>Opens a FIFO; an inode keeps its pipe in <see cref="Inode.Special"/>.</summary>
    public CharacterDeviceOpener? OpenFifo { get; set; }

    public void Register(uint major, uint minor, CharacterDeviceOpener opener) => _character[DeviceNumber(major, minor)] = opener;

    /// <summary>open(2) of a special file. ENXIO for devices that nobody drives and for sockets.</summary>
    public Errno Open(ICaller caller, in VfsPath path, int flags, out FileDescription? file)
    {
        file = null;
        Inode inode = path.Dentry.Inode!;
        return inode.FileType switch
        {
            Stat.S_IFCHR when _character.TryGetValue(inode.DeviceNumber, out CharacterDeviceOpener? opener) => opener(caller, path, flags, out file),
            Stat.S_IFIFO when OpenFifo is not null => OpenFifo(caller, path, flags, out file),
            _ => Errno.ENXIO,
        };
    }

    /// <summary>makedev(3).</summary>
    public static ulong DeviceNumber(uint major, uint minor) =>
        ((ulong)(major & 0xfffff000) << 32) | ((ulong)(major & 0xfff) << 8) | ((ulong)(minor & 0xffffff00) << 12) | (minor & 0xff);

    public static uint Major(ulong device) => (uint)((device >> 32 & 0xfffff000) | (device >> 8 & 0xfff));

    public static uint Minor(ulong device) => (uint)((device >> 12 & 0xffffff00) | (device & 0xff));
}
