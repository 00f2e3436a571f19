namespace Runsc.Linux;

/// <summary>fcntl.h: open(2), fcntl(2), *at(2), openat2(2).</summary>
internal static class Fcntl
{
    public const int AT_STATX_SYNC_AS_STAT = 0;
    public const int AT_SYMLINK_NOFOLLOW = 256;
    public const int AT_EACCESS = 512;
    public const int AT_REMOVEDIR = 512;
    public const int AT_SYMLINK_FOLLOW = 0x400;
    public const int AT_NO_AUTOMOUNT = 0x800;
    public const int AT_EMPTY_PATH = 0x1000;
    public const int AT_STATX_FORCE_SYNC = 0x2000;
    public const int AT_STATX_DONT_SYNC = 0x4000;
    public const int AT_STATX_SYNC_TYPE = 0x6000;
    public const int AT_RECURSIVE = 0x8000;
    public const int AT_FDCWD = -100;

    public const int DN_ACCESS = 1;
    public const int DN_MODIFY = 2;
    public const int DN_CREATE = 4;
    public const int DN_DELETE = 8;
    public const int DN_RENAME = 16;
    public const int DN_ATTRIB = 32;
    public const uint DN_MULTISHOT = 0x80000000;

    public const int FALLOC_FL_KEEP_SIZE = 1;
    public const int FALLOC_FL_PUNCH_HOLE = 2;
    public const int FALLOC_FL_NO_HIDE_STALE = 4;
    public const int FALLOC_FL_COLLAPSE_RANGE = 8;
    public const int FALLOC_FL_ZERO_RANGE = 16;
    public const int FALLOC_FL_INSERT_RANGE = 32;
    public const int FALLOC_FL_UNSHARE_RANGE = 64;

    public const int FD_CLOEXEC = 1;

    public const int F_DUPFD = 0;
    public const int F_OWNER_TID = 0;
    public const int F_RDLCK = 0;
    public const int F_ULOCK = 0;
    public const int F_GETFD = 1;
    public const int F_LOCK = 1;
    public const int F_OWNER_PID = 1;
    public const int F_SEAL_SEAL = 1;
    public const int F_WRLCK = 1;
    public const int F_OWNER_GID = 2;
    public const int F_OWNER_PGRP = 2;
    public const int F_SEAL_SHRINK = 2;
    public const int F_SETFD = 2;
    public const int F_TLOCK = 2;
    public const int F_UNLCK = 2;
    public const int F_GETFL = 3;
    public const int F_TEST = 3;
    public const int F_EXLCK = 4;
    public const int F_SEAL_GROW = 4;
    public const int F_SETFL = 4;
    public const int F_GETLK = 5;
    public const int F_SETLK = 6;
    public const int F_SETLKW = 7;
    public const int F_SEAL_WRITE = 8;
    public const int F_SETOWN = 8;
    public const int F_SHLCK = 8;
    public const int F_GETOWN = 9;
    public const int F_SETSIG = 10;
    public const int F_GETSIG = 11;
    public const int F_SETOWN_EX = 15;
    public const int F_GETOWN_EX = 16;
    public const int F_SEAL_FUTURE_WRITE = 16;
    public const int F_OFD_GETLK = 36;
    public const int F_OFD_SETLK = 37;
    public const int F_OFD_SETLKW = 38;
    public const int F_SETLEASE = 0x400;
    public const int F_GETLEASE = 0x401;
    public const int F_NOTIFY = 0x402;
    public const int F_DUPFD_CLOEXEC = 0x406;
    public const int F_SETPIPE_SZ = 0x407;
    public const int F_GETPIPE_SZ = 0x408;
    public const int F_ADD_SEALS = 0x409;
    public const int F_GET_SEALS = 0x40a;
    public const int F_GET_RW_HINT = 0x40b;
    public const int F_SET_RW_HINT = 0x40c;
    public const int F_GET_FILE_RW_HINT = 0x40d;
    public const int F_SET_FILE_RW_HINT = 0x40e;

    public const int LOCK_SH = 1;
    public const int LOCK_EX = 2;
    public const int LOCK_NB = 4;
    public const int LOCK_UN = 8;

    public const int O_LARGEFILE = 0x8000;
    public const int O_RDONLY = 0;
    public const int O_WRONLY = 1;
    public const int O_RDWR = 2;
    public const int O_ACCMODE = 3;
    public const int O_CREAT = 64;
    public const int O_EXCL = 128;
    public const int O_NOCTTY = 256;
    public const int O_TRUNC = 512;
    public const int O_APPEND = 0x400;
    public const int O_NDELAY = 0x800;
    public const int O_NONBLOCK = 0x800;
    public const int O_DSYNC = 0x1000;
    public const int O_ASYNC = 0x2000;
    public const int O_DIRECT = 0x4000;
    public const int O_DIRECTORY = 0x10000;
    public const int O_NOFOLLOW = 0x20000;
    public const int O_NOATIME = 0x40000;
    public const int O_CLOEXEC = 0x80000;
    public const int O_FSYNC = 0x101000;
    public const int O_RSYNC = 0x101000;
    public const int O_SYNC = 0x101000;
    public const int O_PATH = 0x200000;
    public const int O_TMPFILE = 0x410000;

    public const int POSIX_FADV_NORMAL = 0;
    public const int POSIX_FADV_RANDOM = 1;
    public const int POSIX_FADV_SEQUENTIAL = 2;
    public const int POSIX_FADV_WILLNEED = 3;
    public const int POSIX_FADV_DONTNEED = 4;
    public const int POSIX_FADV_NOREUSE = 5;

    public const int RENAME_NOREPLACE = 1;
    public const int RENAME_EXCHANGE = 2;
    public const int RENAME_WHITEOUT = 4;

    public const int RESOLVE_NO_XDEV = 1;
    public const int RESOLVE_NO_MAGICLINKS = 2;
    public const int RESOLVE_NO_SYMLINKS = 4;
    public const int RESOLVE_BENEATH = 8;
    public const int RESOLVE_IN_ROOT = 16;
    public const int RESOLVE_CACHED = 32;

    public const int RWF_WRITE_LIFE_NOT_SET = 0;
    public const int RWF_HIPRI = 1;
    public const int RWF_DSYNC = 2;
    public const int RWF_SYNC = 4;
    public const int RWF_NOWAIT = 8;
    public const int RWF_APPEND = 16;
    public const int RWF_SUPPORTED = 31;

    public const int RWH_WRITE_LIFE_NOT_SET = 0;
    public const int RWH_WRITE_LIFE_NONE = 1;
    public const int RWH_WRITE_LIFE_SHORT = 2;
    public const int RWH_WRITE_LIFE_MEDIUM = 3;
    public const int RWH_WRITE_LIFE_LONG = 4;
    public const int RWH_WRITE_LIFE_EXTREME = 5;

    public const int SEEK_SET = 0;
    public const int SEEK_CUR = 1;
    public const int SEEK_END = 2;
    public const int SEEK_DATA = 3;
    public const int SEEK_HOLE = 4;
    public const int SEEK_MAX = 4;

    public const int SPLICE_F_MOVE = 1;
    public const int SPLICE_F_NONBLOCK = 2;
    public const int SPLICE_F_MORE = 4;
    public const int SPLICE_F_GIFT = 8;

    public const int SYNC_FILE_RANGE_WAIT_BEFORE = 1;
    public const int SYNC_FILE_RANGE_WRITE = 2;
    public const int SYNC_FILE_RANGE_WAIT_AFTER = 4;
    public const int SYNC_FILE_RANGE_WRITE_AND_WAIT = 7;
}
