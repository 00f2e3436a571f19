using System.Text;
using Runsc.Common;
using Runsc.Linux;
using Runsc.Sentry.FileSystems.Tmpfs;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.FileSystems.Dev;

/// <summary>/dev: a tmpfs with the nodes and links that every container has (OCI runtime specification, "Default Devices").</summary>
internal static class DevFileSystem
{
    private static readonly (string Name, uint Major, uint Minor)[] s_devices =
        [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

    private static readonly (string Name, string Target)[] s_links =
        [("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0"), ("stdout", "/proc/self/fd/1"), ("stderr", "/proc/self/fd/2"), ("core", "/proc/kcore"), ("ptmx", "pts/ptmx")];

    public static SuperBlock Create(SentryKernel kernel)
    {
        TmpfsSuperBlock super = new(kernel, 1 << 20, mode: 0x1ed) { Device = kernel.NewDevice() };
        TmpfsDirectory root = (TmpfsDirectory)super.Root;
        foreach ((string name, uint major, uint minor) in s_devices)
        {
            Make(root, name, new CreateOptions((uint)Stat.S_IFCHR | 0x1b6, 0, 0, SpecialFiles.DeviceNumber(major, minor)));
        }

        foreach ((string name, string target) in s_links)
        {
            Errno error = root.Symlink(Encoding.ASCII.GetBytes(name), Encoding.ASCII.GetBytes(target), new CreateOptions((uint)Stat.S_IFLNK | 0x1ff, 0, 0), out Inode? link);
            Check(error);
            link!.DecRef();
        }

        Make(root, "pts", new CreateOptions((uint)Stat.S_IFDIR | 0x1ed, 0, 0));
        Make(root, "shm", new CreateOptions((uint)Stat.S_IFDIR | 0x3ff, 0, 0));
        Make(root, "mqueue", new CreateOptions((uint)Stat.S_IFDIR | 0x3ff, 0, 0));
        return super;
    }

    private static void Make(TmpfsDirectory root, string name, in CreateOptions options)
    {
        Check(root.Create(Encoding.ASCII.GetBytes(name), options, out Inode? made));
        made!.DecRef();
    }

    private static void Check(Errno error)
    {
        if (error != Errno.None)
        {
            Invariant.Fail($"an empty tmpfs refuses a file: {error}");
        }
    }
}
