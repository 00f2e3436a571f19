using Runsc.NetStack;
using Runsc.NetStack.Network;
using Runsc.NetStack.Transport.Tcp;
using Xunit;

namespace Runsc.Tests.Unit.NetStack.Tcp;

/// <summary>Losses: time-outs, fast retransmission with and without SACK, RACK, probes of the tail, undoing, path MTU.</summary>
public sealed class TcpRecoveryTests
{
    private readonly TcpScript _script = new();

    /// <summary>A connection with a round trip of 100 ms that has sent ten segments of 1000 bytes.</summary>
    private TcpEndpoint TenOut(string options = "<mss 1000,sackOK>")
    {
        TcpEndpoint listener = _script.Listen();
        _script.In($"S 0:0(0) win 60000 {options}");
        _script.Out("S. 0:0(0) ack 1");
        _script.Wait(0.1);
        _script.In(". 1:1(0) ack 1 win 60000");
        Assert.Equal(NetError.None, listener.Accept(out TcpEndpoint? connection));
        _script.Write(connection!, 1, 10000);
        for (int i = 0; i < 10; i++)
        {
            _script.Out($"{(i == 9 ? "P" : "")}. {1 + (i * 1000)}:{1001 + (i * 1000)}(1000) ack 1");
        }

        _script.Nothing();
        return connection!;
    }

    [Fact]
    public void Timeout_Everything_IsSentAgainSlowly()
    {
        TcpEndpoint connection = TenOut("<mss 1000>");
        _script.Wait(0.25);
        _script.Nothing();
        _script.Wait(0.1);
        _script.Out("P. 1:1001(1000) ack 1");
        TcpInfo info = connection.GetInfo();
        Assert.Equal(CongestionState.Loss, info.CongestionState);
        Assert.Equal(1u, info.SendWindow);
        Assert.Equal(7u, info.SendThreshold);
        _script.In(". 1:1(0) ack 1001");
        _script.Out(". 1001:2001(1000) ack 1");
        _script.Out("P. 2001:3001(1000) ack 1");
        _script.Nothing();
        _script.In(". 1:1(0) ack 10001");
        Assert.Equal(0u, connection.GetInfo().Unacked);
    }

    [Fact]
    public void FastRetransmit_Sack_SendsOnlyWhatIsMissing()
    {
        TcpEndpoint connection = TenOut();
        _script.Wait(0.1);
        _script.In(". 1:1(0) ack 1 <sack 1001:2001>");
        _script.In(". 1:1(0) ack 1 <sack 1001:3001>");
        _script.Nothing();
        _script.In(". 1:1(0) ack 1 <sack 1001:4001>");
        _script.Out("P. 1:1001(1000) ack 1");
        TcpInfo info = connection.GetInfo();
        Assert.Equal(CongestionState.Recovery, info.CongestionState);
        Assert.Equal(3u, info.Sacked);
        Assert.Equal(1u, info.Retrans);
        Assert.Equal(7u, info.SendThreshold);
        _script.In(". 1:1(0) ack 1 <sack 1001:10001>");
        _script.Nothing();
        _script.Wait(0.1);
        _script.In(". 1:1(0) ack 10001");
        info = connection.GetInfo();
        Assert.Equal(CongestionState.Open, info.CongestionState);
        Assert.Equal(7u, info.SendWindow);
        Assert.Equal(1, _script.Tcp.Statistics.FastRetrans);
        Assert.Equal(0, _script.Tcp.Statistics.Timeouts);
    }

