using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using Runsc.Linux;

namespace Runsc.Host.Processes;

/// <summary>A tree of the host (open_tree(2)) and its place, as a path from the root.</summary>
internal readonly record struct PlacedTree(int Tree, bool IsFolder, string Place);

/// <summary>
/// The root that a new process gets in a mount namespace of its own: a folder of the host, and trees that are mounted in it. For those who enter the
/// namespace of a container's process to reach its files.
/// </summary>
internal sealed unsafe partial class RootView : IDisposable
{
    private const int FolderMode = 0x1ed, FileMode = Stat.S_IFREG | 0x1a4;

    private readonly NativeStrings _paths;
    private readonly Step* _steps;
    private readonly int _count;

    // What to do with a path: make the folder, make the file, or mount the tree there.
    private struct Step
    {
        public int Call;
        public int Tree;
    }

    /// <param name="root">The folder, by its path.</param>
    /// <param name="trees">One whose place is not there is left out.</param>
    /// <param name="makesPlaces">Places that are not there are made.</param>
    public RootView(string root, IReadOnlyList<PlacedTree> trees, bool makesPlaces)
    {
        List<string> paths = [root, "/", "."];
        List<Step> steps = [];
        foreach (PlacedTree tree in trees)
        {
            for (int end = 1; makesPlaces && end < tree.Place.Length; end++)
            {
                if (tree.Place[end] == '/')
                {
                    paths.Add(tree.Place[..end]);
                    steps.Add(new Step { Call = SysNo.mkdir });
                }
            }

            if (makesPlaces)
            {
                paths.Add(tree.Place);
                steps.Add(new Step { Call = tree.IsFolder ? SysNo.mkdir : SysNo.mknod });
            }

            paths.Add(tree.Place);
            steps.Add(new Step { Call = SysNo.move_mount, Tree = tree.Tree });
        }

        _paths = new NativeStrings(paths);
        _count = steps.Count;
        _steps = (Step*)NativeMemory.Alloc((nuint)_count + 1, (nuint)sizeof(Step));
        for (int i = 0; i < _count; i++)
        {
            _steps[i] = steps[i];
        }
    }

    /// <summary>In the child, on what was prepared: nothing managed is made. What cannot be had is left out, at worst all of it.</summary>
    public void Enter()
    {
        byte** paths = _paths.Pointers;
        byte* folder = paths[0], top = paths[1], here = paths[2];
        if (Raw(SysNo.mount, 0, (nint)top, 0, Mount.MS_REC | Mount.MS_PRIVATE, 0) < 0
            || Raw(SysNo.mount, (nint)folder, (nint)folder, 0, Mount.MS_BIND | Mount.MS_REC, 0) < 0
            || Raw(SysNo.chdir, (nint)folder, 0, 0, 0, 0) < 0
            || Raw(SysNo.pivot_root, (nint)here, (nint)here, 0, 0, 0) < 0)
        {
            return;
        }

        _ = Raw(SysNo.umount2, (nint)here, Mount.MNT_DETACH, 0, 0, 0);
        _ = Raw(SysNo.chdir, (nint)top, 0, 0, 0, 0);
        for (int i = 0; i < _count; i++)
        {
            // Paths are looked up in the new root, so that links of the image lead nowhere else.
            nint path = (nint)paths[3 + i];
            _ = _steps[i].Call == SysNo.move_mount
                ? Raw(SysNo.move_mount, _steps[i].Tree, (nint)(top + 1), Fcntl.AT_FDCWD, path, Mount.MOVE_MOUNT_F_EMPTY_PATH | Mount.MOVE_MOUNT_T_SYMLINKS)
                : Raw(_steps[i].Call, path, _steps[i].Call == SysNo.mkdir ? FolderMode : FileMode, 0, 0, 0);
        }
    }

    public void Dispose()
    {
        _paths.Dispose();
        NativeMemory.Free(_steps);
    }

    [LibraryImport("libc", EntryPoint = "syscall")]
    [SuppressGCTransition]
    private static partial long Raw(long number, nint a, nint b, nint c, nint d, nint e);
}
