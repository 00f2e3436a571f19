namespace Runsc.NetStack.Transport.Tcp;

/// <summary>What goes out after an acknowledgement was worked off.</summary>
internal enum Resend : byte
{
    No,

    /// <summary>What is marked lost.</summary>
    Lost,

    /// <summary>New data, to find out whether the time-out was wrong (F-RTO).</summary>
    New,
}