    [Fact]
    public void FastRetransmit_Reno_ThirdDuplicateAndPartialAcks()
    {
        TcpEndpoint connection = TenOut("<mss 1000>");
        _script.Wait(0.1);
        _script.In(". 1:1(0) ack 1 win 60000");
        _script.In(". 1:1(0) ack 1 win 60000");
        _script.Nothing();
        _script.In(". 1:1(0) ack 1 win 60000");
        _script.Out("P. 1:1001(1000) ack 1");
        Assert.Equal(CongestionState.Recovery, connection.GetInfo().CongestionState);

        // A second one is missing: the partial acknowledgement says so.
        _script.In(". 1:1(0) ack 4001 win 60000");
        _script.Out("P. 4001:5001(1000) ack 1");
        _script.In(". 1:1(0) ack 10001 win 60000");
        _script.Nothing();
    }

    [Fact]
    public void Rack_ReorderedWithinAQuarterRoundTrip_IsNotLost()
    {
        TcpEndpoint connection = TenOut();
        _script.Wait(0.1);

        // Reordering was seen before.
        _script.In(". 1:1(0) ack 1 <sack 1001:2001>");
        _script.In(". 1:1(0) ack 2001");
        Assert.Equal(1u, connection.GetInfo().ReorderingSeen);
        _script.Wait(0.01);
        _script.In(". 1:1(0) ack 2001 <sack 3001:7001>");
        _script.Nothing();
        _script.Wait(0.01);
        _script.Nothing();
        _script.In(". 1:1(0) ack 7001");
        Assert.Equal(0, _script.Tcp.Statistics.RetransSegs);

        // Here it does not come: the timer of RACK sends it again, long before a time-out.
        _script.In(". 1:1(0) ack 7001 <sack 8001:10001>");
        _script.Wait(0.04);
        _script.Out("P. 7001:8001(1000) ack 1");
    }

    [Fact]
    public void TailLoss_Probe_RepairsBeforeTheTimeout()
    {
        TcpEndpoint connection = TenOut();
        _script.Wait(0.1);
        _script.In(". 1:1(0) ack 8001");
        _script.Wait(0.19);
        _script.Nothing();
        _script.Wait(0.03);
        _script.Out("P. 9001:10001(1000) ack 1");
        Assert.Equal(1, _script.Tcp.Statistics.LossProbes);
        _script.Wait(0.09);
        _script.In(". 1:1(0) ack 8001 <sack 9001:10001>");
        _script.Wait(0.03);
        _script.Out("P. 8001:9001(1000) ack 1");
        _script.In(". 1:1(0) ack 10001");
        Assert.Equal(0, _script.Tcp.Statistics.Timeouts);
        Assert.Equal(CongestionState.Open, connection.GetInfo().CongestionState);
    }

    [Fact]
    public void LostRetransmission_IsDetectedByRack()
    {
        TenOut();
        _script.Wait(0.1);
        _script.In(". 1:1(0) ack 1 <sack 1001:5001>");
        _script.Out("P. 1:1001(1000) ack 1");
        _script.Wait(0.05);
        _script.In(". 1:1(0) ack 1 <sack 1001:10001>");
        _script.Drop();
        _script.Wait(0.06);
        _script.Nothing();
        Assert.Equal(0, _script.Tcp.Statistics.Timeouts);
    }

    [Fact]
    public void Undo_Dsack_RestoresTheWindow()
    {
        TcpEndpoint connection = TenOut();
        _script.Wait(0.1);
        _script.In(". 1:1(0) ack 1 <sack 1001:4001>");
        _script.Out("P. 1:1001(1000) ack 1");
        Assert.Equal(7u, connection.GetInfo().SendThreshold);

        // The original was late, and the copy was not needed.
        _script.In(". 1:1(0) ack 10001");
        _script.In(". 1:1(0) ack 10001 <sack 1:1001>");
        Assert.True(connection.GetInfo().SendWindow >= 10);
        Assert.Equal(1, _script.Tcp.Statistics.DsackUndo + _script.Tcp.Statistics.FullUndo);
    }

