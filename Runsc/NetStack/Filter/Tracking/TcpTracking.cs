using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Filter.Tracking;

/// <summary>The states of a TCP connection as somebody sees them who only looks on; sequence numbers are not judged (nf_conntrack_tcp_be_liberal).</summary>
internal static class TcpTracking
{
    private const byte No = (byte)TcpTrackState.None, Ss = (byte)TcpTrackState.SynSent, Sr = (byte)TcpTrackState.SynReceived, Es = (byte)TcpTrackState.Established,
        Fw = (byte)TcpTrackState.FinWait, Cw = (byte)TcpTrackState.CloseWait, La = (byte)TcpTrackState.LastAck, Tw = (byte)TcpTrackState.TimeWait,
        Cl = (byte)TcpTrackState.Close, S2 = (byte)TcpTrackState.SynSent2, Ig = (byte)TcpTrackState.Ignore, Iv = (byte)TcpTrackState.Invalid;

    private const int States = 10;

    // By kind of segment (SYN, SYN and ACK, FIN, ACK, RST) and state, the states in the order of their values.
    private static readonly byte[] s_original =
    [
        Ss, Ss, Ig, Ig, Ig, Ig, Ig, Ss, Ss, S2,
        Iv, Iv, Sr, Iv, Iv, Iv, Iv, Iv, Iv, Sr,
        Iv, Iv, Fw, Fw, La, La, La, Tw, Cl, Iv,
        Es, Iv, Es, Es, Cw, Cw, Tw, Tw, Cl, Iv,
        Iv, Cl, Cl, Cl, Cl, Cl, Cl, Cl, Cl, Cl,
    ];

    private static readonly byte[] s_reply =
    [
        Iv, S2, Ig, Ig, Ig, Ig, Ig, Ss, Iv, S2,
        Iv, Sr, Ig, Ig, Ig, Ig, Ig, Ig, Ig, Sr,
        Iv, Iv, Fw, Fw, La, La, La, Tw, Cl, Iv,
        Iv, Ig, Sr, Es, Cw, Cw, Tw, Tw, Cl, Ig,
        Iv, Cl, Cl, Cl, Cl, Cl, Cl, Cl, Cl, Cl,
    ];

    /// <summary>The state after a segment; Ignore or Invalid.</summary>
    public static TcpTrackState Next(TcpTrackState state, TcpFlags flags, bool isReply)
    {
        int kind = (flags & TcpFlags.Rst) != 0 ? 4
            : (flags & TcpFlags.Syn) != 0 ? (flags & TcpFlags.Ack) != 0 ? 1 : 0
            : (flags & TcpFlags.Fin) != 0 ? 2
            : (flags & TcpFlags.Ack) != 0 ? 3 : -1;
        return kind < 0 ? TcpTrackState.Invalid : (TcpTrackState)(isReply ? s_reply : s_original)[(kind * States) + (int)state];
    }

    /// <summary>Seconds that a connection stays in a state with nothing seen of it.</summary>
    public static int Seconds(TcpTrackState state) => state switch
    {
        TcpTrackState.SynReceived or TcpTrackState.CloseWait => 60,
        TcpTrackState.Established => 432000,
        TcpTrackState.LastAck => 30,
        TcpTrackState.Close => 10,
        _ => 120,
    };
}
