namespace Runsc.Linux;

/// <summary>sys/stat.h, linux/stat.h, sys/statfs.h, linux/magic.h.</summary>
internal static class Stat
{
    public const int AAFS_MAGIC = 0x5a3c69f0;

    public const int ADFS_SUPER_MAGIC = 0xadf5;

    public const int AFFS_SUPER_MAGIC = 0xadff;

    public const int AFS_SUPER_MAGIC = 0x5346414f;
    public const int AFS_FS_MAGIC = 0x6b414653;

    public const int ANON_INODE_FS_MAGIC = 0x9041934;

    public const int AUTOFS_SUPER_MAGIC = 391;

    public const int BDEVFS_MAGIC = 0x62646576;

    public const int BINDERFS_SUPER_MAGIC = 0x6c6f6f70;

    public const int BINFMTFS_MAGIC = 0x42494e4d;

    public const uint BPF_FS_MAGIC = 0xcafe4a11;

    public const int BTRFS_TEST_MAGIC = 0x73727279;
    public const uint BTRFS_SUPER_MAGIC = 0x9123683e;

    public const int CEPH_SUPER_MAGIC = 0xc36400;

    public const int CGROUP2_SUPER_MAGIC = 0x63677270;

    public const int CGROUP_SUPER_MAGIC = 0x27e0eb;

    public const uint CIFS_SUPER_MAGIC = 0xff534d42;

    public const int CODA_SUPER_MAGIC = 0x73757245;

    public const int CRAMFS_MAGIC = 0x28cd3d45;

    public const int DAXFS_MAGIC = 0x64646178;

    public const int DEBUGFS_MAGIC = 0x64626720;

    public const int DEVMEM_MAGIC = 0x454d444d;

    public const int DEVPTS_SUPER_MAGIC = 0x1cd1;

    public const int DMA_BUF_MAGIC = 0x444d4142;

    public const int ECRYPTFS_SUPER_MAGIC = 0xf15f;

    public const uint EFIVARFS_MAGIC = 0xde5e81e4;

    public const int EFS_SUPER_MAGIC = 0x414a53;

    public const int EXFAT_SUPER_MAGIC = 0x2011bab0;

    public const int EXT2_SUPER_MAGIC = 0xef53;

    public const int EXT3_SUPER_MAGIC = 0xef53;

    public const int EXT4_SUPER_MAGIC = 0xef53;

    public const uint F2FS_SUPER_MAGIC = 0xf2f52010;

    public const int FUSE_SUPER_MAGIC = 0x65735546;

    public const int FUTEXFS_SUPER_MAGIC = 0xbad1dea;

    public const int HOSTFS_SUPER_MAGIC = 0xc0ffee;

    public const uint HPFS_SUPER_MAGIC = 0xf995e849;

    public const uint HUGETLBFS_MAGIC = 0x958458f6;

    public const int ISOFS_SUPER_MAGIC = 0x9660;

    public const int JFFS2_SUPER_MAGIC = 0x72b6;

    public const int MINIX2_SUPER_MAGIC = 0x2468;

    public const int MINIX3_SUPER_MAGIC = 0x4d5a;

    public const int MINIX_SUPER_MAGIC = 0x137f;

    public const int MSDOS_SUPER_MAGIC = 0x4d44;

    public const int MTD_INODE_FS_MAGIC = 0x11307854;

    public const int NCP_SUPER_MAGIC = 0x564c;

    public const int NFS_SUPER_MAGIC = 0x6969;

    public const int NILFS_SUPER_MAGIC = 0x3434;

    public const int NSFS_MAGIC = 0x6e736673;

    public const int OCFS2_SUPER_MAGIC = 0x7461636f;

    public const int OPENPROM_SUPER_MAGIC = 0x9fa1;

    public const int OVERLAYFS_SUPER_MAGIC = 0x794c7630;

    public const int PIPEFS_MAGIC = 0x50495045;

    public const int PROC_SUPER_MAGIC = 0x9fa0;

    public const int PSTOREFS_MAGIC = 0x6165676c;

    public const int QNX4_SUPER_MAGIC = 47;

