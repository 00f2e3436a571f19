namespace Runsc.NineP;

/// <summary>Types of messages: those of 9P2000.L by their numbers (diod's protocol.md), and our extensions from 200 on. The answer is the next number.</summary>
internal enum MessageType : byte
{
    /// <summary>Answer to any request: errno[4].</summary>
    Rlerror = 7,

    /// <summary>fid[4] → struct statfs (120).</summary>
    Tstatfs = 8,

    /// <summary>fid[4] flags[4] → nothing; a regular file's descriptor comes with the answer.</summary>
    Tlopen = 12,

    /// <summary>fid[4] newfid[4] name[s] flags[4] mode[4] uid[4] gid[4] → attributes, with the open file's descriptor.</summary>
    Tlcreate = 14,

    /// <summary>fid[4] newfid[4] name[s] target[s] uid[4] gid[4] → attributes.</summary>
    Tsymlink = 16,

    /// <summary>fid[4] newfid[4] name[s] mode[4] device[8] uid[4] gid[4] → attributes.</summary>
    Tmknod = 18,

    /// <summary>fid[4] → target[s].</summary>
    Treadlink = 22,

    /// <summary>fid[4] → attributes.</summary>
    Tgetattr = 24,

    /// <summary>fid[4] valid[4] mode[4] uid[4] gid[4] size[8] atime[8+8] mtime[8+8] → nothing.</summary>
    Tsetattr = 26,

    /// <summary>fid[4] offset[8] count[4] → count[4], then inode[8] offset[8] type[1] name[s] for each entry.</summary>
    Treaddir = 40,

    /// <summary>fid[4] dataonly[4] → nothing.</summary>
    Tfsync = 50,

    /// <summary>dirfid[4] fid[4] name[s] → nothing.</summary>
    Tlink = 70,

    /// <summary>fid[4] newfid[4] name[s] mode[4] uid[4] gid[4] → attributes.</summary>
    Tmkdir = 72,

    /// <summary>fid[4] name[s] newfid[4] newname[s] flags[4] → nothing.</summary>
    Trenameat = 74,

    /// <summary>fid[4] name[s] flags[4] → nothing.</summary>
    Tunlinkat = 76,

    /// <summary>msize[4] version[s] → msize[4] version[s].</summary>
    Tversion = 100,

    /// <summary>fid[4] → attributes of the root.</summary>
    Tattach = 104,

    /// <summary>fid[4] → nothing.</summary>
    Tclunk = 120,

    /// <summary>fid[4] newfid[4] name[s] → attributes: walk and getattr in one.</summary>
    Twalkgetattr = 200,

    /// <summary>fid[4] size[4] name[s] → size[4] value.</summary>
    Tgetxattr = 202,

    /// <summary>fid[4] flags[4] name[s] value[s] → nothing.</summary>
    Tsetxattr = 204,

    /// <summary>fid[4] size[4] → size[4] names.</summary>
    Tlistxattr = 206,

    /// <summary>fid[4] name[s] → nothing.</summary>
    Tremovexattr = 208,
}
