using Runsc.NetStack;
using Runsc.NetStack.Transport;
using Runsc.NetStack.Transport.Tcp;
using Xunit;

namespace Runsc.Tests.Unit.NetStack.Tcp;

/// <summary>The ways into a connection and out of it (RFC 9293, 3.5 and 3.6).</summary>
public sealed class TcpOpenCloseTests
{
    private readonly TcpScript _script = new();

    [Fact]
    public void Passive_ThreeWay_IsAcceptedAfterTheThird()
    {
        TcpEndpoint listener = _script.Listen();
        _script.In("S 0:0(0) win 65535 <mss 1400,sackOK,TS val 100 ecr 0,wscale 8>");
        _script.Out("S. 0:0(0) ack 1 win 65160 <mss 1460,sackOK,ecr 100,wscale 7>");
        Assert.Equal(NetError.WouldBlock, listener.Accept(out _));
        Assert.Equal(NetEvents.None, listener.Readiness);
        _script.In($". 1:1(0) ack 1 win 256 <TS val 101 ecr {_script.LastTimestamp}>");
        Assert.Equal(NetEvents.Readable, listener.Readiness);
        Assert.Equal(NetError.None, listener.Accept(out TcpEndpoint? connection));
        Assert.Equal(TcpState.Established, connection!.State);
        Assert.Equal(new IpEndpoint(TcpScript.PeerAddress, 5000), connection.Remote);
        Assert.Equal(NetEvents.Writable, connection.Readiness);
        _script.Nothing();
        _script.Write(connection, 1, 3);
        _script.Out("P. 1:4(3) ack 1 <ecr 101>");
    }

    [Fact]
    public void Active_ThreeWay_Connects()
    {
        TcpEndpoint endpoint = _script.Connecting();
        EventLog log = new();
        endpoint.Notifier.Listener = log;
        _script.Out("S 0:0(0) win 64240 <mss 1460,sackOK,ecr 0,wscale 7>");
        Assert.Equal(NetError.InProgress, endpoint.ConnectResult());
        Assert.Equal(NetError.AlreadyInProgress, endpoint.Connect(new IpEndpoint(TcpScript.PeerAddress, 5000)));
        Assert.Equal(NetEvents.None, endpoint.Readiness);
        _script.In($"S. 0:0(0) ack 1 win 5000 <mss 1000,TS val 7 ecr {_script.LastTimestamp}>");
        _script.Out(". 1:1(0) ack 1 <ecr 7>");
        Assert.Equal(NetError.None, endpoint.ConnectResult());
        Assert.True(log.Seen.HasFlag(NetEvents.Writable));
        Assert.Equal(NetError.AlreadyConnected, endpoint.Connect(new IpEndpoint(TcpScript.PeerAddress, 5000)));
        _script.Nothing();
    }

    [Fact]
    public void Active_SynLost_IsSentAgainWithBackOff()
    {
        TcpEndpoint endpoint = _script.Connecting();
        _script.Out("S 0:0(0)");
        for (int i = 0; i < 6; i++)
        {
            _script.Wait((1 << i) - (i == 0 ? 0.01 : 0.02));
            _script.Nothing();
            _script.Wait(0.02);
            _script.Out("S 0:0(0)");
        }

        _script.Wait(130);
        _script.Nothing();
        Assert.Equal(NetError.TimedOut, endpoint.ConnectResult());
        Assert.Equal(0, _script.Tcp.Flows.Count);
    }

    [Fact]
    public void Active_Reset_IsRefused()
    {
        TcpEndpoint endpoint = _script.Connecting();
        _script.Out("S 0:0(0)");
        _script.In("R. 0:0(0) ack 1");
        Assert.Equal(NetEvents.Error | NetEvents.Hangup | NetEvents.Readable | NetEvents.ReadHangup | NetEvents.Writable, endpoint.Readiness);
        Assert.Equal(NetError.ConnectionRefused, endpoint.ConnectResult());
        _script.Nothing();

        // The socket may try again.
        Assert.Equal(NetError.InProgress, endpoint.Connect(new IpEndpoint(TcpScript.PeerAddress, 5000)));
    }

