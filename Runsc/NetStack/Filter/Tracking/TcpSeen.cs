using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Filter.Tracking;

/// <summary>What was seen of one direction of a TCP connection.</summary>
internal struct TcpSeen
{
    /// <summary>One beyond the highest sequence number sent.</summary>
    public uint End;

    /// <summary>One beyond the highest that the other side has room for.</summary>
    public uint MaxEnd;

    /// <summary>The largest window offered, in bytes; 0 while nothing was seen.</summary>
    public uint MaxWindow;

    /// <summary>The highest acknowledgement, with <see cref="TcpSeenFlags.HasMaxAck"/>.</summary>
    public uint MaxAck;

    public byte Scale;

    public TcpSeenFlags Flags;

    public readonly bool Has(TcpSeenFlags flags) => (Flags & flags) != 0;

    /// <summary>Takes the options of a SYN.</summary>
    public void Take(in TcpOptions options)
    {
        Scale = options.HasWindowScale ? options.WindowScale : (byte)0;
        Flags = (Flags & TcpSeenFlags.BeLiberal)
            | (options.HasWindowScale ? TcpSeenFlags.WindowScale : TcpSeenFlags.None) | (options.SackPermitted ? TcpSeenFlags.SackPermitted : TcpSeenFlags.None);
    }

    /// <summary>Begins with a SYN that goes in this direction.</summary>
    public void Begin(in TcpSegment segment)
    {
        End = MaxEnd = segment.End;
        MaxWindow = segment.Header.Window == 0 ? 1u : segment.Header.Window;
        Take(segment.Options);
    }
}