    [Fact]
    public void SpuriousTimeout_Timestamps_Undo()
    {
        TcpEndpoint listener = _script.Listen();
        _script.In("S 0:0(0) win 60000 <mss 1012,sackOK,TS val 1000 ecr 0>");
        _script.Out("S. 0:0(0) ack 1");
        _script.Wait(0.1);
        _script.In($". 1:1(0) ack 1 win 60000 <TS val 1100 ecr {_script.LastTimestamp}>");
        listener.Accept(out TcpEndpoint? connection);
        _script.Write(connection!, 1, 10000);
        _script.Out(". 1:1001(1000) ack 1");
        uint ts = _script.LastTimestamp;
        _script.Drop();
        _script.Wait(1);
        Assert.Equal(CongestionState.Loss, connection!.GetInfo().CongestionState);
        _script.Drop();
        _script.In($". 1:1(0) ack 10001 win 60000 <TS val 2200 ecr {ts}>");
        TcpInfo info = connection.GetInfo();
        Assert.Equal(CongestionState.Open, info.CongestionState);
        Assert.True(info.SendWindow >= 10, $"{info.SendWindow}");
        Assert.Equal(1, _script.Tcp.Statistics.LossUndo);
    }

    [Fact]
    public void PartialAckOfAGsoPacket_SendsTheRest()
    {
        TenOut("<mss 1000>");
        _script.Wait(0.1);
        _script.In(". 1:1(0) ack 1501");
        _script.Wait(0.5);
        System.Collections.Generic.List<string> all = _script.TakeAll();
        Assert.StartsWith("P. 1501:", all[0]);
    }

    [Fact]
    public void PathMtu_TooBig_IsSentAgainSmaller()
    {
        TcpEndpoint connection = _script.Accepted();
        _script.Write(connection, 1, 1460);
        _script.Out("P. 1:1461(1460) ack 1");
        _script.Host.Mtu = 1000;
        TooBig(5_000_000);
        _script.Nothing();
        TooBig(1);
        _script.Out(". 1:961(960) ack 1");
        _script.Out("P. 961:1461(500) ack 1");
        Assert.Equal(10u, connection.GetInfo().SendWindow);
    }

    /// <summary>An ICMP message about the segment at a sequence number.</summary>
    private void TooBig(uint seq)
    {
        using (_script.Host.Stack.Enter())
        {
            Runsc.NetStack.Buffers.PacketBuffer quoted = _script.Host.Pool.Allocate(0, 8);
            System.Span<byte> bytes = quoted.Append(8);
            System.Buffers.Binary.BinaryPrimitives.WriteUInt16BigEndian(bytes, _script.OurPort);
            System.Buffers.Binary.BinaryPrimitives.WriteUInt16BigEndian(bytes[2..], _script.PeerPort);
            System.Buffers.Binary.BinaryPrimitives.WriteUInt32BigEndian(bytes[4..], unchecked(_script.OurIsn + seq));
            IcmpError error = new()
            {
                Kind = IcmpErrorKind.PacketTooBig,
                Local = TcpScript.OurAddress,
                Remote = TcpScript.PeerAddress,
                Offender = TcpScript.PeerAddress,
                Info = 1000,
            };
            _script.Tcp.DeliverError(error, quoted);
            quoted.Release();
        }
    }

    [Fact]
    public void IdleConnection_StartsSlowlyAgain()
    {
        TcpEndpoint connection = TenOut();
        _script.Wait(0.1);
        _script.In(". 1:1(0) ack 10001 win 60000");
        Assert.Equal(20u, connection.GetInfo().SendWindow);
        _script.Wait(60);
        _script.Write(connection, 10001, 15000);
        Assert.Equal(10, _script.Drop());
    }

    [Fact]
    public void Congestion_Names_AreKnown()
    {
        TcpEndpoint endpoint = _script.Tcp.CreateEndpoint(true);
        Assert.Equal("cubic", endpoint.CongestionName);
        Assert.Equal(NetError.None, endpoint.SetCongestion("reno"));
        Assert.Equal("reno", endpoint.CongestionName);
        Assert.Equal(NetError.NotFound, endpoint.SetCongestion("vegas"));
    }
}
