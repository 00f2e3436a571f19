using System.Collections.Generic;
using Runsc.NetStack;
using Runsc.NetStack.Transport.Tcp;
using Xunit;

namespace Runsc.Tests.Unit.NetStack.Tcp;

/// <summary>The queues of a listener: requests, cookies, backlog, deferring, fast open.</summary>
public sealed class TcpListenTests
{
    private readonly TcpScript _script = new();

    [Fact]
    public void SynAck_Lost_IsSentAgain()
    {
        _script.Listen();
        _script.In("S 0:0(0) win 1000 <mss 1000>");
        _script.Out("S. 0:0(0) ack 1");
        _script.Wait(1.05);
        _script.Out("S. 0:0(0) ack 1");
        _script.Wait(2);
        _script.Out("S. 0:0(0) ack 1");
        _script.Wait(200);
        Assert.Equal(3, _script.Drop());
        Assert.Equal(0, _script.Tcp.Flows.Count);
        Assert.Equal(1, _script.Tcp.Statistics.AttemptFails);
    }

    [Fact]
    public void Request_SynAgain_IsAnsweredOnceInAWhile()
    {
        _script.Listen();
        _script.In("S 0:0(0) win 1000 <mss 1000>");
        _script.Out("S. 0:0(0) ack 1");
        for (int i = 0; i < 10; i++)
        {
            _script.In("S 0:0(0) win 1000 <mss 1000>");
        }

        _script.Out("S. 0:0(0) ack 1");
        _script.Nothing();
    }

    [Fact]
    public void Request_Reset_MustBeExact()
    {
        _script.Listen();
        _script.In("S 0:0(0) win 1000 <mss 1000>");
        _script.Out("S. 0:0(0) ack 1");
        _script.In("R 50:50(0)");
        Assert.Equal(1, _script.Tcp.Flows.Count);
        _script.In("R 1:1(0)");
        Assert.Equal(0, _script.Tcp.Flows.Count);
        _script.Nothing();
    }

    [Fact]
    public void Request_WrongAck_IsReset()
    {
        _script.Listen();
        _script.In("S 0:0(0) win 1000 <mss 1000>");
        _script.Out("S. 0:0(0) ack 1");
        _script.In(". 1:1(0) ack 77");
        _script.Out("R 77:77(0)");
        Assert.Equal(1, _script.Tcp.Flows.Count);
    }

    [Fact]
    public void Request_DataWithTheThird_AreRead()
    {
        TcpEndpoint listener = _script.Listen();
        _script.In("S 0:0(0) win 1000 <mss 1000>");
        _script.Out("S. 0:0(0) ack 1");
        _script.In("P. 1:101(100) ack 1");
        Assert.Equal(NetError.None, listener.Accept(out TcpEndpoint? connection));
        TcpScript.Read(connection!, 1, 100);
    }

    [Fact]
    public void Backlog_Full_LetsNoMoreIn()
    {
        TcpEndpoint listener = _script.Listen(backlog: 1);
        for (ushort i = 0; i < 2; i++)
        {
            _script.PeerPort = (ushort)(6000 + i);
            _script.In("S 0:0(0) win 1000 <mss 1000>");
            uint iss = AckOf();
            Ack(iss, 1);
        }

        // Two wait although the backlog is 1, as on Linux; the third SYN is not answered.
        _script.PeerPort = 6002;
        _script.In("S 0:0(0) win 1000 <mss 1000>");
        _script.Nothing();
        Assert.Equal(1, _script.Tcp.Statistics.ListenOverflows);
        Assert.Equal(NetError.None, listener.Accept(out _));
        Assert.Equal(NetError.None, listener.Accept(out _));
        Assert.Equal(NetError.WouldBlock, listener.Accept(out _));
    }

    /// <summary>The sequence number of the SYN-ACK that was just sent.</summary>
    private uint AckOf()
    {
        _script.ForgetSequence();
        _script.Out("S. 0:0(0)");
        return 0;
    }

    private void Ack(uint iss, int ack) => _script.In($". 1:1(0) ack {iss + (uint)ack}");

