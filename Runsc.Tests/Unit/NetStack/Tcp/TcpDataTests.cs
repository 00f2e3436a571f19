using System;
using Runsc.NetStack;
using Runsc.NetStack.Buffers;
using Runsc.NetStack.Transport;
using Runsc.NetStack.Transport.Tcp;
using Xunit;

namespace Runsc.Tests.Unit.NetStack.Tcp;

/// <summary>Data in both directions: windows, acknowledgements, Nagle, urgent data, out-of-order data, PAWS, RFC 5961.</summary>
public sealed class TcpDataTests
{
    private readonly TcpScript _script = new();

    [Fact]
    public void Send_WhoOnlyLooks_HearsOfRoom()
    {
        TcpEndpoint connection = _script.Accepted();
        EventLog log = new();
        connection.Notifier.Listener = log;
        connection.SetSendBuffer(20000);
        for (int at = 1; connection.Readiness.HasFlag(NetEvents.Writable); at += 2000)
        {
            // Every write is taken: nobody was refused.
            _script.Write(connection, at, 2000);
        }

        Assert.False(log.Seen.HasFlag(NetEvents.Writable));
        _script.Drop();
        _script.In($". 1:1(0) ack {connection.UnackedBytes - connection.UnsentBytes + 1} win 32792");
        Assert.True(log.Seen.HasFlag(NetEvents.Writable));
    }

    [Fact]
    public void Receive_QuickAtFirst_ThenEverySecond()
    {
        TcpEndpoint connection = _script.Accepted();
        _script.In("P. 1:1461(1460) ack 1");
        _script.Out(". 1:1(0) ack 1461");
        TcpScript.Read(connection, 1, 1460);
        Assert.Equal(NetError.WouldBlock, connection.Receive(new byte[1], false, out _));
    }

    [Fact]
    public void Receive_ManyAtOnce_AreAcknowledgedBeforeTheyAreRead()
    {
        TcpEndpoint connection = _script.Accepted();
        int at = 1;
        for (int i = 0; i < 20; i++, at += 1460)
        {
            // Past the quick acknowledgements of the beginning.
            _script.In($". {at}:{at + 1460}(1460) ack 1");
        }

        _script.Drop();
        _script.In($". {at}:{at + 2920}(2920) ack 1");
        _script.Nothing();
        at += 2920;
        _script.In($". {at}:{at + 14600}(14600) ack 1");
        at += 14600;
        _script.Out($". 1:1(0) ack {at}");
        TcpScript.Read(connection, 1, at - 1);
    }

    [Fact]
    public void Receive_OutOfOrder_IsSackedAndJoined()
    {
        TcpEndpoint connection = _script.Accepted();
        _script.In(". 1001:2001(1000) ack 1");
        _script.Out(". 1:1(0) ack 1 <sack 1001:2001>");
        _script.In(". 3001:4001(1000) ack 1");
        _script.Out(". 1:1(0) ack 1 <sack 3001:4001 1001:2001>");
        _script.In(". 2001:3001(1000) ack 1");
        _script.Out(". 1:1(0) ack 1 <sack 1001:4001>");
        Assert.Equal(NetError.WouldBlock, connection.Receive(new byte[1], false, out _));
        _script.In(". 1:1001(1000) ack 1");
        _script.Out(". 1:1(0) ack 4001");
        TcpScript.Read(connection, 1, 4000);
    }

    [Fact]
    public void Receive_Duplicates_AreReportedByDsack()
    {
        TcpEndpoint connection = _script.Accepted();
        _script.In("P. 1:1001(1000) ack 1");
        _script.Out(". 1:1(0) ack 1001");
        _script.In("P. 1:1001(1000) ack 1");
        _script.Out(". 1:1(0) ack 1001 <sack 1:1001>");
        _script.In(". 2001:3001(1000) ack 1");
        _script.Out(". 1:1(0) ack 1001 <sack 2001:3001>");
        _script.In(". 2001:3001(1000) ack 1");
        _script.Out(". 1:1(0) ack 1001 <sack 2001:3001 2001:3001>");
        TcpScript.Read(connection, 1, 1000);
    }

    [Fact]
    public void Receive_OverlappingRandomPieces_GiveTheStream()
    {
        for (int seed = 1; seed <= 30; seed++)
        {
            TcpScript script = new(seed);
            Random random = new(seed);
            TcpEndpoint connection = script.Accepted();
            const int Total = 30000;
            for (int i = 0; i < 400; i++)
            {
                int start = random.Next(0, Total);
                int length = Math.Min(Total - start, random.Next(1, 1461));
                script.In($". {1 + start}:{1 + start + length}({length}) ack 1");
            }

            for (int start = 0; start < Total; start += 1000)
            {
                script.In($". {1 + start}:{1001 + start}(1000) ack 1");
            }

            script.In($"F. {1 + Total}:{1 + Total}(0) ack 1");
            TcpScript.Read(connection, 1, Total);
            TcpScript.ReadEnd(connection);
            script.Drop();
        }
    }

