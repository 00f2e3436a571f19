namespace Runsc.Linux;

/// <summary>linux/netfilter.h, netfilter_ipv4/ip_tables.h, netfilter/x_tables.h, netfilter/nf_nat.h.</summary>
internal static class Netfilter
{
    public const int IPT_SO_SET_REPLACE = 64;
    public const int IPT_SO_SET_ADD_COUNTERS = 65;
    public const int IPT_SO_GET_INFO = 64;
    public const int IPT_SO_GET_ENTRIES = 65;
    public const int IPT_SO_GET_REVISION_MATCH = 66;
    public const int IPT_SO_GET_REVISION_TARGET = 67;
    public const int IP6T_SO_GET_REVISION_MATCH = 68;
    public const int IP6T_SO_GET_REVISION_TARGET = 69;

    /// <summary>Also IP6T_SO_ORIGINAL_DST.</summary>
    public const int SO_ORIGINAL_DST = 80;

    public const int NF_INET_PRE_ROUTING = 0;
    public const int NF_INET_LOCAL_IN = 1;
    public const int NF_INET_FORWARD = 2;
    public const int NF_INET_LOCAL_OUT = 3;
    public const int NF_INET_POST_ROUTING = 4;
    public const int NF_INET_NUMHOOKS = 5;

    public const int NF_DROP = 0;
    public const int NF_ACCEPT = 1;

    /// <summary>XT_RETURN, as a verdict of a standard target.</summary>
    public const int XT_RETURN = -5;

    public const int XT_TABLE_MAXNAMELEN = 32;
    public const int XT_EXTENSION_MAXNAMELEN = 29;
    public const int IFNAMSIZ = 16;

    public const uint NF_NAT_RANGE_MAP_IPS = 1 << 0;
    public const uint NF_NAT_RANGE_PROTO_SPECIFIED = 1 << 1;
    public const uint NF_NAT_RANGE_PROTO_RANDOM = 1 << 2;
    public const uint NF_NAT_RANGE_PERSISTENT = 1 << 3;
    public const uint NF_NAT_RANGE_PROTO_RANDOM_FULLY = 1 << 4;
    public const uint NF_NAT_RANGE_ALL = 0x7f;
}
