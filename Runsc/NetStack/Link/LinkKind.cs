namespace Runsc.NetStack.Link;

/// <summary>What frames of a link look like, with the values of ARPHRD_*.</summary>
internal enum LinkKind : ushort
{
    Ethernet = 1,
    Loopback = 772,

    /// <summary>Bare IP packets (a tun device).</summary>
    None = 0xfffe,
}
