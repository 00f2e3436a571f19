namespace Runsc.Linux;

/// <summary>asm-generic/ioctls.h, linux/fs.h, asm-generic/termbits.h: ioctl_tty(2), termios(3).</summary>
internal static class Ioctls
{
    public const int TCIFLUSH = 0;

    public const int TCOOFF = 0;

    public const int VINTR = 0;

    public const uint FIBMAP = 1;

    public const int IGNBRK = 1;

    public const int ISIG = 1;

    public const int OPOST = 1;

    public const int TCOFLUSH = 1;

    public const int TCOON = 1;

    public const int VQUIT = 1;

    public const int BRKINT = 2;

    public const uint FIGETBSZ = 2;

    public const int ICANON = 2;

    public const int OLCUC = 2;

    public const int TCIOFF = 2;

    public const int TCIOFLUSH = 2;

    public const int VERASE = 2;

    public const int TCION = 3;

    public const int VKILL = 3;

    public const int IGNPAR = 4;

    public const int ONLCR = 4;

    public const int VEOF = 4;

    public const int XCASE = 4;

    public const int VTIME = 5;

    public const int VMIN = 6;

    public const int VSWTC = 7;

    public const int ECHO = 8;

    public const int OCRNL = 8;

    public const int PARMRK = 8;

    public const int VSTART = 8;

    public const int VSTOP = 9;

    public const int VSUSP = 10;

    public const int VEOL = 11;

    public const int VREPRINT = 12;

    public const int VDISCARD = 13;

    public const int VWERASE = 14;

    public const int B38400 = 15;

    public const int VLNEXT = 15;

    public const int ECHOE = 16;

    public const int INPCK = 16;

    public const int ONOCR = 16;

    public const int VEOL2 = 16;

    public const int ECHOK = 32;

    public const int ISTRIP = 32;

    public const int ONLRET = 32;

    public const int CS8 = 48;

    public const int CSIZE = 48;

    public const int ECHONL = 64;

    public const int INLCR = 64;

    public const int OFILL = 64;

    public const int CREAD = 128;

    public const int IGNCR = 128;

    public const int NOFLSH = 128;

    public const int OFDEL = 128;

    public const int ICRNL = 256;

    public const int PARENB = 256;

    public const int TOSTOP = 256;

    public const int ECHOCTL = 512;

    public const int IUCLC = 512;

    public const int ECHOPRT = 0x400;

    public const int HUPCL = 0x400;

    public const int IXON = 0x400;

    public const int CLOCAL = 0x800;

    public const int ECHOKE = 0x800;

    public const int IXANY = 0x800;

    public const int FLUSHO = 0x1000;

    public const int IXOFF = 0x1000;

    public const int CBAUD = 0x100f;

    public const uint BLKROSET = 0x125d;

    public const uint BLKROGET = 0x125e;

    public const uint BLKRRPART = 0x125f;

    public const uint BLKGETSIZE = 0x1260;

    public const uint BLKFLSBUF = 0x1261;

    public const uint BLKRASET = 0x1262;

    public const uint BLKRAGET = 0x1263;

    public const uint BLKFRASET = 0x1264;

    public const uint BLKFRAGET = 0x1265;

    public const uint BLKSECTSET = 0x1266;

    public const uint BLKSECTGET = 0x1267;

    public const uint BLKSSZGET = 0x1268;

    public const uint BLKTRACESTART = 0x1274;

    public const uint BLKTRACESTOP = 0x1275;

    public const uint BLKTRACETEARDOWN = 0x1276;

    public const uint BLKDISCARD = 0x1277;

    public const uint BLKIOMIN = 0x1278;

    public const uint BLKIOOPT = 0x1279;

    public const uint BLKALIGNOFF = 0x127a;

    public const uint BLKPBSZGET = 0x127b;

    public const uint BLKDISCARDZEROES = 0x127c;

    public const uint BLKSECDISCARD = 0x127d;

    public const uint BLKROTATIONAL = 0x127e;

    public const uint BLKZEROOUT = 0x127f;

    public const int TAB3 = 0x1800;

    public const int TABDLY = 0x1800;

    public const int XTABS = 0x1800;

    public const int IMAXBEL = 0x2000;

    public const int IUTF8 = 0x4000;

    public const int PENDIN = 0x4000;

    public const int TCGETS = 0x5401;

    public const int TCSETS = 0x5402;

    public const int TCSETSW = 0x5403;

    public const int TCSETSF = 0x5404;

    public const int TCGETA = 0x5405;

    public const int TCSETA = 0x5406;

    public const int TCSETAW = 0x5407;

    public const int TCSETAF = 0x5408;

    public const int TCSBRK = 0x5409;

    public const int TCXONC = 0x540a;

    public const int TCFLSH = 0x540b;

    public const int TIOCEXCL = 0x540c;

    public const int TIOCNXCL = 0x540d;

    public const int TIOCSCTTY = 0x540e;

    public const int TIOCGPGRP = 0x540f;

    public const int TIOCSPGRP = 0x5410;

    public const int TIOCOUTQ = 0x5411;

    public const int TIOCSTI = 0x5412;

    public const int TIOCGWINSZ = 0x5413;

    public const int TIOCSWINSZ = 0x5414;

    public const int TIOCMGET = 0x5415;

    public const int TIOCMBIS = 0x5416;

    public const int TIOCMBIC = 0x5417;

    public const int TIOCMSET = 0x5418;