    public const int QNX6_SUPER_MAGIC = 0x68191122;

    public const uint RAMFS_MAGIC = 0x858458f6;

    public const int RDTGROUP_SUPER_MAGIC = 0x7655821;

    public const int REISERFS_SUPER_MAGIC = 0x52654973;

    public const int SECRETMEM_MAGIC = 0x5345434d;

    public const int SECURITYFS_MAGIC = 0x73636673;

    public const uint SELINUX_MAGIC = 0xf97cff8c;

    public const int SMACK_MAGIC = 0x43415d53;

    public const uint SMB2_SUPER_MAGIC = 0xfe534d42;

    public const int SMB_SUPER_MAGIC = 0x517b;

    public const int SOCKFS_MAGIC = 0x534f434b;

    public const int SQUASHFS_MAGIC = 0x73717368;

    public const int STACK_END_MAGIC = 0x57ac6e9d;

    public const uint STATX_TYPE = 1;
    public const uint STATX_MODE = 2;
    public const int STATX_ATTR_COMPRESSED = 4;
    public const uint STATX_NLINK = 4;
    public const uint STATX_UID = 8;
    public const int STATX_ATTR_IMMUTABLE = 16;
    public const uint STATX_GID = 16;
    public const uint STATX_ATIME = 32;
    public const int STATX_ATTR_APPEND = 32;
    public const int STATX_ATTR_NODUMP = 64;
    public const uint STATX_MTIME = 64;
    public const uint STATX_CTIME = 128;
    public const uint STATX_INO = 256;
    public const uint STATX_SIZE = 512;
    public const uint STATX_BLOCKS = 0x400;
    public const uint STATX_BASIC_STATS = 0x7ff;
    public const int STATX_ATTR_ENCRYPTED = 0x800;
    public const uint STATX_BTIME = 0x800;
    public const uint STATX_ALL = 0xfff;
    public const int STATX_ATTR_AUTOMOUNT = 0x1000;
    public const uint STATX_MNT_ID = 0x1000;
    public const int STATX_ATTR_MOUNT_ROOT = 0x2000;
    public const uint STATX_DIOALIGN = 0x2000;
    public const int STATX_ATTR_VERITY = 0x100000;
    public const int STATX_ATTR_DAX = 0x200000;
    public const uint STATX__RESERVED = 0x80000000;

    public const int SYSFS_MAGIC = 0x62656572;

    public const int S_IXOTH = 1;
    public const int S_IWOTH = 2;
    public const int S_IROTH = 4;
    public const int S_IRWXO = 7;
    public const int S_IXGRP = 8;
    public const int S_IWGRP = 16;
    public const int S_IRGRP = 32;
    public const int S_IRWXG = 56;
    public const int S_IEXEC = 64;
    public const int S_IXUSR = 64;
    public const int S_IWRITE = 128;
    public const int S_IWUSR = 128;
    public const int S_IREAD = 256;
    public const int S_IRUSR = 256;
    public const int S_IRWXU = 448;
    public const int S_ISVTX = 512;
    public const int S_ISGID = 0x400;
    public const int S_ISUID = 0x800;
    public const int S_IFIFO = 0x1000;
    public const int S_IFCHR = 0x2000;
    public const int S_IFDIR = 0x4000;
    public const int S_IFBLK = 0x6000;
    public const int S_IFREG = 0x8000;
    public const int S_IFLNK = 0xa000;
    public const int S_IFSOCK = 0xc000;
    public const int S_IFMT = 0xf000;

    public const int TMPFS_MAGIC = 0x1021994;

    public const int TRACEFS_MAGIC = 0x74726163;

    public const int UDF_SUPER_MAGIC = 0x15013346;

    public const int USBDEVICE_SUPER_MAGIC = 0x9fa2;

    public const long UTIME_OMIT = 0x3ffffffe;
    public const long UTIME_NOW = 0x3fffffff;

    public const int V9FS_MAGIC = 0x1021997;

    public const uint XENFS_SUPER_MAGIC = 0xabba1974;

    public const int XFS_SUPER_MAGIC = 0x58465342;

    public const int ZONEFS_MAGIC = 0x5a4f4653;
}