    [Theory]
    [InlineData("<mss 1460,sackOK,TS val 500 ecr 0,wscale 9>", true)]
    [InlineData("<mss 1460,sackOK,wscale 9>", false)]
    public void Cookies_WhenFull_LetTheGenuineIn(string options, bool timestamps)
    {
        TcpEndpoint listener = _script.Listen(backlog: 10);
        for (ushort i = 0; i < 1000; i++)
        {
            _script.PeerPort = (ushort)(10000 + i);
            _script.In("S 0:0(0) win 1000 <mss 1000>");
        }

        Assert.Equal(10, _script.Tcp.Flows.Count);
        Assert.Equal(990, _script.Tcp.Statistics.SyncookiesSent);
        Assert.Equal(1000, _script.Drop());
        _script.PeerPort = 5000;
        _script.In("S 0:0(0) win 10000 " + options);
        _script.Out("S. 0:0(0) ack 1 <mss 1460>");
        Assert.Equal(10, _script.Tcp.Flows.Count);
        string ts = timestamps ? $" <TS val 501 ecr {_script.LastTimestamp}>" : "";
        _script.In($"P. 1:11(10) ack 1 win 10000{ts}");
        Assert.Equal(NetError.None, listener.Accept(out TcpEndpoint? connection));
        TcpScript.Read(connection!, 1, 10);
        TcpInfo info = connection!.GetInfo();
        Assert.Equal(timestamps, info.WindowScale);
        Assert.Equal(timestamps ? 9 : 0, info.SendScale);
        Assert.Equal(timestamps, info.Sack);
        Assert.Equal(timestamps ? 1448u : 1460u, info.SendMss);

        // A guess opens nothing.
        _script.PeerPort = 5001;
        _script.Drop();
        _script.In(". 1:1(0) ack 1");
        Assert.StartsWith("R", Assert.Single(_script.TakeAll()));
        Assert.Equal(NetError.WouldBlock, listener.Accept(out _));
    }

    [Fact]
    public void DeferAccept_WaitsForData()
    {
        TcpEndpoint listener = _script.Listen(setUp: e => e.Settings.DeferAccept = 3);
        _script.In("S 0:0(0) win 1000 <mss 1000>");
        _script.Out("S. 0:0(0) ack 1");
        _script.In(". 1:1(0) ack 1");
        Assert.Equal(NetError.WouldBlock, listener.Accept(out _));
        _script.Wait(0.5);
        _script.In("P. 1:11(10) ack 1");
        Assert.Equal(NetError.None, listener.Accept(out TcpEndpoint? connection));
        TcpScript.Read(connection!, 1, 10);
    }

    [Fact]
    public void ReuseAddress_NewListener_BesideConnectionsOfTheLast()
    {
        TcpEndpoint first = _script.Listen(setUp: e => e.Port.ReuseAddress = true);
        _script.In("S 0:0(0) win 1000 <mss 1000>");
        _script.Out("S. 0:0(0) ack 1");
        _script.In(". 1:1(0) ack 1");
        Assert.Equal(NetError.None, first.Accept(out TcpEndpoint? connection));
        TcpEndpoint second = _script.Tcp.CreateEndpoint(isV6: false);
        second.Port.ReuseAddress = true;
        Assert.Equal(NetError.AddressInUse, second.Bind(new IpEndpoint(IpAddress.AnyV4, _script.OurPort)));
        first.Close();
        Assert.Equal(NetError.None, second.Bind(new IpEndpoint(IpAddress.AnyV4, _script.OurPort)));
        Assert.Equal(NetError.None, second.Listen(5));
        Assert.Equal(TcpState.Established, connection!.State);

        // Without the option the connection holds the port.
        second.Close();
        TcpEndpoint third = _script.Tcp.CreateEndpoint(isV6: false);
        Assert.Equal(NetError.AddressInUse, third.Bind(new IpEndpoint(IpAddress.AnyV4, _script.OurPort)));
    }

