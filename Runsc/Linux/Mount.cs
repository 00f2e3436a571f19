namespace Runsc.Linux;

/// <summary>sys/mount.h: mount(2), umount2(2).</summary>
internal static class Mount
{
    public const int FSOPEN_CLOEXEC = 1;

    public const int MNT_FORCE = 1;
    public const int MNT_DETACH = 2;
    public const int MNT_EXPIRE = 4;

    public const int MOUNT_ATTR_RELATIME = 0;
    public const int MOUNT_ATTR_RDONLY = 1;
    public const int MOUNT_ATTR_NOSUID = 2;
    public const int MOUNT_ATTR_NODEV = 4;
    public const int MOUNT_ATTR_NOEXEC = 8;
    public const int MOUNT_ATTR_NOATIME = 16;
    public const int MOUNT_ATTR_SIZE_VER0 = 32;
    public const int MOUNT_ATTR_STRICTATIME = 32;
    public const int MOUNT_ATTR__ATIME = 112;
    public const int MOUNT_ATTR_NODIRATIME = 128;
    public const int MOUNT_ATTR_IDMAP = 0x100000;
    public const int MOUNT_ATTR_NOSYMFOLLOW = 0x200000;

    public const int MOVE_MOUNT_F_SYMLINKS = 1;
    public const int MOVE_MOUNT_F_AUTOMOUNTS = 2;
    public const int MOVE_MOUNT_F_EMPTY_PATH = 4;
    public const int MOVE_MOUNT_T_SYMLINKS = 16;
    public const int MOVE_MOUNT_T_AUTOMOUNTS = 32;
    public const int MOVE_MOUNT_T_EMPTY_PATH = 64;
    public const int MOVE_MOUNT_SET_GROUP = 256;
    public const int MOVE_MOUNT__MASK = 375;

    public const int MS_RDONLY = 1;
    public const int MS_NOSUID = 2;
    public const int MS_NODEV = 4;
    public const int MS_NOEXEC = 8;
    public const int MS_SYNCHRONOUS = 16;
    public const int MS_REMOUNT = 32;
    public const int MS_MANDLOCK = 64;
    public const int MS_DIRSYNC = 128;
    public const int MS_NOSYMFOLLOW = 256;
    public const int MS_NOATIME = 0x400;
    public const int MS_NODIRATIME = 0x800;
    public const int MS_BIND = 0x1000;
    public const int MS_MOVE = 0x2000;
    public const int MS_REC = 0x4000;
    public const int MS_SILENT = 0x8000;
    public const int MS_VERBOSE = 0x8000;
    public const int MS_POSIXACL = 0x10000;
    public const int MS_UNBINDABLE = 0x20000;
    public const int MS_PRIVATE = 0x40000;
    public const int MS_SLAVE = 0x80000;
    public const int MS_SHARED = 0x100000;
    public const int MS_RELATIME = 0x200000;
    public const int MS_KERNMOUNT = 0x400000;
    public const int MS_I_VERSION = 0x800000;
    public const int MS_STRICTATIME = 0x1000000;
    public const int MS_LAZYTIME = 0x2000000;
    public const int MS_RMT_MASK = 0x2800051;
    public const int MS_SUBMOUNT = 0x4000000;
    public const int MS_NOREMOTELOCK = 0x8000000;
    public const int MS_NOSEC = 0x10000000;
    public const int MS_BORN = 0x20000000;
    public const int MS_ACTIVE = 0x40000000;
    public const uint MS_MGC_VAL = 0xc0ed0000;
    public const uint MS_MGC_MSK = 0xffff0000;
    public const int MS_NOUSER = -2147483648;

    public const int OPEN_TREE_CLONE = 1;
    public const int OPEN_TREE_CLOEXEC = 0x80000;

    public const int UMOUNT_NOFOLLOW = 8;
}
