using System.Text;
using Runsc.Linux;

namespace Runsc.Sentry.Vfs;

/// <summary>Files that begin without a name: O_TMPFILE (open(2)).</summary>
internal static class NamelessFiles
{
    /// <summary>Makes and opens a file in the file system of the directory at a path. EINVAL, EOPNOTSUPP, EACCES, EROFS, ENOTDIR.</summary>
    public static Errno Open(
        VirtualFileSystem vfs, ICaller caller, in VfsPath start, System.ReadOnlySpan<byte> path, int flags, uint mode, WalkFlags resolve, out FileDescription? file)
    {
        file = null;
        if ((flags & Fcntl.O_CREAT) != 0 || (flags & Fcntl.O_ACCMODE) is not (Fcntl.O_WRONLY or Fcntl.O_RDWR))
        {
            return Errno.EINVAL;
        }

        Errno error = PathWalker.Resolve(caller, start, path, resolve, out VfsPath directory);
        if (error != Errno.None)
        {
            return error;
        }

        Inode? made = null;
        error = VirtualFileSystem.CheckDirectoryWrite(caller, directory);
        if (error == Errno.None)
        {
            error = VirtualFileSystem.GetCreateOptions(caller, directory.Dentry.Inode!, mode | (uint)Stat.S_IFREG, 0, out CreateOptions options);
            error = error == Errno.None ? directory.Dentry.Inode!.CreateNameless(options, out made) : error;
        }

        if (error == Errno.None)
        {
            made!.MayGetFirstName = (flags & Fcntl.O_EXCL) == 0;
            _ = made.GetAttributes(out FileAttributes attributes);
            directory.Mount.IncRef();
            VfsPath place = new(directory.Mount, Dentry.Nameless(directory.Dentry, Encoding.ASCII.GetBytes($"#{attributes.Inode}"), made));
            error = vfs.OpenAt(caller, place, flags & ~(Fcntl.O_TMPFILE | Fcntl.O_EXCL), created: true, out file);
            if (error != Errno.None)
            {
                place.DecRef();
            }
        }

        directory.DecRef();
        return error;
    }

    /// <summary>link(2) revives no removed file: ENOENT, unless it never had a name and may get one.</summary>
    public static Errno CheckLink(Inode inode)
    {
        Errno error = inode.GetAttributes(out FileAttributes attributes);
        return error != Errno.None ? error : attributes.Links == 0 && !inode.MayGetFirstName ? Errno.ENOENT : Errno.None;
    }
}
