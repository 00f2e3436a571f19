using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using System.Text;
using System.Text.RegularExpressions;
using Runsc.NetStack;
using Runsc.NetStack.Transport.Tcp;
using Runsc.NetStack.Wire;
using Xunit;

namespace Runsc.Tests.Unit.NetStack.Tcp;

/// <summary>A script of segments between our TCP and an imagined peer, in a notation like packetdrill's.</summary>
/// <remarks>
/// <c>S 0:0(0) ack 1 win 1000 &lt;mss 1460,sackOK,TS val 1 ecr 2,wscale 7,sack 1:2 5:6&gt; urg 3</c>: flags of S F R P . U E W, sequence numbers relative to each side's first.
/// What is expected is compared in what it names; of the rest, anything goes. Payload bytes are a function of the position in the stream.
/// </remarks>
internal sealed partial class TcpScript
{
    // Close to the end of the number space, so that everything wraps.
    private const uint PeerIsn = 0xffff_f000;

    public static readonly IpAddress OurAddress = IpAddress.FromV4(10, 0, 0, 1);
    public static readonly IpAddress PeerAddress = IpAddress.FromV4(10, 0, 0, 2);

    private readonly Queue<WireSegment> _out = new();
    private uint? _ourIsn;

    public TcpScript(int seed = 1)
    {
        Clock = new HandClock();
        Host = new TestHost(Clock, seed, OurAddress, _out.Enqueue);
    }

    public HandClock Clock { get; }

    public TestHost Host { get; }

    public TcpProtocol Tcp => Host.Tcp;

    public ushort OurPort { get; set; } = 80;

    public ushort PeerPort { get; set; } = 5000;

    /// <summary>The TS value of the last segment of ours.</summary>
    public uint LastTimestamp { get; private set; }

    public uint LastWindow { get; private set; }

    public void SetLastWindow(uint window) => LastWindow = window;

    public byte LastTrafficClass { get; private set; }

    public static byte ByteAt(long position) => unchecked((byte)((position * 7) + (position >> 8)));

    public static byte[] Data(long from, int count)
    {
        byte[] bytes = new byte[count];
        for (int i = 0; i < count; i++)
        {
            bytes[i] = ByteAt(from + i);
        }

        return bytes;
    }

    [GeneratedRegex(@"^(?<flags>[SFRPUEW.]+) (?<seq>\d+):(?<end>\d+)\((?<len>\d+)\)(?: ack (?<ack>\d+))?(?: win (?<win>\d+))?(?: <(?<opts>[^>]*)>)?(?: urg (?<urg>\d+))?(?<ce> ce)?$")]
    private static partial Regex Notation();

    /// <summary>A listener on <see cref="OurPort"/>.</summary>
    public TcpEndpoint Listen(int backlog = 5, Action<TcpEndpoint>? setUp = null)
    {
        TcpEndpoint listener = Tcp.CreateEndpoint(isV6: false);
        setUp?.Invoke(listener);
        Assert.Equal(NetError.None, listener.Bind(new IpEndpoint(IpAddress.AnyV4, OurPort)));
        Assert.Equal(NetError.None, listener.Listen(backlog));
        return listener;
    }

    /// <summary>A connection that the peer opened: window 32792 scaled by 0 unless the options say otherwise.</summary>
    public TcpEndpoint Accepted(string options = "<mss 1460,sackOK>", int window = 32792, Action<TcpEndpoint>? setUp = null)
    {
        TcpEndpoint listener = Listen(setUp: setUp);
        In($"S 0:0(0) win {window} {options}");
        Out("S. 0:0(0) ack 1");
        In($". 1:1(0) ack 1 win {window}{Ts(options)}");
        Assert.Equal(NetError.None, listener.Accept(out TcpEndpoint? connection));
        return connection!;
    }