    [Fact]
    public void Receive_FinBeforeData_EndsAfterThem()
    {
        TcpEndpoint connection = _script.Accepted();
        _script.In("F. 101:101(0) ack 1");
        _script.Out(". 1:1(0) ack 1");
        Assert.Equal(TcpState.Established, connection.State);
        _script.In("P. 1:101(100) ack 1");
        Assert.Equal(TcpState.CloseWait, connection.State);
        TcpScript.Read(connection, 1, 100);
        TcpScript.ReadEnd(connection);
    }

    [Fact]
    public void Receive_NobodyReads_WindowClosesAndOpens()
    {
        TcpEndpoint connection = _script.Accepted(setUp: e => e.SetReceiveBuffer(16384));
        int next = 1;
        for (int i = 0; i < 100; i++)
        {
            _script.In($"P. {next}:{next + 1000}(1000) ack 1");
            int ack = LastAck();
            if (ack == next)
            {
                break;
            }

            next += 1000;
        }

        Assert.InRange(next, 4000, 40000);
        Assert.Equal(0u, _script.LastWindow);

        // A probe of the closed window is answered, its byte is not taken.
        _script.In($". {next}:{next + 1}(1) ack 1");
        _script.Out($". 1:1(0) ack {next} win 0");
        TcpScript.Read(connection, 1, next - 1);
        _script.Out($". 1:1(0) ack {next}");
        Assert.True(_script.LastWindow > 2000);
    }

    /// <summary>What the last of the segments that we sent acknowledges, or of the timer's, if none was sent.</summary>
    private int LastAck()
    {
        _script.Wait(0.3);
        System.Collections.Generic.List<string> all = _script.TakeAll();
        Assert.NotEmpty(all);
        string[] words = all[^1].Split(' ');
        _script.SetLastWindow(uint.Parse(words[Array.IndexOf(words, "win") + 1], System.Globalization.CultureInfo.InvariantCulture));
        return int.Parse(words[Array.IndexOf(words, "ack") + 1], System.Globalization.CultureInfo.InvariantCulture);
    }

    [Fact]
    public void Receive_OneByteSegments_CostLittleMemory()
    {
        TcpEndpoint connection = _script.Accepted();
        for (int i = 1; i <= 5000; i++)
        {
            _script.In($". {i}:{i + 1}(1) ack 1");
        }

        _script.Drop();
        Assert.True(_script.Host.Pool.Outstanding < 200_000, $"{_script.Host.Pool.Outstanding}");
        int before = connection.ReadableBytes;
        Assert.InRange(before, 4000, 5000);
        TcpScript.Read(connection, 1, before);
    }

    [Fact]
    public void Receive_EverySecondByte_IsBounded()
    {
        TcpEndpoint connection = _script.Accepted();
        for (int i = 2; i <= 4000; i += 2)
        {
            _script.In($". {i}:{i + 1}(1) ack 1");
        }

        _script.Drop();
        Assert.True(_script.Host.Pool.Outstanding < 600_000, $"{_script.Host.Pool.Outstanding}");
        connection.Abort();
        Assert.Equal(0, _script.Tcp.MemoryUsed);
    }

    [Fact]
    public void Send_InitialWindow_IsTenSegments()
    {
        TcpEndpoint connection = _script.Accepted();
        for (int i = 0; i < 20; i++)
        {
            connection.Send(TcpScript.Data(1 + (i * 1000), 1000), TcpSendFlags.None, out _);
        }

        // One of 1000, and the rest in full segments.
        Assert.Equal(10, _script.Drop());
    }

    [Fact]
    public void Send_Nagle_HoldsTheSecondSmall()
    {
        TcpEndpoint connection = _script.Accepted();
        _script.Write(connection, 1, 10);
        _script.Out("P. 1:11(10) ack 1");
        _script.Write(connection, 11, 10);
        _script.Write(connection, 21, 10);
        _script.Nothing();
        _script.In(". 1:1(0) ack 11");
        _script.Out("P. 11:31(20) ack 1");
        connection.SetNoDelay(true);
        _script.Write(connection, 31, 10);
        _script.Out("P. 31:41(10) ack 1");
    }