    public const int TIOCGSOFTCAR = 0x5419;

    public const int TIOCSSOFTCAR = 0x541a;

    public const int FIONREAD = 0x541b;

    public const int TIOCINQ = 0x541b;

    public const int TIOCLINUX = 0x541c;

    public const int TIOCCONS = 0x541d;

    public const int TIOCGSERIAL = 0x541e;

    public const int TIOCSSERIAL = 0x541f;

    public const int TIOCPKT = 0x5420;

    public const int FIONBIO = 0x5421;

    public const int TIOCNOTTY = 0x5422;

    public const int TIOCSETD = 0x5423;

    public const int TIOCGETD = 0x5424;

    public const int TCSBRKP = 0x5425;

    public const int TIOCSBRK = 0x5427;

    public const int TIOCCBRK = 0x5428;

    public const int TIOCGSID = 0x5429;

    public const int TIOCGRS485 = 0x542e;

    public const int TIOCSRS485 = 0x542f;

    public const int TCGETX = 0x5432;

    public const int TCSETX = 0x5433;

    public const int TCSETXF = 0x5434;

    public const int TCSETXW = 0x5435;

    public const int TIOCVHANGUP = 0x5437;

    public const uint TIOCGPTPEER = 0x5441;

    public const int FIONCLEX = 0x5450;

    public const int FIOCLEX = 0x5451;

    public const int FIOASYNC = 0x5452;

    public const int TIOCSERCONFIG = 0x5453;

    public const int TIOCSERGWILD = 0x5454;

    public const int TIOCSERSWILD = 0x5455;

    public const int TIOCGLCKTRMIOS = 0x5456;

    public const int TIOCSLCKTRMIOS = 0x5457;

    public const int TIOCSERGSTRUCT = 0x5458;

    public const int TIOCSERGETLSR = 0x5459;

    public const int TIOCSERGETMULTI = 0x545a;

    public const int TIOCSERSETMULTI = 0x545b;

    public const int TIOCMIWAIT = 0x545c;

    public const int TIOCGICOUNT = 0x545d;

    public const int FIOQSIZE = 0x5460;

    public const int IEXTEN = 0x8000;

    public const int EXTPROC = 0x10000;

    public const ulong TIOCSPTLCK = 0x40045431;

    public const ulong TIOCSIG = 0x40045436;

    public const ulong FICLONE = 0x40049409;

    public const ulong BLKBSZSET = 0x40081271;

    public const ulong FICLONERANGE = 0x4020940d;

    public const ulong TCSETS2 = 0x402c542b;

    public const ulong TCSETSW2 = 0x402c542c;

    public const ulong TCSETSF2 = 0x402c542d;

    public const ulong TIOCGPTN = 0x80045430;

    public const ulong TIOCGDEV = 0x80045432;

    public const ulong TIOCGPKT = 0x80045438;

    public const ulong TIOCGPTLCK = 0x80045439;

    public const ulong TIOCGEXCL = 0x80045440;

    public const ulong BLKBSZGET = 0x80081270;

    public const ulong BLKGETSIZE64 = 0x80081272;

    public const ulong BLKGETDISKSEQ = 0x80081280;

    public const ulong TCGETS2 = 0x802c542a;

    public const ulong FIFREEZE = 0xc0045877;

    public const ulong FITHAW = 0xc0045878;

    public const ulong FITRIM = 0xc0185879;

    public const ulong FIDEDUPERANGE = 0xc0189436;

    public const ulong FS_IOC_SETFLAGS = 0x40086602;
    public const ulong FS_IOC_SETVERSION = 0x40087602;
    public const ulong FS_IOC_GET_ENCRYPTION_POLICY = 0x400c6615;
    public const ulong FS_IOC_GET_ENCRYPTION_PWSALT = 0x40106614;
    public const ulong FS_IOC_FSSETXATTR = 0x401c5820;
    public const ulong FS_IOC_SETFSLABEL = 0x41009432;
    public const ulong FS_IOC_GETFLAGS = 0x80086601;
    public const ulong FS_IOC_GETVERSION = 0x80087601;
    public const ulong FS_IOC_SET_ENCRYPTION_POLICY = 0x800c6613;
    public const ulong FS_IOC_GET_ENCRYPTION_NONCE = 0x8010661b;
    public const ulong FS_IOC_FSGETXATTR = 0x801c581f;
    public const ulong FS_IOC_GETFSLABEL = 0x81009431;
    public const ulong FS_IOC_GET_ENCRYPTION_POLICY_EX = 0xc0096616;
    public const ulong FS_IOC_REMOVE_ENCRYPTION_KEY = 0xc0406618;
    public const ulong FS_IOC_REMOVE_ENCRYPTION_KEY_ALL_USERS = 0xc0406619;
    public const ulong FS_IOC_ADD_ENCRYPTION_KEY = 0xc0506617;
    public const ulong FS_IOC_GET_ENCRYPTION_KEY_STATUS = 0xc080661a;

    public const int TIOCPKT_DATA = 0;
    public const int TIOCPKT_FLUSHREAD = 1;
    public const int TIOCPKT_FLUSHWRITE = 2;
    public const int TIOCPKT_STOP = 4;
    public const int TIOCPKT_START = 8;
    public const int TIOCPKT_NOSTOP = 16;
    public const int TIOCPKT_DOSTOP = 32;
    public const int TIOCPKT_IOCTL = 64;

    public const int TIOCSER_TEMT = 1;
}
