namespace Runsc.NetStack.Transport.Tcp;

/// <summary>A segment without data that no endpoint sends: SYN-ACKs of requests, resets, and answers of TIME-WAIT.</summary>
internal struct TcpReply
{
    public IpAddress Local;
    public ushort LocalPort;
    public IpAddress Remote;
    public ushort RemotePort;

    /// <summary>The interface of an address with a scope, or 0.</summary>
    public int Interface;

    public SeqNum Seq;
    public SeqNum Ack;
    public Wire.TcpFlags Flags;
    public ushort Window;
    public uint Mark;
    public byte TrafficClass;
}