    /// <summary>A connection that we open.</summary>
    public TcpEndpoint Connecting(Action<TcpEndpoint>? setUp = null)
    {
        TcpEndpoint endpoint = Tcp.CreateEndpoint(isV6: false);
        setUp?.Invoke(endpoint);
        Assert.Equal(NetError.InProgress, endpoint.Connect(new IpEndpoint(PeerAddress, PeerPort)));
        OurPort = endpoint.Local.Port;
        return endpoint;
    }

    public TcpEndpoint Connected(string options = "<mss 1460,sackOK>", int window = 32792)
    {
        TcpEndpoint endpoint = Connecting();
        Out("S 0:0(0)");
        In($"S. 0:0(0) ack 1 win {window} {options}");
        Out(". 1:1(0) ack 1");
        Assert.Equal(NetError.None, endpoint.ConnectResult());
        return endpoint;
    }

    private string Ts(string options) => options.Contains("TS", StringComparison.Ordinal) ? $" <TS val 1001 ecr {LastTimestamp}>" : "";

    /// <summary>The peer sends.</summary>
    public void In(string text)
    {
        Match match = Notation().Match(text);
        Assert.True(match.Success, text);
        int length = Number(match, "len");
        TcpHeader header = new()
        {
            Source = PeerPort,
            Destination = OurPort,
            Sequence = unchecked(PeerIsn + (uint)Number(match, "seq")),
            Flags = Flags(match.Groups["flags"].Value),
            Window = (ushort)(match.Groups["win"].Success ? Number(match, "win") : 32792),
            Urgent = (ushort)(match.Groups["urg"].Success ? Number(match, "urg") : 0),
        };
        if (match.Groups["ack"].Success)
        {
            header.Acknowledgment = unchecked((_ourIsn ?? 0) + (uint)Number(match, "ack"));
        }

        TcpOptions options = default;
        ReadOptions(match.Groups["opts"].Value, ref options);
        byte[] optionBytes = new byte[40];
        int optionLength = options.Write(optionBytes);
        header.Length = TcpHeader.Size + optionLength;
        byte[] bytes = new byte[header.Length + length];
        header.Write(bytes);
        optionBytes.AsSpan(0, optionLength).CopyTo(bytes.AsSpan(TcpHeader.Size));
        int dataStart = Number(match, "seq") + ((header.Flags & TcpFlags.Syn) != 0 ? 1 : 0);
        Data(dataStart, length).CopyTo(bytes, header.Length);
        header.Checksum = Checksum.Finish(Checksum.Add(Checksum.PseudoHeader(PeerAddress, OurAddress, TcpHeader.Protocol, bytes.Length), bytes));
        header.Write(bytes);
        Host.Deliver(new WireSegment(PeerAddress, OurAddress, (byte)(match.Groups["ce"].Success ? 3 : 0), bytes));
    }

    /// <summary>We must have sent exactly this next.</summary>
    public void Out(string text)
    {
        Match match = Notation().Match(text);
        Assert.True(match.Success, text);
        Assert.True(_out.TryDequeue(out WireSegment? segment), $"expected {text}, nothing was sent");
        TcpHeader header = segment.Header;
        if ((header.Flags & TcpFlags.Syn) != 0 && _ourIsn is null)
        {
            _ourIsn = header.Sequence;
        }

        string found = Describe(segment);
        uint seq = unchecked(header.Sequence - (_ourIsn ?? 0));
        bool equal = header.Flags == Flags(match.Groups["flags"].Value)
            && seq == (uint)Number(match, "seq")
            && segment.PayloadLength == Number(match, "len")
            && (!match.Groups["ack"].Success || unchecked(header.Acknowledgment - PeerIsn) == (uint)Number(match, "ack"))
            && (!match.Groups["win"].Success || header.Window == Number(match, "win"))
            && (!match.Groups["urg"].Success || header.Urgent == Number(match, "urg"));
        Assert.True(equal, $"expected {text}, found {found}");
        Assert.Equal(OurPort, header.Source);
        Assert.Equal(PeerPort, header.Destination);
        foreach (string option in match.Groups["opts"].Value.Split(',', StringSplitOptions.RemoveEmptyEntries))
        {
            Assert.True(found.Contains(option.Trim(), StringComparison.Ordinal), $"expected {text}, found {found}");
        }

        int dataStart = Number(match, "seq") + ((header.Flags & TcpFlags.Syn) != 0 ? 1 : 0);
        Assert.Equal(Data(dataStart, segment.PayloadLength), segment.Bytes[header.Length..]);
        LastTimestamp = segment.Options.TimestampValue;
        LastWindow = header.Window;
        LastTrafficClass = segment.TrafficClass;
        _lastOptions = segment.Options;
    }