    [Fact]
    public void Active_ResetWithWrongAck_IsIgnored()
    {
        TcpEndpoint endpoint = _script.Connecting();
        _script.Out("S 0:0(0)");
        _script.In("R. 0:0(0) ack 2");
        _script.In("R 0:0(0)");
        Assert.Equal(NetError.InProgress, endpoint.ConnectResult());
        _script.In(". 0:0(0) ack 5");
        _script.Out("R 5:5(0)");
        Assert.Equal(NetError.InProgress, endpoint.ConnectResult());
    }

    [Fact]
    public void Simultaneous_Open_Connects()
    {
        TcpEndpoint endpoint = _script.Connecting();
        _script.Out("S 0:0(0)");
        _script.In("S 0:0(0) win 4000 <mss 1000>");
        _script.Out("S. 0:0(0) ack 1");
        Assert.Equal(TcpState.SynReceived, endpoint.State);
        _script.In("S. 0:0(0) ack 1 win 4000 <mss 1000>");
        Assert.Equal(TcpState.Established, endpoint.State);
        Assert.Equal(NetError.None, endpoint.ConnectResult());
        _script.Drop();
        _script.Write(endpoint, 1, 10);
        _script.Out("P. 1:11(10) ack 1");
    }

    [Fact]
    public void Close_ByUs_EndsInTimeWait()
    {
        TcpEndpoint connection = _script.Accepted();
        connection.Close();
        _script.Out("F. 1:1(0) ack 1");
        _script.In(". 1:1(0) ack 2");
        Assert.Equal(TcpState.FinWait2, connection.State);
        _script.In("F. 1:1(0) ack 2");
        _script.Out(". 2:2(0) ack 2");
        Assert.Equal(1, _script.Tcp.TimeWaits.Count);

        // The last acknowledgement was lost.
        _script.In("F. 1:1(0) ack 2");
        _script.Out(". 2:2(0) ack 2");
        _script.Wait(59);
        Assert.Equal(1, _script.Tcp.TimeWaits.Count);
        _script.Wait(2);
        Assert.Equal(0, _script.Tcp.TimeWaits.Count);
        Assert.Equal(0, _script.Tcp.Flows.Count);
        _script.Nothing();
    }

    [Fact]
    public void Close_ByPeer_EndsWithoutTimeWait()
    {
        TcpEndpoint connection = _script.Accepted();
        _script.In("PF. 1:6(5) ack 1");
        _script.Wait(0.05);
        _script.Out(". 1:1(0) ack 7");
        Assert.Equal(TcpState.CloseWait, connection.State);
        Assert.True(connection.Readiness.HasFlag(NetEvents.Readable | NetEvents.ReadHangup));
        TcpScript.Read(connection, 1, 5);
        TcpScript.ReadEnd(connection);
        _script.Write(connection, 1, 4);
        _script.Out("P. 1:5(4) ack 7");
        connection.Close();
        _script.Out("F. 5:5(0) ack 7");
        Assert.Equal(TcpState.LastAck, connection.State);
        _script.In(". 7:7(0) ack 6");
        Assert.Equal(0, _script.Tcp.Flows.Count);
        Assert.Equal(0, _script.Tcp.TimeWaits.Count);
        Assert.Equal(0, _script.Host.Pool.OutstandingPackets);
    }

    [Fact]
    public void Close_Simultaneous_BothWait()
    {
        TcpEndpoint connection = _script.Accepted();
        Assert.Equal(NetError.None, connection.Shutdown(false, true));
        _script.Out("F. 1:1(0) ack 1");
        _script.In("F. 1:1(0) ack 1");
        Assert.Equal(TcpState.Closing, connection.State);
        _script.Out(". 2:2(0) ack 2");
        _script.In(". 2:2(0) ack 2");
        Assert.Equal(1, _script.Tcp.TimeWaits.Count);
        TcpScript.ReadEnd(connection);
        Assert.Equal(NetError.BrokenPipe, connection.Send([1], TcpSendFlags.None, out _));
        connection.Close();
    }

