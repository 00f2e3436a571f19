namespace Runsc.NineP;

/// <summary>Message numbers of 9P2000.L, and our own from 200 on. A reply is its request's number plus one.</summary>
internal enum MessageType : byte
{
    Rlerror = 7,
    Tstatfs = 8,
    Tlopen = 12,
    Tlcreate = 14,
    Tsymlink = 16,
    Tmknod = 18,
    Treadlink = 22,
    Tgetattr = 24,
    Tsetattr = 26,
    Treaddir = 40,
    Tfsync = 50,
    Tlink = 70,
    Tmkdir = 72,
    Trenameat = 74,
    Tunlinkat = 76,
    Tversion = 100,
    Tattach = 104,
    Tflush = 108,
    Twalk = 110,
    Tread = 116,
    Twrite = 118,
    Tclunk = 120,

    /// <summary>fid[4] newfid[4] nwname[2] wname[s]* → count[2] (dev[8] attributes)*. Walks and stats in one trip; newfid is bound when all names were found. NoFid only looks.</summary>
    Twalkgetattr = 200,

    /// <summary>fid[4] access[4] → empty, with a descriptor of the regular file (SCM_RIGHTS). access: O_RDONLY, O_WRONLY, O_RDWR. The fid stays as it was.</summary>
    Tdonate = 202,

    /// <summary>dfid[4] newfid[4] name[s] mode[4] uid[4] gid[4] rdev[8] target[s] access[4] → dev[8] attributes. Makes any type of file; a regular one is opened and donated unless access is NoAccess.</summary>
    Tmake = 204,

    /// <summary>fid[4] name[s] size[4] → size[4] count[4] value. size 0 asks for the size only.</summary>
    Tgetxattr = 206,

    /// <summary>fid[4] name[s] flags[4] count[4] value → empty.</summary>
    Tsetxattr = 208,

    /// <summary>fid[4] size[4] → size[4] count[4] names.</summary>
    Tlistxattr = 210,

    /// <summary>fid[4] name[s] → empty.</summary>
    Tremovexattr = 212,

    /// <summary>olddirfid[4] oldname[s] newdirfid[4] newname[s] flags[4] → empty. renameat2(2).</summary>
    Trenameat2 = 214,

    /// <summary>count[2] fid[4]* → empty. Fids that are not known are passed over.</summary>
    Tclunkmany = 216,
}

/// <summary>What both ends agree on.</summary>
internal static class Protocol
{
    /// <summary>The base protocol with our extension messages.</summary>
    public static System.ReadOnlySpan<byte> ExtendedVersion => "9P2000.L.runsc1"u8;

    public static System.ReadOnlySpan<byte> Version => "9P2000.L"u8;

    /// <summary>size[4] type[1] tag[2].</summary>
    public const int HeaderSize = 7;

    /// <summary>Largest message that either end sends. A packet of a Unix socket must fit the default send buffer of the host.</summary>
    public const int MaxMessage = 64 << 10;

    /// <summary>A server refuses to work with less.</summary>
    public const int MinMessage = 8 << 10;

    /// <summary>Data in one message, so that it fits with the fields around it.</summary>
    public const int MaxData = MaxMessage - 512;

    public const uint NoFid = uint.MaxValue;
    public const ushort NoTag = ushort.MaxValue;
    public const uint NoAccess = uint.MaxValue;

    /// <summary>MAXWELEM: names in one walk.</summary>
    public const int MaxWalk = 16;

    public const int MaxName = 255;
    public const int MaxLink = 4095;
    public const int MaxXattrValue = 60 << 10;

    // Bits of valid in Tsetattr.
    public const uint SetMode = 1;
    public const uint SetUid = 2;
    public const uint SetGid = 4;
    public const uint SetSize = 8;
    public const uint SetAccessTime = 0x10;
    public const uint SetModifyTime = 0x20;
    public const uint SetAccessTimeTo = 0x80;
    public const uint SetModifyTimeTo = 0x100;

    /// <summary>P9_GETATTR_BASIC: what valid says in Rgetattr.</summary>
    public const ulong BasicAttributes = 0x7ff;
}
