namespace Runsc.Linux;

/// <summary>sys/socket.h, netinet/*.h: socket(7), ip(7), ipv6(7), tcp(7), unix(7).</summary>
internal static class Socket
{
    public const int SOCK_STREAM = 1;
    public const int SOCK_DGRAM = 2;
    public const int SOCK_RAW = 3;
    public const int SOCK_RDM = 4;
    public const int SOCK_SEQPACKET = 5;
    public const int SOCK_DCCP = 6;
    public const int SOCK_PACKET = 10;

    /// <summary>Of linux/net.h, as SOCK_TYPE_MASK: types lie below it.</summary>
    public const int SOCK_MAX = 11;
    public const int SOCK_TYPE_MASK = 0xf;

    /// <summary>sizeof(struct sockaddr_storage), sizeof(struct sockaddr_un), and where its path begins.</summary>
    public const int SockaddrStorageSize = 128;
    public const int SockaddrUnSize = 110;
    public const int UnixPathOffset = 2;

    /// <summary>Descriptors in one SCM_RIGHTS message (linux/net/scm.h).</summary>
    public const int SCM_MAX_FD = 253;
    public const int SCM_PIDFD = 4;

    public const int IPPROTO_IP = 0;
    public const int IPPROTO_ICMP = 1;
    public const int IPPROTO_TCP = 6;
    public const int IPPROTO_UDP = 17;
    public const int IPPROTO_IPV6 = 41;
    public const int IPPROTO_ICMPV6 = 58;
    public const int IPPROTO_UDPLITE = 136;
    public const int IPPROTO_RAW = 255;
    public const int IPPROTO_MAX = 263;
    public const int SOL_UDP = 17;
    public const int SOL_UDPLITE = 136;
    public const int UDP_CORK = 1;
    public const int UDPLITE_SEND_CSCOV = 10;
    public const int UDPLITE_RECV_CSCOV = 11;
    public const int UDP_SEGMENT = 103;
    public const int UDP_GRO = 104;
    public const int ICMP_FILTER = 1;
    public const int IPV6_FLOWINFO = 11;
    public const int MCAST_JOIN_GROUP = 42;
    public const int MCAST_BLOCK_SOURCE = 43;
    public const int MCAST_UNBLOCK_SOURCE = 44;
    public const int MCAST_LEAVE_GROUP = 45;
    public const int MCAST_JOIN_SOURCE_GROUP = 46;
    public const int MCAST_LEAVE_SOURCE_GROUP = 47;
    public const int SOCK_NONBLOCK = 0x800;
    public const int SOCK_CLOEXEC = 0x80000;

    public const int SHUT_RD = 0;
    public const int SHUT_WR = 1;
    public const int SHUT_RDWR = 2;

    public const int SOMAXCONN = 0x1000;

    public const int SIOCSPGRP = 0x8902;

    public const int SIOCGPGRP = 0x8904;
    public const int FIOSETOWN = 0x8901;
    public const int FIOGETOWN = 0x8903;

    public const int SIOCATMARK = 0x8905;

    public const int SIOCGSTAMP = 0x8906;

    public const int SIOCGSTAMPNS = 0x8907;

    public const int SIOCADDRT = 0x890b;

    public const int SIOCDELRT = 0x890c;

    public const int SIOCRTMSG = 0x890d;

    public const int SIOCGIFNAME = 0x8910;

    public const int SIOCSIFLINK = 0x8911;

    public const int SIOCGIFCONF = 0x8912;

    public const int SIOCGIFFLAGS = 0x8913;

    public const int SIOCSIFFLAGS = 0x8914;

    public const int SIOCGIFADDR = 0x8915;

    public const int SIOCSIFADDR = 0x8916;

    public const int SIOCGIFDSTADDR = 0x8917;

    public const int SIOCSIFDSTADDR = 0x8918;

    public const int SIOCGIFBRDADDR = 0x8919;

    public const int SIOCSIFBRDADDR = 0x891a;

    public const int SIOCGIFNETMASK = 0x891b;

    public const int SIOCSIFNETMASK = 0x891c;

    public const int SIOCGIFMETRIC = 0x891d;

    public const int SIOCSIFMETRIC = 0x891e;