    [Fact]
    public void Send_Cork_WaitsForTheWholeOrTheTime()
    {
        TcpEndpoint connection = _script.Accepted();
        connection.SetCork(true);
        _script.Write(connection, 1, 100);
        _script.Nothing();
        _script.Write(connection, 101, 1460);
        _script.Out(". 1:1461(1460) ack 1");
        _script.Nothing();
        connection.SetCork(false);
        _script.Out("P. 1461:1561(100) ack 1");
        _script.In(". 1:1(0) ack 1561");
        connection.SetCork(true);
        _script.Write(connection, 1561, 100);
        _script.Wait(0.19);
        _script.Nothing();
        _script.Wait(0.05);
        _script.Out("P. 1561:1661(100) ack 1");
    }

    [Fact]
    public void Send_More_WaitsForTheNextWrite()
    {
        TcpEndpoint connection = _script.Accepted();
        _script.Write(connection, 1, 100, TcpSendFlags.More);
        _script.Nothing();
        _script.Write(connection, 101, 50);
        _script.Out("P. 1:151(150) ack 1");
    }

    [Fact]
    public void Send_ClosedWindow_IsProbedAndOpens()
    {
        TcpEndpoint connection = _script.Accepted(window: 1000);
        _script.Write(connection, 1, 3000);
        _script.Out(". 1:501(500) ack 1");
        _script.Out(". 501:1001(500) ack 1");
        _script.In(". 1:1(0) ack 1001 win 0");
        _script.Nothing();
        _script.Wait(0.25);
        _script.Out(". 1000:1000(0) ack 1");
        _script.In(". 1:1(0) ack 1001 win 0");
        _script.Wait(0.45);
        _script.Out(". 1000:1000(0) ack 1");
        _script.In(". 1:1(0) ack 1001 win 5000");
        _script.Out(". 1001:2461(1460) ack 1");
        _script.Out("P. 2461:3001(540) ack 1");
    }

    [Fact]
    public void Send_ClosedWindowForEver_NeverGivesUpWhileAnswered()
    {
        TcpEndpoint connection = _script.Accepted(window: 0);
        _script.Write(connection, 1, 100);
        _script.Nothing();
        for (int i = 0; i < 40; i++)
        {
            _script.Wait(125);
            Assert.True(_script.Drop() >= 1);
            _script.In(". 1:1(0) ack 1 win 0");
        }

        Assert.Equal(TcpState.Established, connection.State);
        for (int i = 0; i < 30; i++)
        {
            _script.Wait(125);
            _script.Drop();
        }

        Assert.Equal(TcpState.Closed, connection.State);
        Assert.Equal(NetError.TimedOut, connection.TakeError());
    }

    [Fact]
    public void Urgent_Send_SetsThePointer()
    {
        TcpEndpoint connection = _script.Accepted();
        _script.Write(connection, 1, 3, TcpSendFlags.Urgent);
        _script.Out("PU. 1:4(3) ack 1 urg 3");
        _script.In(". 1:1(0) ack 4");
        _script.Write(connection, 4, 3);
        _script.Out("P. 4:7(3) ack 1");
    }

    [Fact]
    public void Urgent_Receive_IsOutOfBand()
    {
        TcpEndpoint connection = _script.Accepted();
        EventLog log = new();
        connection.Notifier.Listener = log;
        _script.In("PU. 1:11(10) ack 1 urg 5");
        Assert.True(log.Seen.HasFlag(NetEvents.Urgent));
        Assert.True(connection.Readiness.HasFlag(NetEvents.Urgent | NetEvents.Readable));
        Assert.Equal(9, connection.ReadableBytes);
        Assert.Equal(NetError.None, connection.ReceiveUrgent(true, out byte value, out _));
        Assert.Equal(TcpScript.ByteAt(5), value);
        Assert.Equal(NetError.None, connection.ReceiveUrgent(false, out value, out _));
        Assert.Equal(TcpScript.ByteAt(5), value);
        Assert.Equal(NetError.InvalidArgument, connection.ReceiveUrgent(false, out _, out _));

        // Reads stop before the mark and pass over the byte.
        TcpScript.Read(connection, 1, 4);
        Assert.True(connection.IsAtMark);
        byte[] rest = new byte[20];
        Assert.Equal(NetError.None, connection.Receive(rest, false, out int count));
        Assert.Equal(5, count);
        Assert.Equal(TcpScript.Data(6, 5), rest[..5]);
        Assert.False(connection.IsAtMark);
    }

