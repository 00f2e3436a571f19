namespace Runsc.NetStack.Wire;

/// <summary>What to do with a packet after its hop-by-hop or destination options were looked at (RFC 8200, 4.2).</summary>
internal enum Ipv6OptionAction
{
    Accept,

    /// <summary>Drop without a word.</summary>
    Discard,

    /// <summary>Drop and send a parameter problem.</summary>
    Report,

    /// <summary>As Report, but not for a packet that was sent to a group.</summary>
    ReportUnlessGroup,
}
