using System.Collections.Generic;
using Runsc.Linux;

namespace Runsc.Gofer;

/// <summary>A range of ids: <paramref name="Inner"/> on the file system is <paramref name="Outer"/> as the mount shows it, and so on.</summary>
internal readonly record struct IdRange(uint Inner, uint Outer, uint Count);

/// <summary>The ids of a mount with mapped ids (mount_setattr(2), "ID-mapped mounts"): of users and of groups.</summary>
/// <param name="users">At least one range.</param>
/// <param name="groups">At least one range.</param>
/// <param name="isRecursive">Also for file systems that are mounted below the root of the tree.</param>
internal sealed class OwnerMap(IReadOnlyList<IdRange> users, IReadOnlyList<IdRange> groups, bool isRecursive)
{
    // What the kernel shows for ids that have no place in a map (/proc/sys/kernel/overflowuid).
    private const uint Overflow = 65534;

    /// <summary>Set by the server: the device of the tree's root.</summary>
    public ulong RootDevice { get; set; }

    /// <summary>The owner as it is shown.</summary>
    public void Show(ref StatBuffer stat)
    {
        if (isRecursive || stat.Device == RootDevice)
        {
            stat.Uid = Outer(users, stat.Uid);
            stat.Gid = Outer(groups, stat.Gid);
        }
    }

    /// <summary>What is written for an owner that is given, −1 for none: EOVERFLOW for one that has no place in the map.</summary>
    /// <param name="device">Of the file, or of its directory.</param>
    /// <param name="uid">User.</param>
    /// <param name="gid">Group.</param>
    public Errno Take(ulong device, ref uint uid, ref uint gid) => !isRecursive && device != RootDevice ? Errno.None
        : TryInner(users, ref uid) && TryInner(groups, ref gid) ? Errno.None : Errno.EOVERFLOW;

    private static uint Outer(IReadOnlyList<IdRange> ranges, uint id)
    {
        foreach (IdRange range in ranges)
        {
            if (id >= range.Inner && id - range.Inner < range.Count)
            {
                return unchecked(range.Outer + (id - range.Inner));
            }
        }

        return Overflow;
    }

    private static bool TryInner(IReadOnlyList<IdRange> ranges, ref uint id)
    {
        if (id == uint.MaxValue)
        {
            return true;
        }

        foreach (IdRange range in ranges)
        {
            if (id >= range.Outer && id - range.Outer < range.Count)
            {
                id = unchecked(range.Inner + (id - range.Outer));
                return true;
            }
        }

        return false;
    }
}