    [Fact]
    public void Urgent_Inline_IsPartOfTheStream()
    {
        TcpEndpoint connection = _script.Accepted();
        connection.Settings.OobInline = true;
        _script.In("PU. 1:11(10) ack 1 urg 5");
        TcpScript.Read(connection, 1, 4);
        Assert.True(connection.IsAtMark);
        TcpScript.Read(connection, 5, 6);
        Assert.Equal(NetError.InvalidArgument, connection.ReceiveUrgent(false, out _, out _));
    }

    [Fact]
    public void Paws_OldTimestamp_IsDroppedAndAnswered()
    {
        TcpEndpoint connection = _script.Accepted("<mss 1460,sackOK,TS val 1000 ecr 0>");
        uint ts = _script.LastTimestamp;
        _script.In($"P. 1:101(100) ack 1 <TS val 200000 ecr {ts}>");
        _script.Out(". 1:1(0) ack 101 <ecr 200000>");
        _script.In($"P. 101:201(100) ack 1 <TS val 199999 ecr {ts}>");
        Assert.Equal(1, _script.Tcp.Statistics.PawsEstab);
        _script.Out(". 1:1(0) ack 101");
        TcpScript.Read(connection, 1, 100);
        Assert.Equal(NetError.WouldBlock, connection.Receive(new byte[1], false, out _));

        // A reset is not held up by its timestamp.
        _script.In("R 101:101(0) <TS val 1 ecr 0>");
        Assert.Equal(NetError.ConnectionReset, connection.TakeError());
    }

    [Fact]
    public void Rst_InWindow_IsChallenged()
    {
        TcpEndpoint connection = _script.Accepted();
        _script.In("R 500:500(0)");
        _script.Out(". 1:1(0) ack 1");
        Assert.Equal(TcpState.Established, connection.State);
        _script.In("R 100000:100000(0)");
        _script.In("R 501:501(0)");
        _script.Nothing();
        _script.In("R 1:1(0)");
        Assert.Equal(TcpState.Closed, connection.State);
        Assert.Equal(NetError.ConnectionReset, connection.Receive(new byte[1], false, out _));
        TcpScript.ReadEnd(connection);
    }

    [Fact]
    public void Syn_InConnection_IsChallenged()
    {
        TcpEndpoint connection = _script.Accepted();
        _script.In("S 1:1(0) win 1000");
        _script.Out(". 1:1(0) ack 1");
        _script.Wait(1);
        _script.In("S 70000:70000(0) win 1000");
        _script.Out(". 1:1(0) ack 1");
        Assert.Equal(TcpState.Established, connection.State);
    }

    [Fact]
    public void Ack_BeyondWhatWasSent_IsChallenged()
    {
        TcpEndpoint connection = _script.Accepted();
        _script.In("P. 1:11(10) ack 100");
        _script.Out(". 1:1(0) ack 1");
        Assert.Equal(0, connection.ReadableBytes);
        Assert.Equal(1, _script.Tcp.Statistics.ChallengeAck);
    }

    [Fact]
    public void ChallengeAcks_AreLimitedInAll()
    {
        _script.Tcp.Parameters.ChallengeAckLimit = 10;
        TcpEndpoint listener = _script.Listen(backlog: 1000);
        int sent = 0;
        for (ushort i = 0; i < 100; i++)
        {
            _script.PeerPort = (ushort)(10000 + i);
            _script.ForgetSequence();
            _script.In("S 0:0(0) win 1000 <mss 1000>");
            _script.Out("S. 0:0(0)");
            _script.In(". 1:1(0) ack 1");
            _script.In("R 500:500(0)");
            sent += _script.Drop();
        }

        Assert.InRange(sent, 5, 15);
        Assert.NotNull(listener);
    }

    [Fact]
    public void Reader_Holds_WhileDataCome()
    {
        TcpEndpoint connection = _script.Accepted();
        _script.In("P. 1:101(100) ack 1");
        Assert.Equal(NetError.None, connection.BeginReceive(60, 0, false, out TcpReadView view));
        Assert.Equal(60, view.Length);
        Assert.Equal(NetError.WouldBlock, connection.BeginReceive(60, 0, false, out _));
        _script.In("P. 101:201(100) ack 1");
        byte[] buffer = new byte[100];
        Assert.Equal(60, view.CopyTo(buffer));
        Assert.Equal(TcpScript.Data(1, 60), buffer[..60]);

        // A fault after 10 bytes: the rest is still there.
        EventLog log = new();
        connection.Notifier.Listener = log;
        connection.EndReceive(10);
        Assert.True(log.Seen.HasFlag(NetEvents.Readable));
        Assert.Equal(NetError.None, connection.BeginReceive(1000, 0, true, out view));
        Assert.Equal(190, view.Length);
        connection.EndReceive(0);
        Assert.Equal(NetError.None, connection.BeginReceive(1000, 50, true, out view));
        Assert.Equal(140, view.Length);
        Assert.Equal(TcpScript.Data(61, 10), view.Next(10).ToArray());
        connection.EndReceive(0);
        TcpScript.Read(connection, 11, 190);
    }

