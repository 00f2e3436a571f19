namespace Runsc.Linux;

/// <summary>linux/if_tun.h.</summary>
internal static class IfTun
{
    public const uint TUNSETNOCSUM = 0x400454c8;
    public const uint TUNSETIFF = 0x400454ca;
    public const uint TUNSETPERSIST = 0x400454cb;
    public const uint TUNSETOWNER = 0x400454cc;
    public const uint TUNSETGROUP = 0x400454ce;
    public const uint TUNGETFEATURES = 0x800454cf;
    public const uint TUNSETOFFLOAD = 0x400454d0;
    public const uint TUNGETIFF = 0x800454d2;

    public const int IFF_TUN = 0x0001;
    public const int IFF_TAP = 0x0002;
    public const int IFF_MULTI_QUEUE = 0x0100;
    public const int IFF_PERSIST = 0x0800;
    public const int IFF_NO_PI = 0x1000;
    public const int IFF_NOFILTER = 0x1000;
    public const int IFF_ONE_QUEUE = 0x2000;
    public const int IFF_VNET_HDR = 0x4000;
    public const int IFF_TUN_EXCL = 0x8000;

    /// <summary>A packet was cut to the room that the reader has.</summary>
    public const ushort TUN_PKT_STRIP = 1;
}