    [Fact]
    public void Close_FinLost_IsSentAgain()
    {
        TcpEndpoint connection = _script.Accepted();
        connection.Close();
        _script.Out("F. 1:1(0) ack 1");
        _script.Wait(0.5);
        Assert.Contains("F. 1:1(0) ack 1", _script.TakeAll()[0]);
        _script.In(". 1:1(0) ack 2");
        Assert.Equal(TcpState.FinWait2, connection.State);
        _script.Wait(61);
        Assert.Equal(0, _script.Tcp.Flows.Count);
    }

    [Fact]
    public void HalfClose_PeerGoesOn()
    {
        TcpEndpoint connection = _script.Accepted();
        _script.Write(connection, 1, 5);
        Assert.Equal(NetError.None, connection.Shutdown(false, true));
        _script.Out("P. 1:6(5) ack 1");
        _script.Out("F. 6:6(0) ack 1");
        _script.In(". 1:1(0) ack 7");
        Assert.Equal(TcpState.FinWait2, connection.State);
        _script.Wait(100);
        _script.In("P. 1:101(100) ack 7");
        _script.Out(". 7:7(0) ack 101");
        TcpScript.Read(connection, 1, 100);
        _script.In("F. 101:101(0) ack 7");
        _script.Out(". 7:7(0) ack 102");
        TcpScript.ReadEnd(connection);
        Assert.Equal(NetEvents.Hangup | NetEvents.Readable | NetEvents.ReadHangup | NetEvents.Writable, connection.Readiness);
    }

    [Fact]
    public void Close_WithUnreadData_Resets()
    {
        TcpEndpoint connection = _script.Accepted();
        _script.In("P. 1:6(5) ack 1");
        _script.Drop();
        connection.Close();
        _script.Out("R. 1:1(0) ack 6");
        Assert.Equal(0, _script.Tcp.Flows.Count);
        Assert.Equal(0, _script.Tcp.MemoryUsed);
    }

    [Fact]
    public void Close_LingerZero_Resets()
    {
        TcpEndpoint connection = _script.Accepted();
        connection.Settings.Linger = true;
        connection.Settings.LingerSeconds = 0;
        _script.Write(connection, 1, 5);
        _script.Drop();
        connection.Close();
        _script.Out("R. 6:6(0) ack 1");
        Assert.Equal(0, _script.Tcp.Flows.Count);
    }

    [Fact]
    public void Closed_DataFromPeer_IsReset()
    {
        TcpEndpoint connection = _script.Accepted();
        connection.Close();
        _script.Out("F. 1:1(0) ack 1");
        _script.In("P. 1:6(5) ack 2");
        _script.Out("R. 2:2(0) ack 1");
        Assert.Equal(0, _script.Tcp.Flows.Count);
    }

    [Fact]
    public void Listener_Close_ResetsWhatWaits()
    {
        TcpEndpoint listener = _script.Listen();
        _script.In("S 0:0(0) win 1000 <mss 1000>");
        _script.Out("S. 0:0(0) ack 1");
        _script.In(". 1:1(0) ack 1");
        listener.Close();
        _script.Out("R. 1:1(0) ack 1");
        Assert.Equal(0, _script.Tcp.Flows.Count);
        _script.In("S 100:100(0) win 1000");
        Assert.Matches(@"^R\. \d+:\d+\(0\) ack 101 win 0$", Assert.Single(_script.TakeAll()));
    }

    [Fact]
    public void NoListener_SynAndAck_AreRefused()
    {
        _script.In("S 0:10(10) win 1000");
        Assert.Matches(@"^R\. \d+:\d+\(0\) ack 11 win 0$", Assert.Single(_script.TakeAll()));
        _script.In("R 0:0(0)");
        _script.Nothing();
    }