    [Fact]
    public void ReusePort_Spreads()
    {
        List<TcpEndpoint> listeners = [];
        for (int i = 0; i < 4; i++)
        {
            listeners.Add(_script.Listen(backlog: 1000, setUp: e => e.Port.ReusePort = true));
        }

        for (ushort i = 0; i < 400; i++)
        {
            _script.PeerPort = (ushort)(10000 + i);
            _script.ForgetSequence();
            _script.In("S 0:0(0) win 1000 <mss 1000>");
            _script.Out("S. 0:0(0)");
            _script.In(". 1:1(0) ack 1");
        }

        foreach (TcpEndpoint listener in listeners)
        {
            int count = 0;
            while (listener.Accept(out _) == NetError.None)
            {
                count++;
            }

            Assert.InRange(count, 50, 160);
        }
    }

    [Fact]
    public void FastOpen_Server_TakesDataInTheSyn()
    {
        _script.Tcp.Parameters.FastOpen = 3;
        TcpEndpoint listener = _script.Listen(setUp: e => e.Settings.FastOpenQueue = 5);
        _script.In("S 0:0(0) win 1000 <mss 1000,FO>");
        _script.Out("S. 0:0(0) ack 1");
        string cookie = _script.LastCookie;
        Assert.Equal(16, cookie.Length);
        _script.In("R 1:1(0)");

        _script.PeerPort = 5001;
        _script.ForgetSequence();
        _script.In($"S 0:5(5) win 1000 <mss 1000,FO {cookie}>");
        _script.Out("S. 0:0(0) ack 6");
        Assert.Equal(NetError.None, listener.Accept(out TcpEndpoint? connection));
        TcpScript.Read(connection!, 1, 5);

        // The answer may go before the handshake is done.
        _script.Write(connection!, 1, 7);
        _script.In(". 6:6(0) ack 1");
        Assert.Equal(TcpState.Established, connection!.State);
        _script.Out("P. 1:8(7) ack 6");

        // A wrong cookie opens nothing early.
        _script.PeerPort = 5002;
        _script.ForgetSequence();
        _script.In("S 0:5(5) win 1000 <mss 1000,FO 0102030405060708>");
        _script.Out("S. 0:0(0) ack 1");
        Assert.Equal(NetError.WouldBlock, listener.Accept(out _));
    }

    [Fact]
    public void FastOpen_Client_SendsDataInTheSecondSyn()
    {
        _script.Tcp.Parameters.FastOpen = 1;
        TcpEndpoint first = _script.Tcp.CreateEndpoint(false);
        Assert.Equal(NetError.InProgress, first.ConnectWithData(new IpEndpoint(TcpScript.PeerAddress, 5000), TcpScript.Data(1, 5), out int sent));
        Assert.Equal(0, sent);
        _script.OurPort = first.Local.Port;
        first.Settings.Linger = true;
        TcpEndpoint second = _script.Tcp.CreateEndpoint(false);
        second.Settings.FastOpenConnect = true;
        _script.Drop();
        Assert.Equal(NetError.InProgress, second.Connect(new IpEndpoint(TcpScript.PeerAddress, 5000)));
        _script.OurPort = second.Local.Port;
        _script.Out("S 0:0(0) <FO >");
        _script.In("S. 0:0(0) ack 1 win 1000 <mss 1000,FO 0011223344556677>");
        _script.Out(". 1:1(0) ack 1");

        TcpEndpoint third = _script.Tcp.CreateEndpoint(false);
        Assert.Equal(NetError.InProgress, third.ConnectWithData(new IpEndpoint(TcpScript.PeerAddress, 5000), TcpScript.Data(1, 5), out sent));
        Assert.Equal(5, sent);
        _script.OurPort = third.Local.Port;
        _script.ForgetSequence();
        _script.Out("S 0:5(5) <FO 0011223344556677>");
        _script.In("S. 0:0(0) ack 6 win 1000 <mss 1000>");
        _script.Out(". 6:6(0) ack 1");
        Assert.Equal(NetError.None, third.ConnectResult());
        _script.Nothing();
    }
}