    public const int SIOCGIFMEM = 0x891f;

    public const int SIOCSIFMEM = 0x8920;

    public const int SIOCGIFMTU = 0x8921;

    public const int SIOCSIFMTU = 0x8922;

    public const int SIOCSIFNAME = 0x8923;

    public const int SIOCSIFHWADDR = 0x8924;

    public const int SIOCGIFENCAP = 0x8925;

    public const int SIOCSIFENCAP = 0x8926;

    public const int SIOCGIFHWADDR = 0x8927;

    public const int SIOCGIFSLAVE = 0x8929;

    public const int SIOCSIFSLAVE = 0x8930;

    public const int SIOCADDMULTI = 0x8931;

    public const int SIOCDELMULTI = 0x8932;

    public const int SIOCGIFINDEX = 0x8933;

    public const int SIOCSIFPFLAGS = 0x8934;

    public const int SIOCGIFPFLAGS = 0x8935;

    public const int SIOCDIFADDR = 0x8936;

    public const int SIOCSIFHWBROADCAST = 0x8937;

    public const int SIOCGIFCOUNT = 0x8938;

    public const int SIOCGIFBR = 0x8940;

    public const int SIOCSIFBR = 0x8941;

    public const int SIOCGIFTXQLEN = 0x8942;

    public const int SIOCSIFTXQLEN = 0x8943;

    public const int SIOCETHTOOL = 0x8946;

    public const int SIOCGMIIPHY = 0x8947;

    public const int SIOCGMIIREG = 0x8948;

    public const int SIOCSMIIREG = 0x8949;

    public const int SIOCWANDEV = 0x894a;

    public const int SIOCOUTQNSD = 0x894b;

    public const int SIOCGSKNS = 0x894c;

    public const int SIOCDARP = 0x8953;

    public const int SIOCGARP = 0x8954;

    public const int SIOCSARP = 0x8955;

    public const int SIOCDRARP = 0x8960;

    public const int SIOCGRARP = 0x8961;

    public const int SIOCSRARP = 0x8962;

    public const int SIOCGIFMAP = 0x8970;

    public const int SIOCSIFMAP = 0x8971;

    public const int SIOCADDDLCI = 0x8980;

    public const int SIOCDELDLCI = 0x8981;

    public const int SIOCGIFVLAN = 0x8982;

    public const int SIOCSIFVLAN = 0x8983;

    public const int SIOCBONDENSLAVE = 0x8990;

    public const int SIOCBONDRELEASE = 0x8991;

    public const int SIOCBONDSETHWADDR = 0x8992;

    public const int SIOCBONDSLAVEINFOQUERY = 0x8993;

    public const int SIOCBONDINFOQUERY = 0x8994;

    public const int SIOCBONDCHANGEACTIVE = 0x8995;

    public const int SIOCBRADDBR = 0x89a0;

    public const int SIOCBRDELBR = 0x89a1;

    public const int SIOCBRADDIF = 0x89a2;

    public const int SIOCBRDELIF = 0x89a3;

    public const int SIOCSHWTSTAMP = 0x89b0;

    public const int SIOCGHWTSTAMP = 0x89b1;

    public const int SIOCPROTOPRIVATE = 0x89e0;

    public const int SIOCDEVPRIVATE = 0x89f0;

