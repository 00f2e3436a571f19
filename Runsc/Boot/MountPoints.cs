using System;
using System.Text;
using Runsc.Common;
using Runsc.Control;
using Runsc.Host.Syscalls;
using Runsc.Linux;

namespace Runsc.Boot;

/// <summary>
/// Makes mount points in a container's root on the host, for a root that is served read-only. Links in the tree are followed inside it, as in
/// the container (RESOLVE_IN_ROOT), so that no image leads out of it. What cannot be made is reported when the mount is.
/// </summary>
internal static class MountPoints
{
    private const ulong ResolveInRoot = 0x10;

    public static void Make(StartInfo info)
    {
        foreach (string place in info.MountPoints)
        {
            Make(info.Trees[0].RootFd, place);
        }
    }

    private static void Make(int root, string place)
    {
        bool isFile = !place.EndsWith('/');
        string[] names = place.Split('/', StringSplitOptions.RemoveEmptyEntries);
        int at = HostFile.OpenAt2(root, ".\0"u8, Fcntl.O_PATH | Fcntl.O_DIRECTORY, 0, ResolveInRoot);
        StringBuilder path = new();
        for (int i = 0; i < names.Length && at >= 0; i++)
        {
            path.Append('/').Append(names[i]);
            bool last = isFile && i == names.Length - 1;
            int next = Open(root, path.ToString(), last);
            if (next == -(int)Errno.ENOENT)
            {
                byte[] name = [.. Encoding.UTF8.GetBytes(names[i]), 0];
                if (last)
                {
                    int made = HostFile.OpenAt(at, name, Fcntl.O_WRONLY | Fcntl.O_CREAT | Fcntl.O_EXCL | Fcntl.O_NOFOLLOW | Fcntl.O_CLOEXEC, 0x1a4);
                    _ = made >= 0 ? HostFile.Close(made) : 0;
                }
                else
                {
                    _ = HostFile.MkdirAt(at, name, 0x1ed);
                }

                next = Open(root, path.ToString(), last);
            }

            _ = HostFile.Close(at);
            at = next;
        }

        if (at >= 0)
        {
            _ = HostFile.Close(at);
        }
        else
        {
            Log.Debug($"mount point {place}: errno {-at}");
        }
    }

    private static int Open(int root, string path, bool isFile) =>
        HostFile.OpenAt2(root, [.. Encoding.UTF8.GetBytes(path), 0], Fcntl.O_PATH | (isFile ? 0 : Fcntl.O_DIRECTORY), 0, ResolveInRoot);
}