    [Fact]
    public void TimeWait_NewSyn_OpensAnotherConnection()
    {
        TcpEndpoint connection = _script.Accepted("<mss 1460,TS val 1000 ecr 0>");
        connection.Close();
        _script.Out("F. 1:1(0) ack 1");
        _script.In($"F. 1:1(0) ack 2 <TS val 1002 ecr {_script.LastTimestamp}>");
        _script.Out(". 2:2(0) ack 2");
        Assert.Equal(1, _script.Tcp.TimeWaits.Count);

        // An old SYN is answered by an acknowledgement, a newer one opens beyond the old numbers.
        _script.Wait(1);
        _script.In("S 0:0(0) win 1000 <mss 1460,TS val 900 ecr 0>");
        _script.Out(". 2:2(0) ack 2");
        _script.In("S 0:0(0) win 1000 <mss 1460,TS val 2000 ecr 0>");
        Assert.Equal(0, _script.Tcp.TimeWaits.Count);
        _script.Out("S. 65539:65539(0) ack 1");
    }

    [Fact]
    public void TimeWait_Reset_EndsIt()
    {
        TcpEndpoint connection = _script.Accepted();
        connection.Close();
        _script.In("F. 1:1(0) ack 2");
        _script.Drop();
        Assert.Equal(1, _script.Tcp.TimeWaits.Count);
        _script.In("R 1000:1000(0)");
        Assert.Equal(1, _script.Tcp.TimeWaits.Count);
        _script.In("R 2:2(0)");
        Assert.Equal(0, _script.Tcp.TimeWaits.Count);
    }

    [Fact]
    public void TimeWait_TooMany_AreLetGo()
    {
        _script.Tcp.Parameters.MaxTimeWait = 0;
        TcpEndpoint connection = _script.Accepted();
        connection.Close();
        _script.In("F. 1:1(0) ack 2");
        Assert.Equal(0, _script.Tcp.Flows.Count);
        Assert.Equal(1, _script.Tcp.Statistics.TimeWaitOverflow);
    }

    [Fact]
    public void Bind_SecondListener_IsInUseUntilTimeWaitIsShared()
    {
        TcpEndpoint listener = _script.Listen();
        TcpEndpoint other = _script.Tcp.CreateEndpoint(false);
        Assert.Equal(NetError.AddressInUse, other.Bind(new IpEndpoint(IpAddress.AnyV4, 80)));
        _script.In("S 0:0(0) win 1000");
        _script.Out("S. 0:0(0) ack 1");
        _script.In(". 1:1(0) ack 1");
        Assert.Equal(NetError.None, listener.Accept(out TcpEndpoint? connection));
        listener.Close();
        connection!.Close();
        _script.In("F. 1:1(0) ack 2");
        Assert.Equal(1, _script.Tcp.TimeWaits.Count);
        Assert.Equal(NetError.AddressInUse, other.Bind(new IpEndpoint(IpAddress.AnyV4, 80)));
        _script.Wait(61);
        Assert.Equal(NetError.None, other.Bind(new IpEndpoint(IpAddress.AnyV4, 80)));
    }

    [Fact]
    public void FinWait2_Orphan_TimesOut()
    {
        TcpEndpoint connection = _script.Accepted();
        connection.Close();
        _script.In(". 1:1(0) ack 2");
        Assert.Equal(1, _script.Tcp.Orphans);
        _script.Wait(59);
        Assert.Equal(1, _script.Tcp.Flows.Count);
        _script.Wait(2);
        Assert.Equal(0, _script.Tcp.Flows.Count);
        Assert.Equal(0, _script.Tcp.Orphans);
    }

    [Fact]
    public void Orphans_TooMany_AreReset()
    {
        _script.Tcp.Parameters.MaxOrphans = 0;
        TcpEndpoint connection = _script.Accepted();
        _script.Write(connection, 1, 5);
        _script.Drop();
        connection.Close();
        _script.Out("R. 6:6(0) ack 1");
        Assert.Equal(0, _script.Tcp.Orphans);
    }
}