    public const int AF_UNSPEC = 0;
    public const int AF_FILE = 1;
    public const int AF_LOCAL = 1;
    public const int AF_UNIX = 1;
    public const int AF_INET = 2;
    public const int AF_AX25 = 3;
    public const int AF_IPX = 4;
    public const int AF_APPLETALK = 5;
    public const int AF_NETROM = 6;
    public const int AF_BRIDGE = 7;
    public const int AF_ATMPVC = 8;
    public const int AF_X25 = 9;
    public const int AF_INET6 = 10;
    public const int AF_ROSE = 11;
    public const int AF_DECnet = 12;
    public const int AF_NETBEUI = 13;
    public const int AF_SECURITY = 14;
    public const int AF_KEY = 15;
    public const int AF_NETLINK = 16;
    public const int AF_ROUTE = 16;
    public const int AF_PACKET = 17;
    public const int AF_ASH = 18;
    public const int AF_ECONET = 19;
    public const int AF_ATMSVC = 20;
    public const int AF_RDS = 21;
    public const int AF_SNA = 22;
    public const int AF_IRDA = 23;
    public const int AF_PPPOX = 24;
    public const int AF_WANPIPE = 25;
    public const int AF_LLC = 26;
    public const int AF_IB = 27;
    public const int AF_MPLS = 28;
    public const int AF_CAN = 29;
    public const int AF_TIPC = 30;
    public const int AF_BLUETOOTH = 31;
    public const int AF_IUCV = 32;
    public const int AF_RXRPC = 33;
    public const int AF_ISDN = 34;
    public const int AF_PHONET = 35;
    public const int AF_IEEE802154 = 36;
    public const int AF_CAIF = 37;
    public const int AF_ALG = 38;
    public const int AF_NFC = 39;
    public const int AF_VSOCK = 40;
    public const int AF_KCM = 41;
    public const int AF_QIPCRTR = 42;
    public const int AF_SMC = 43;
    public const int AF_XDP = 44;
    public const int AF_MCTP = 45;
    public const int AF_MAX = 46;

    public const int IPV6_PMTUDISC_DONT = 0;
    public const int IPV6_RTHDR_LOOSE = 0;
    public const int IPV6_RTHDR_TYPE_0 = 0;
    public const int IPV6_ADDRFORM = 1;
    public const int IPV6_PMTUDISC_WANT = 1;
    public const int IPV6_RTHDR_STRICT = 1;
    public const int IPV6_2292PKTINFO = 2;
    public const int IPV6_PMTUDISC_DO = 2;
    public const int IPV6_2292HOPOPTS = 3;
    public const int IPV6_PMTUDISC_PROBE = 3;
    public const int IPV6_2292DSTOPTS = 4;
    public const int IPV6_PMTUDISC_INTERFACE = 4;
    public const int IPV6_2292RTHDR = 5;
    public const int IPV6_PMTUDISC_OMIT = 5;
    public const int IPV6_2292PKTOPTIONS = 6;
    public const int IPV6_CHECKSUM = 7;
    public const int IPV6_2292HOPLIMIT = 8;
    public const int IPV6_NEXTHOP = 9;
    public const int IPV6_AUTHHDR = 10;
    public const int IPV6_UNICAST_HOPS = 16;
    public const int IPV6_MULTICAST_IF = 17;
    public const int IPV6_MULTICAST_HOPS = 18;
    public const int IPV6_MULTICAST_LOOP = 19;
    public const int IPV6_ADD_MEMBERSHIP = 20;
    public const int IPV6_JOIN_GROUP = 20;
    public const int IPV6_DROP_MEMBERSHIP = 21;
    public const int IPV6_LEAVE_GROUP = 21;
    public const int IPV6_ROUTER_ALERT = 22;
    public const int IPV6_MTU_DISCOVER = 23;
    public const int IPV6_MTU = 24;
    public const int IPV6_RECVERR = 25;
    public const int IPV6_V6ONLY = 26;
    public const int IPV6_JOIN_ANYCAST = 27;
    public const int IPV6_LEAVE_ANYCAST = 28;
    public const int IPV6_MULTICAST_ALL = 29;
    public const int IPV6_ROUTER_ALERT_ISOLATE = 30;
    public const int IPV6_RECVERR_RFC4884 = 31;
    public const int IPV6_IPSEC_POLICY = 34;
    public const int IPV6_XFRM_POLICY = 35;
    public const int IPV6_HDRINCL = 36;
    public const int IPV6_RECVPKTINFO = 49;
    public const int IPV6_PKTINFO = 50;
    public const int IPV6_RECVHOPLIMIT = 51;
    public const int IPV6_HOPLIMIT = 52;
    public const int IPV6_RECVHOPOPTS = 53;
    public const int IPV6_HOPOPTS = 54;
    public const int IPV6_RXHOPOPTS = 54;
    public const int IPV6_RTHDRDSTOPTS = 55;
    public const int IPV6_RECVRTHDR = 56;
    public const int IPV6_RTHDR = 57;
    public const int IPV6_RECVDSTOPTS = 58;
    public const int IPV6_DSTOPTS = 59;
    public const int IPV6_RXDSTOPTS = 59;
    public const int IPV6_RECVPATHMTU = 60;
    public const int IPV6_PATHMTU = 61;
    public const int IPV6_DONTFRAG = 62;
    public const int IPV6_RECVTCLASS = 66;
    public const int IPV6_TCLASS = 67;
    public const int IPV6_AUTOFLOWLABEL = 70;
    public const int IPV6_ADDR_PREFERENCES = 72;
    public const int IPV6_MINHOPCOUNT = 73;
    public const int IPV6_ORIGDSTADDR = 74;
    public const int IPV6_RECVORIGDSTADDR = 74;
    public const int IPV6_TRANSPARENT = 75;
    public const int IPV6_UNICAST_IF = 76;
    public const int IPV6_RECVFRAGSIZE = 77;
    public const int IPV6_FREEBIND = 78;

