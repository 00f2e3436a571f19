namespace Runsc.NetStack.Network;

/// <summary>IP_MTU_DISCOVER and IPV6_MTU_DISCOVER, with the values of ip(7).</summary>
internal enum PathMtuMode : byte
{
    /// <summary>Never set DF; fragment.</summary>
    Dont = 0,

    /// <summary>DF if the packet fits the path, else fragment.</summary>
    Want = 1,

    /// <summary>Always DF; a packet that does not fit is EMSGSIZE.</summary>
    Do = 2,

    /// <summary>DF and only the interface's MTU counts.</summary>
    Probe = 3,

    /// <summary>The interface's MTU counts, no DF, no fragments.</summary>
    Interface = 4,

    /// <summary>As Interface, but fragments are made.</summary>
    Omit = 5,
}