    [Fact]
    public void Send_Slab_SharesIt()
    {
        TcpEndpoint connection = _script.Accepted();
        Slab slab = _script.Host.Pool.Rent(8000);
        TcpScript.Data(1, 8000).CopyTo(slab.Array, 0);
        Assert.Equal(NetError.None, connection.Send(slab, 0, 8000, TcpSendFlags.None, out int sent));
        Assert.Equal(8000, sent);
        slab.Release();
        for (int i = 0; i < 5; i++)
        {
            int start = 1 + (i * 1460);
            _script.Out($". {start}:{start + 1460}(1460) ack 1");
        }

        _script.In(". 1:1(0) ack 7301");
        _script.Out("P. 7301:8001(700) ack 1");
        _script.In(". 1:1(0) ack 8001");
        _script.Wait(1);
        connection.Abort();
        Assert.Equal(0, _script.Host.Pool.OutstandingPackets);
    }

    [Fact]
    public void KeepAlive_NoAnswer_EndsTheConnection()
    {
        TcpEndpoint connection = _script.Accepted();
        connection.Settings.KeepAliveTime = 10;
        connection.Settings.KeepAliveInterval = 2;
        connection.Settings.KeepAliveProbes = 3;
        connection.SetKeepAlive(true);
        _script.Wait(9.9);
        _script.Nothing();
        _script.Wait(0.2);
        _script.Out(". 0:0(0) ack 1");
        _script.In(". 1:1(0) ack 1");
        _script.Wait(9.8);
        _script.Nothing();
        _script.Wait(0.2);
        _script.Out(". 0:0(0) ack 1");
        _script.Wait(2);
        _script.Out(". 0:0(0) ack 1");
        _script.Wait(2);
        _script.Out(". 0:0(0) ack 1");
        _script.Wait(2.1);
        _script.Out("R. 1:1(0) ack 1");
        Assert.Equal(NetError.TimedOut, connection.TakeError());
    }

    [Fact]
    public void UserTimeout_EndsEarlier()
    {
        TcpEndpoint connection = _script.Accepted();
        connection.Settings.UserTimeout = 3000;
        _script.Write(connection, 1, 10);
        _script.Wait(2.9);
        Assert.Equal(TcpState.Established, connection.State);
        _script.Wait(2);
        Assert.Equal(TcpState.Closed, connection.State);
        Assert.Equal(NetError.TimedOut, connection.TakeError());
    }

    [Fact]
    public void Retransmission_NoAnswer_EndsAfterFifteenMinutes()
    {
        TcpEndpoint connection = _script.Accepted();
        _script.Write(connection, 1, 10);
        _script.Wait(900);
        Assert.Equal(TcpState.Established, connection.State);
        _script.Wait(200);
        Assert.Equal(TcpState.Closed, connection.State);
        Assert.InRange(_script.Drop(), 15, 18);
        Assert.Equal(NetError.TimedOut, connection.TakeError());
    }

    [Fact]
    public void Ecn_MarkedPacket_IsEchoedUntilCwr()
    {
        _script.Tcp.Parameters.Ecn = 1;
        TcpEndpoint listener = _script.Listen();
        _script.In("SEW 0:0(0) win 10000 <mss 1000,sackOK>");
        _script.Out("SE. 0:0(0) ack 1");
        _script.In(". 1:1(0) ack 1 win 10000");
        listener.Accept(out TcpEndpoint? connection);
        _script.In("P. 1:101(100) ack 1 ce");
        _script.Out("E. 1:1(0) ack 101");
        _script.In("P. 101:201(100) ack 1");
        _script.Out("E. 1:1(0) ack 201");
        _script.In("PW. 201:301(100) ack 1");
        _script.Wait(0.1);
        _script.Out(". 1:1(0) ack 301");
        _script.Write(connection!, 1, 10);
        _script.Out("P. 1:11(10) ack 301");
        Assert.Equal(2, _script.LastTrafficClass & 3);
        _script.In("E. 301:301(0) ack 11");
        _script.Write(connection!, 11, 10);
        _script.Out("PW. 11:21(10) ack 301");
        Assert.Equal(7u, connection!.GetInfo().SendThreshold);
    }
}