    public const int IP_PMTUDISC_DONT = 0;
    public const int IP_DEFAULT_MULTICAST_LOOP = 1;
    public const int IP_DEFAULT_MULTICAST_TTL = 1;
    public const int IP_PMTUDISC_WANT = 1;
    public const int IP_TOS = 1;
    public const int IP_PMTUDISC_DO = 2;
    public const int IP_TTL = 2;
    public const int IP_HDRINCL = 3;
    public const int IP_PMTUDISC_PROBE = 3;
    public const int IP_OPTIONS = 4;
    public const int IP_PMTUDISC_INTERFACE = 4;
    public const int IP_PMTUDISC_OMIT = 5;
    public const int IP_ROUTER_ALERT = 5;
    public const int IP_RECVOPTS = 6;
    public const int IP_RECVRETOPTS = 7;
    public const int IP_RETOPTS = 7;
    public const int IP_PKTINFO = 8;
    public const int IP_PKTOPTIONS = 9;
    public const int IP_MTU_DISCOVER = 10;
    public const int IP_PMTUDISC = 10;
    public const int IP_RECVERR = 11;
    public const int IP_RECVTTL = 12;
    public const int IP_RECVTOS = 13;
    public const int IP_MTU = 14;
    public const int IP_FREEBIND = 15;
    public const int IP_IPSEC_POLICY = 16;
    public const int IP_XFRM_POLICY = 17;
    public const int IP_PASSSEC = 18;
    public const int IP_TRANSPARENT = 19;
    public const int IP_MAX_MEMBERSHIPS = 20;
    public const int IP_ORIGDSTADDR = 20;
    public const int IP_RECVORIGDSTADDR = 20;
    public const int IP_MINTTL = 21;
    public const int IP_NODEFRAG = 22;
    public const int IP_CHECKSUM = 23;
    public const int IP_BIND_ADDRESS_NO_PORT = 24;
    public const int IP_RECVFRAGSIZE = 25;
    public const int IP_RECVERR_RFC4884 = 26;
    public const int IP_MULTICAST_IF = 32;
    public const int IP_MULTICAST_TTL = 33;
    public const int IP_MULTICAST_LOOP = 34;
    public const int IP_ADD_MEMBERSHIP = 35;
    public const int IP_DROP_MEMBERSHIP = 36;
    public const int IP_UNBLOCK_SOURCE = 37;
    public const int IP_BLOCK_SOURCE = 38;
    public const int IP_ADD_SOURCE_MEMBERSHIP = 39;
    public const int IP_DROP_SOURCE_MEMBERSHIP = 40;
    public const int IP_MSFILTER = 41;
    public const int IP_MULTICAST_ALL = 49;
    public const int IP_UNICAST_IF = 50;

    public const int MSG_OOB = 1;
    public const int MSG_PEEK = 2;
    public const int MSG_DONTROUTE = 4;
    public const int MSG_TRYHARD = 4;
    public const int MSG_CTRUNC = 8;
    public const int MSG_PROXY = 16;
    public const int MSG_TRUNC = 32;
    public const int MSG_DONTWAIT = 64;
    public const int MSG_EOR = 128;
    public const int MSG_WAITALL = 256;
    public const int MSG_FIN = 512;
    public const int MSG_SYN = 0x400;
    public const int MSG_CONFIRM = 0x800;
    public const int MSG_RST = 0x1000;
    public const int MSG_ERRQUEUE = 0x2000;
    public const int MSG_NOSIGNAL = 0x4000;
    public const int MSG_MORE = 0x8000;
    public const int MSG_WAITFORONE = 0x10000;
    public const int MSG_BATCH = 0x40000;
    public const int MSG_ZEROCOPY = 0x4000000;
    public const int MSG_FASTOPEN = 0x20000000;
    public const int MSG_CMSG_CLOEXEC = 0x40000000;