    public uint OurIsn => _ourIsn ?? 0;

    /// <summary>Another connection begins: our first sequence number is learned anew.</summary>
    public void ForgetSequence() => _ourIsn = null;

    private TcpOptions _lastOptions;

    /// <summary>The fast-open cookie of our last segment, in hex.</summary>
    public string LastCookie => Convert.ToHexString(((ReadOnlySpan<byte>)_lastOptions.Cookie)[.._lastOptions.CookieLength]);

    /// <summary>We must have sent nothing more.</summary>
    public void Nothing()
    {
        Assert.True(_out.Count == 0, _out.Count == 0 ? "" : "unexpected " + string.Join("; ", _out.Select(Describe)));
    }

    /// <summary>Forgets what was sent; returns how many segments.</summary>
    public int Drop()
    {
        int count = _out.Count;
        _out.Clear();
        return count;
    }

    /// <summary>What was sent, as text.</summary>
    public List<string> TakeAll()
    {
        List<string> all = _out.Select(Describe).ToList();
        _out.Clear();
        return all;
    }

    /// <summary>Lets time pass: timers fire when they are due.</summary>
    public void Wait(double seconds)
    {
        long end = Clock.Monotonic + (long)(seconds * 1e9);
        while (true)
        {
            long next = Host.Stack.RunTimers();
            if (next > end)
            {
                break;
            }

            Clock.Monotonic = Math.Max(Clock.Monotonic, next);
        }

        Clock.Monotonic = end;
        Host.Stack.RunTimers();
    }

    /// <summary>Writes the next bytes of the stream that begins with position 1.</summary>
    public void Write(TcpEndpoint endpoint, long from, int count, TcpSendFlags flags = TcpSendFlags.None)
    {
        Assert.Equal(NetError.None, endpoint.Send(Data(from, count), flags, out int sent));
        Assert.Equal(count, sent);
    }

    /// <summary>Reads and compares bytes of the peer's stream.</summary>
    public static void Read(TcpEndpoint endpoint, long from, int count)
    {
        byte[] buffer = new byte[count + 1];
        Assert.Equal(NetError.None, endpoint.Receive(buffer, false, out int got));
        Assert.Equal(count, got);
        Assert.Equal(Data(from, count), buffer[..count]);
    }

    public static void ReadEnd(TcpEndpoint endpoint)
    {
        Assert.Equal(NetError.None, endpoint.Receive(new byte[1], false, out int got));
        Assert.Equal(0, got);
    }

    private static int Number(Match match, string group) => int.Parse(match.Groups[group].Value, CultureInfo.InvariantCulture);

    private static TcpFlags Flags(string text)
    {
        TcpFlags flags = TcpFlags.None;
        foreach (char c in text)
        {
            flags |= c switch
            {
                'S' => TcpFlags.Syn,
                'F' => TcpFlags.Fin,
                'R' => TcpFlags.Rst,
                'P' => TcpFlags.Psh,
                'U' => TcpFlags.Urg,
                'E' => TcpFlags.Ece,
                'W' => TcpFlags.Cwr,
                _ => TcpFlags.Ack,
            };
        }

        return flags;
    }

