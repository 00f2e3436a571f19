using System;
using System.Collections.Generic;
using System.IO;
using System.Text;
using System.Threading;
using Runsc.Common;
using Runsc.Container.Systemd;
using Runsc.Host.Syscalls;
using Runsc.Oci;
using Xunit;

namespace Runsc.Tests.Unit.Container;

/// <summary>The client of systemd, against a bus of the test's own.</summary>
public sealed class SystemdTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("runsc-bus-").FullName;
    private readonly List<(string Member, BusMessage Message)> _calls = [];
    private int _listener = -1;

    public void Dispose()
    {
        _ = _listener >= 0 ? HostFile.Close(_listener) : 0;
        Directory.Delete(_directory, recursive: true);
    }

    private string Socket => Path.Combine(_directory, "socket");

    private SystemdScope Scope(bool isBus) => isBus ? new(Path.Combine(_directory, "none"), Socket) : new(Socket, Path.Combine(_directory, "none"));

    /// <summary>Answers one connection: each call by its member, or an error.</summary>
    private Thread Serve(string jobResult, string? failing = null)
    {
        _listener = HostPacketSocket.ListenStream(Socket);
        Assert.True(_listener >= 0);
        Thread thread = new(() =>
        {
            int connection = HostPacketSocket.Accept(_listener);
            Assert.StartsWith("\0AUTH EXTERNAL ", ReadLine(connection), StringComparison.Ordinal);
            _ = HostSocket.Send(connection, "OK 0123456789abcdef\r\n"u8);
            Assert.Equal("BEGIN", ReadLine(connection));
            uint serial = 0;
            while (Receive(connection) is BusMessage call)
            {
                string member = call.Fields[BusMessage.Member];
                _calls.Add((member, call));
                if (member == failing)
                {
                    BusWriter why = new();
                    _ = why.Text("it does not want to");
                    Send(connection, BusMessage.Error, ++serial, [(BusMessage.ErrorName, "org.example.Error"), (BusMessage.SignatureField, "s")], call.Serial, why);
                    continue;
                }

                BusWriter body = new();
                if (member == "StartTransientUnit")
                {
                    // The end of another job, and of this one, before the answer.
                    Removed("/job/7", "failed");
                    Removed("/job/8", jobResult);
                    _ = body.Text("/job/8");
                }

                Send(connection, BusMessage.MethodReturn, ++serial, body.Length > 0 ? [(BusMessage.SignatureField, "o")] : [], call.Serial, body);

                void Removed(string job, string result)
                {
                    BusWriter text = new();
                    _ = text.UInt32(8).Text(job).Text("a.scope").Text(result);
                    Send(connection, BusMessage.Signal, ++serial, [(BusMessage.Path, "/org/freedesktop/systemd1"), (BusMessage.Member, "JobRemoved"), (BusMessage.SignatureField, "uoss")], 0, text);
                }
            }

            _ = HostFile.Close(connection);
        });
        thread.Start();
        return thread;
    }

    private static void Send(int connection, byte type, uint serial, List<(byte, string)> fields, uint answers, BusWriter body) =>
        Assert.True(HostSocket.Send(connection, BusMessage.Write(type, serial, fields, answers, body)) > 0);

    private static string ReadLine(int connection)
    {
        StringBuilder line = new();
        byte[] one = new byte[1];
        while (HostFile.Read(connection, one) == 1 && one[0] != '\n')
        {
            line.Append((char)one[0]);
        }

        return line.ToString().TrimEnd('\r');
    }

    private static BusMessage? Receive(int connection)
    {
        byte[] start = new byte[BusMessage.FixedSize];
        if (!Fill(connection, start))
        {
            return null;
        }

        byte[] whole = new byte[BusMessage.SizeOf(start)];
        start.CopyTo(whole, 0);
        Assert.True(Fill(connection, whole.AsSpan(start.Length)));
        return BusMessage.Read(whole);
    }

    private static bool Fill(int connection, Span<byte> bytes)
    {
        while (bytes.Length > 0)
        {
            long n = HostFile.Read(connection, bytes);
            if (n <= 0)
            {
                return false;
            }

            bytes = bytes[(int)n..];
        }

        return true;
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Scope_IsStartedWithItsLimits(bool isBus)
    {
        Thread server = Serve("done");
        ResourcesSpec limits = new() { Memory = new MemorySpec { Limit = 1 << 28 }, Cpu = new CpuSpec { Quota = 150_000, Period = 100_000 }, Pids = new PidsSpec { Limit = 10 } };
        Scope(isBus).Start("runsc-x.scope", "system.slice", 4711, limits, isUnified: true);
        server.Join();
        List<string> members = _calls.ConvertAll(call => call.Member);
        Assert.Equal(isBus ? ["Hello", "AddMatch", "ResetFailedUnit", "Subscribe", "StartTransientUnit"] : ["ResetFailedUnit", "Subscribe", "StartTransientUnit"], members);

        // String, string, array of structures of a name and a value.
        byte[] body = _calls[^1].Message.Body;
        int at = 0;
        Assert.Equal("runsc-x.scope", BusMessage.ReadText(body, ref at));
        Assert.Equal("fail", BusMessage.ReadText(body, ref at));
        int length = (int)BusMessage.ReadUInt32(body, ref at);
        at = (at + 7) & ~7;
        int end = at + length;
        Dictionary<string, string> properties = [];
        while (at < end)
        {
            at = (at + 7) & ~7;
            string name = BusMessage.ReadText(body, ref at);
            string type = Encoding.ASCII.GetString(body, at + 1, body[at]);
            at += body[at] + 2;
            properties[name] = type switch
            {
                "s" => BusMessage.ReadText(body, ref at),
                "b" => BusMessage.ReadUInt32(body, ref at).ToString(),
                "au" => $"{BusMessage.ReadUInt32(body, ref at)}:{BusMessage.ReadUInt32(body, ref at)}",
                "t" => BitConverter.ToUInt64(body, (at = ((at + 7) & ~7) + 8) - 8).ToString(),
                _ => throw new InvalidOperationException(type),
            };
        }

        Assert.Equal(end, at);
        Assert.Equal("system.slice", properties["Slice"]);
        Assert.Equal("4:4711", properties["PIDs"]);
        Assert.Equal("1", properties["Delegate"]);
        Assert.Equal("268435456", properties["MemoryMax"]);
        Assert.Equal("1500000", properties["CPUQuotaPerSecUSec"]);
        Assert.Equal("542", properties["TasksMax"]);

        // An empty array behind it.
        Assert.Equal(0u, BusMessage.ReadUInt32(body, ref at));
    }

    [Fact]
    public void Scope_ThatIsNotStarted_IsTold()
    {
        Thread server = Serve("failed");
        Assert.Equal("systemd: a.scope is not started: failed", Assert.Throws<RunscException>(() => Scope(false).Start("a.scope", "system.slice", 1, new ResourcesSpec(), true)).Message);
        server.Join();
    }

    [Fact]
    public void Error_IsTold()
    {
        Thread server = Serve("done", failing: "SetUnitProperties");
        Assert.Equal("systemd: SetUnitProperties: it does not want to", Assert.Throws<RunscException>(() => Scope(false).Update("a.scope", new ResourcesSpec(), true)).Message);
        server.Join();
    }

    [Fact]
    public void Nobody_IsTold() =>
        Assert.StartsWith("cannot connect to systemd at ", Assert.Throws<RunscException>(() => Scope(true).Update("a.scope", new ResourcesSpec(), true)).Message, StringComparison.Ordinal);
}