    public const int SCM_RIGHTS = 1;
    public const int SCM_CREDENTIALS = 2;
    public const int SCM_TIMESTAMP = 29;
    public const int SCM_TIMESTAMPNS = 35;
    public const int SCM_TIMESTAMPING = 37;
    public const int SCM_WIFI_STATUS = 41;
    public const int SCM_TIMESTAMPING_OPT_STATS = 54;
    public const int SCM_TIMESTAMPING_PKTINFO = 58;
    public const int SCM_TXTIME = 61;

    public const int SIOCGSTAMPNS_OLD = 0x8907;

    public const int SIOCGSTAMP_OLD = 0x8906;

    public const int SOL_IP = 0;
    public const int SOL_SOCKET = 1;
    public const int SOL_TCP = 6;
    public const int SOL_IPV6 = 41;
    public const int SOL_ICMPV6 = 58;
    public const int SOL_RAW = 255;
    public const int SOL_DECNET = 261;
    public const int SOL_X25 = 262;
    public const int SOL_PACKET = 263;

    public const int PACKET_ADD_MEMBERSHIP = 1;
    public const int PACKET_DROP_MEMBERSHIP = 2;
    public const int PACKET_RX_RING = 5;
    public const int PACKET_STATISTICS = 6;
    public const int PACKET_AUXDATA = 8;
    public const int PACKET_ORIGDEV = 9;
    public const int PACKET_VERSION = 10;
    public const int PACKET_HDRLEN = 11;
    public const int PACKET_RESERVE = 12;
    public const int PACKET_FANOUT = 18;
    public const int PACKET_IGNORE_OUTGOING = 23;
    public const int SOL_ATM = 264;
    public const int SOL_AAL = 265;
    public const int SOL_IRDA = 266;
    public const int SOL_NETBEUI = 267;
    public const int SOL_LLC = 268;
    public const int SOL_DCCP = 269;
    public const int SOL_NETLINK = 270;

    public const int NETLINK_ROUTE = 0;
    public const int NETLINK_SOCK_DIAG = 4;
    public const int NETLINK_KOBJECT_UEVENT = 15;
    public const int NETLINK_NETFILTER = 12;
    public const int NETLINK_GENERIC = 16;

    public const int NETLINK_ADD_MEMBERSHIP = 1;
    public const int NETLINK_DROP_MEMBERSHIP = 2;
    public const int NETLINK_PKTINFO = 3;
    public const int NETLINK_BROADCAST_ERROR = 4;
    public const int NETLINK_NO_ENOBUFS = 5;
    public const int NETLINK_LIST_MEMBERSHIPS = 9;
    public const int NETLINK_CAP_ACK = 10;
    public const int NETLINK_EXT_ACK = 11;
    public const int NETLINK_GET_STRICT_CHK = 12;
    public const int SOL_TIPC = 271;
    public const int SOL_RXRPC = 272;
    public const int SOL_PPPOL2TP = 273;
    public const int SOL_BLUETOOTH = 274;
    public const int SOL_PNPIPE = 275;
    public const int SOL_RDS = 276;
    public const int SOL_IUCV = 277;
    public const int SOL_CAIF = 278;
    public const int SOL_ALG = 279;
    public const int SOL_NFC = 280;
    public const int SOL_KCM = 281;
    public const int SOL_TLS = 282;
    public const int SOL_XDP = 283;
    public const int SOL_MPTCP = 284;
    public const int SOL_MCTP = 285;
    public const int SOL_SMC = 286;