    private void ReadOptions(string text, ref TcpOptions options)
    {
        foreach (string option in text.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            string[] words = option.Split(' ');
            switch (words[0])
            {
                case "mss":
                    options.Mss = ushort.Parse(words[1], CultureInfo.InvariantCulture);
                    break;
                case "sackOK":
                    options.SackPermitted = true;
                    break;
                case "wscale":
                    options.HasWindowScale = true;
                    options.WindowScale = byte.Parse(words[1], CultureInfo.InvariantCulture);
                    break;
                case "TS":
                    options.HasTimestamps = true;
                    options.TimestampValue = uint.Parse(words[2], CultureInfo.InvariantCulture);
                    options.TimestampEcho = uint.Parse(words[4], CultureInfo.InvariantCulture);
                    break;
                case "sack":
                    foreach (string block in words[1..])
                    {
                        string[] edges = block.Split(':');
                        uint isn = _ourIsn ?? 0;
                        options.Blocks[options.SackCount++] = unchecked(new SackBlock(
                            isn + uint.Parse(edges[0], CultureInfo.InvariantCulture),
                            isn + uint.Parse(edges[1], CultureInfo.InvariantCulture)));
                    }

                    break;
                case "FO":
                    options.HasFastOpen = true;
                    if (words.Length > 1)
                    {
                        byte[] cookie = Convert.FromHexString(words[1]);
                        options.CookieLength = cookie.Length;
                        cookie.CopyTo(options.Cookie);
                    }

                    break;
                default:
                    Assert.Fail("unknown option " + option);
                    break;
            }
        }
    }

    private string Describe(WireSegment segment)
    {
        TcpHeader header = segment.Header;
        StringBuilder text = new();
        Add('S', TcpFlags.Syn);
        Add('F', TcpFlags.Fin);
        Add('R', TcpFlags.Rst);
        Add('P', TcpFlags.Psh);
        Add('U', TcpFlags.Urg);
        Add('E', TcpFlags.Ece);
        Add('W', TcpFlags.Cwr);
        Add('.', TcpFlags.Ack);
        uint seq = unchecked(header.Sequence - (_ourIsn ?? 0));
        text.Append(CultureInfo.InvariantCulture, $" {seq}:{unchecked(seq + (uint)segment.PayloadLength)}({segment.PayloadLength})");
        if ((header.Flags & TcpFlags.Ack) != 0)
        {
            text.Append(CultureInfo.InvariantCulture, $" ack {unchecked(header.Acknowledgment - PeerIsn)}");
        }

        text.Append(CultureInfo.InvariantCulture, $" win {header.Window}");
        TcpOptions options = segment.Options;
        List<string> parts = [];
        if (options.Mss != 0)
        {
            parts.Add($"mss {options.Mss}");
        }

        if (options.SackPermitted)
        {
            parts.Add("sackOK");
        }

        if (options.HasTimestamps)
        {
            parts.Add($"TS val {options.TimestampValue} ecr {options.TimestampEcho}");
        }

        if (options.HasWindowScale)
        {
            parts.Add($"wscale {options.WindowScale}");
        }

        if (options.SackCount > 0)
        {
            string blocks = string.Join(' ', Enumerable.Range(0, options.SackCount)
                .Select(i => unchecked($"{segment.Options.Blocks[i].Start - PeerIsn}:{segment.Options.Blocks[i].End - PeerIsn}")));
            parts.Add("sack " + blocks);
        }

        if (options.HasFastOpen)
        {
            parts.Add("FO " + Convert.ToHexString(((ReadOnlySpan<byte>)options.Cookie)[..options.CookieLength]));
        }

        if (parts.Count > 0)
        {
            text.Append(CultureInfo.InvariantCulture, $" <{string.Join(',', parts)}>");
        }

        if (header.Urgent != 0)
        {
            text.Append(CultureInfo.InvariantCulture, $" urg {header.Urgent}");
        }

        return text.ToString();

        void Add(char c, TcpFlags flag)
        {
            if ((header.Flags & flag) != 0)
            {
                text.Append(c);
            }
        }
    }
}