    public const int SO_DEBUG = 1;
    public const int SO_REUSEADDR = 2;
    public const int SO_TYPE = 3;
    public const int SO_ERROR = 4;
    public const int SO_DONTROUTE = 5;
    public const int SO_BROADCAST = 6;
    public const int SO_SNDBUF = 7;
    public const int SO_RCVBUF = 8;
    public const int SO_KEEPALIVE = 9;
    public const int SO_OOBINLINE = 10;
    public const int SO_NO_CHECK = 11;
    public const int SO_PRIORITY = 12;
    public const int SO_LINGER = 13;
    public const int SO_BSDCOMPAT = 14;
    public const int SO_REUSEPORT = 15;
    public const int SO_PASSCRED = 16;
    public const int SO_PEERCRED = 17;
    public const int SO_RCVLOWAT = 18;
    public const int SO_SNDLOWAT = 19;
    public const int SO_RCVTIMEO = 20;
    public const int SO_RCVTIMEO_OLD = 20;
    public const int SO_SNDTIMEO = 21;
    public const int SO_SNDTIMEO_OLD = 21;
    public const int SO_SECURITY_AUTHENTICATION = 22;
    public const int SO_SECURITY_ENCRYPTION_TRANSPORT = 23;
    public const int SO_SECURITY_ENCRYPTION_NETWORK = 24;
    public const int SO_BINDTODEVICE = 25;
    public const int SO_ATTACH_FILTER = 26;
    public const int SO_GET_FILTER = 26;
    public const int SO_DETACH_BPF = 27;
    public const int SO_DETACH_FILTER = 27;
    public const int SO_PEERNAME = 28;
    public const int SO_TIMESTAMP = 29;
    public const int SO_TIMESTAMP_OLD = 29;
    public const int SO_ACCEPTCONN = 30;
    public const int SO_PEERSEC = 31;
    public const int SO_SNDBUFFORCE = 32;
    public const int SO_RCVBUFFORCE = 33;
    public const int SO_PASSSEC = 34;
    public const int SO_TIMESTAMPNS = 35;
    public const int SO_TIMESTAMPNS_OLD = 35;
    public const int SO_MARK = 36;
    public const int SO_TIMESTAMPING = 37;
    public const int SO_TIMESTAMPING_OLD = 37;
    public const int SO_PROTOCOL = 38;
    public const int SO_DOMAIN = 39;
    public const int SO_RXQ_OVFL = 40;
    public const int SO_WIFI_STATUS = 41;
    public const int SO_PEEK_OFF = 42;
    public const int SO_NOFCS = 43;
    public const int SO_LOCK_FILTER = 44;
    public const int SO_SELECT_ERR_QUEUE = 45;
    public const int SO_BUSY_POLL = 46;
    public const int SO_MAX_PACING_RATE = 47;
    public const int SO_BPF_EXTENSIONS = 48;
    public const int SO_INCOMING_CPU = 49;
    public const int SO_ATTACH_BPF = 50;
    public const int SO_ATTACH_REUSEPORT_CBPF = 51;
    public const int SO_ATTACH_REUSEPORT_EBPF = 52;
    public const int SO_CNX_ADVICE = 53;
    public const int SO_MEMINFO = 55;
    public const int SO_INCOMING_NAPI_ID = 56;
    public const int SO_COOKIE = 57;
    public const int SO_PEERGROUPS = 59;
    public const int SO_ZEROCOPY = 60;
    public const int SO_TXTIME = 61;
    public const int SO_BINDTOIFINDEX = 62;
    public const int SO_TIMESTAMP_NEW = 63;
    public const int SO_TIMESTAMPNS_NEW = 64;
    public const int SO_TIMESTAMPING_NEW = 65;
    public const int SO_RCVTIMEO_NEW = 66;
    public const int SO_SNDTIMEO_NEW = 67;
    public const int SO_DETACH_REUSEPORT_BPF = 68;
    public const int SO_PREFER_BUSY_POLL = 69;
    public const int SO_BUSY_POLL_BUDGET = 70;
    public const int SO_NETNS_COOKIE = 71;
    public const int SO_BUF_LOCK = 72;
    public const int SO_RESERVE_MEM = 73;
    public const int SO_TXREHASH = 74;
    public const int SO_RCVMARK = 75;
    public const int SO_PASSPIDFD = 76;
    public const int SO_PEERPIDFD = 77;
    public const int SO_PASSRIGHTS = 83;

    public const int TCP_CA_Open = 0;
    public const int TCP_NO_QUEUE = 0;
    public const int TCP_REPAIR_OFF = 0;
    public const int TCP_CA_Disorder = 1;
    public const int TCP_COOKIE_IN_ALWAYS = 1;
    public const int TCP_ESTABLISHED = 1;
    public const int TCP_MD5SIG_FLAG_PREFIX = 1;
    public const int TCP_NODELAY = 1;
    public const int TCP_RECV_QUEUE = 1;
    public const int TCP_REPAIR_ON = 1;
    public const int TCP_CA_CWR = 2;
    public const int TCP_COOKIE_OUT_NEVER = 2;
    public const int TCP_MAXSEG = 2;
    public const int TCP_SEND_QUEUE = 2;
    public const int TCP_SYN_SENT = 2;
    public const int TCP_CA_Recovery = 3;
    public const int TCP_CORK = 3;
    public const int TCP_QUEUES_NR = 3;
    public const int TCP_SYN_RECV = 3;
    public const int TCP_CA_Loss = 4;
    public const int TCP_FIN_WAIT1 = 4;
    public const int TCP_KEEPIDLE = 4;
    public const int TCP_S_DATA_IN = 4;
    public const int TCP_FIN_WAIT2 = 5;
    public const int TCP_KEEPINTVL = 5;
    public const int TCP_KEEPCNT = 6;
    public const int TCP_TIME_WAIT = 6;
    public const int TCP_CLOSE = 7;
    public const int TCP_SYNCNT = 7;
    public const int TCP_CLOSE_WAIT = 8;
    public const int TCP_COOKIE_MIN = 8;
    public const int TCP_LINGER2 = 8;
    public const int TCP_S_DATA_OUT = 8;
    public const int TCP_DEFER_ACCEPT = 9;
    public const int TCP_LAST_ACK = 9;
    public const int TCP_LISTEN = 10;
    public const int TCP_WINDOW_CLAMP = 10;
    public const int TCP_CLOSING = 11;
    public const int TCP_INFO = 11;
    public const int TCP_QUICKACK = 12;
    public const int TCP_CONGESTION = 13;
    public const int TCP_MAX_WINSHIFT = 14;
    public const int TCP_MD5SIG = 14;
    public const int TCP_COOKIE_TRANSACTIONS = 15;
    public const int TCP_COOKIE_MAX = 16;
    public const int TCP_THIN_LINEAR_TIMEOUTS = 16;
    public const int TCP_THIN_DUPACK = 17;
    public const int TCP_USER_TIMEOUT = 18;
    public const int TCP_REPAIR = 19;
    public const int TCP_REPAIR_QUEUE = 20;
    public const int TCP_QUEUE_SEQ = 21;
    public const int TCP_REPAIR_OPTIONS = 22;
    public const int TCP_FASTOPEN = 23;
    public const int TCP_TIMESTAMP = 24;
    public const int TCP_NOTSENT_LOWAT = 25;
    public const int TCP_CC_INFO = 26;
    public const int TCP_SAVE_SYN = 27;
    public const int TCP_SAVED_SYN = 28;
    public const int TCP_REPAIR_WINDOW = 29;
    public const int TCP_FASTOPEN_CONNECT = 30;
    public const int TCP_ULP = 31;
    public const int TCP_COOKIE_PAIR_SIZE = 32;
    public const int TCP_MD5SIG_EXT = 32;
    public const int TCP_FASTOPEN_KEY = 33;
    public const int TCP_FASTOPEN_NO_COOKIE = 34;
    public const int TCP_ZEROCOPY_RECEIVE = 35;
    public const int TCP_CM_INQ = 36;
    public const int TCP_INQ = 36;
    public const int TCP_TX_DELAY = 37;
    public const int TCP_MD5SIG_MAXKEYLEN = 80;
    public const int TCP_MSS = 512;
    public const uint TCP_MSS_DEFAULT = 536;
    public const uint TCP_MSS_DESIRED = 0x4c4;
    public const int TCP_MAXWIN = 0xffff;
    public const int TCP_REPAIR_OFF_NO_WP = -1;
}
