using System;
using Runsc.NetStack.Buffers;
using Runsc.NetStack.Core;
using Runsc.NetStack.Network;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Transport.Tcp;

/// <summary>TCP of one stack: finds the flow of each segment, answers what nobody wants, and keeps what connections share. Guarded by the stack's lock.</summary>
internal sealed partial class TcpProtocol : ITransportProtocol
{
    private readonly TcpEndpoint?[] _listeners = new TcpEndpoint?[65536];
    private readonly Route _replyRoute = new();

    private long _rateSecond;
    private int _challenges;
    private int _replies;

    public TcpProtocol(NetworkStack stack)
    {
        Stack = stack;
        Flows = new TcpFlowTable(new FlowHash(stack.Random.Next(), stack.Random.Next()));
        Isn = new IsnGenerator(stack.Random);
        CookieHash = new FlowHash(stack.Random.Next(), stack.Random.Next());
        FastOpenHash = new FlowHash(stack.Random.Next(), stack.Random.Next());
        TimeWaits = new TimeWaitQueue(this);
    }

    public byte Number => TcpHeader.Protocol;

    public NetworkStack Stack { get; }

    public TcpParameters Parameters { get; } = new();

    public TcpStatistics Statistics { get; } = new();

    public TcpFlowTable Flows { get; }

    public TimeWaitQueue TimeWaits { get; }

    internal TxSegmentPool Segments { get; } = new();

    internal IsnGenerator Isn { get; }

    /// <summary>For look-ups whose result is used at once.</summary>
    internal Route ScratchRoute { get; } = new();

    internal FlowHash CookieHash { get; }

    internal FlowHash FastOpenHash { get; }

    /// <summary>Bytes in the queues of all connections.</summary>
    public long MemoryUsed { get; internal set; }

    /// <summary>Connections that no application holds.</summary>
    public int Orphans { get; internal set; }

    internal bool IsUnderPressure => MemoryUsed > Parameters.MemoryPressure;

    internal bool IsOutOfMemory => MemoryUsed > Parameters.MemoryLimit;

    /// <summary>A new socket, of AF_INET6 or AF_INET.</summary>
    public TcpEndpoint CreateEndpoint(bool isV6)
    {
        TcpSettings settings = new()
        {
            ReceiveBuffer = Parameters.DefaultReceiveBuffer,
            SendBuffer = Parameters.DefaultSendBuffer,
        };
        return new TcpEndpoint(this, isV6, settings);
    }

    public void Deliver(PacketBuffer packet, in IpPacketInfo info)
    {
        Statistics.InSegs++;
        if (info.IsBroadcast || info.IsMulticast || !packet.EnsureLinear(TcpHeader.Size)
            || !TcpHeader.TryParse(packet.Linear, out TcpHeader header) || !packet.EnsureLinear(header.Length))
        {
            Statistics.InErrs++;
            packet.Release();
            return;
        }

        if (packet.Checksum == ChecksumState.None)
        {
            ulong sum = Checksum.PseudoHeader(info.Source, info.Destination, TcpHeader.Protocol, packet.Length);
            if (!Checksum.IsValid(packet.Sum(0, packet.Length, sum)))
            {
                Statistics.InErrs++;
                Statistics.InCsumErrors++;
                packet.Release();
                return;
            }
        }

        TcpSegment segment = new()
        {
            Packet = packet,
            Ip = info,
            SourcePort = header.Source,
            DestinationPort = header.Destination,
            Seq = new SeqNum(header.Sequence),
            Ack = new SeqNum(header.Acknowledgment),
            Flags = header.Flags,
            Window = header.Window,
            Urgent = header.Urgent,
            Length = packet.Length - header.Length,
        };
        if (header.Length > TcpHeader.Size)
        {
            TcpOptions.Parse(packet.Linear[TcpHeader.Size..header.Length], segment.IsSyn, out segment.Options);
        }

        packet.TransportStart = packet.Position;
        packet.TrimFront(header.Length);
        TcpFlow? flow = Flows.Find(info.Destination, header.Destination, info.Source, header.Source);
        if (flow is not null)
        {
            flow.Receive(ref segment);
            return;
        }

        if (FindListener(info.Destination, header.Destination, segment) is { } listener)
        {
            listener.Receive(ref segment);
            return;
        }

        ReplyReset(segment);
        packet.Release();
    }

    public void DeliverError(in IcmpError error, PacketBuffer quoted)
    {
        ReadOnlySpan<byte> bytes = quoted.Linear;
        ushort local = System.Buffers.Binary.BinaryPrimitives.ReadUInt16BigEndian(bytes);
        ushort remote = System.Buffers.Binary.BinaryPrimitives.ReadUInt16BigEndian(bytes[2..]);
        SeqNum seq = new(System.Buffers.Binary.BinaryPrimitives.ReadUInt32BigEndian(bytes[4..]));
        Flows.Find(error.Local, local, error.Remote, remote)?.OnIcmp(error, seq);
    }

    internal void AddListener(TcpEndpoint listener)
    {
        listener.NextListener = _listeners[listener.LocalPort];
        _listeners[listener.LocalPort] = listener;
    }

    internal void RemoveListener(TcpEndpoint listener)
    {
        ref TcpEndpoint? first = ref _listeners[listener.LocalPort];
        if (first == listener)
        {
            first = listener.NextListener;
        }
        else
        {
            for (TcpEndpoint? before = first; before is not null; before = before.NextListener)
            {
                if (before.NextListener == listener)
                {
                    before.NextListener = listener.NextListener;
                    break;
                }
            }
        }

        listener.NextListener = null;
    }

    /// <summary>The listeners of a port, one after the other by NextListener.</summary>
    public TcpEndpoint? FirstListener(ushort port) => _listeners[port];

    /// <summary>The listener that fits best: an exact address before a wildcard, a bound interface before none; among equals (SO_REUSEPORT) by a hash of the flow.</summary>
    internal TcpEndpoint? FindListener(in IpAddress address, ushort port, in TcpSegment segment)
    {
        TcpEndpoint? best = null;
        int bestScore = 0;
        int equals = 0;
        for (TcpEndpoint? listener = _listeners[port]; listener is not null; listener = listener.NextListener)
        {
            int score = Score(listener, address, segment.Ip.Interface);
            if (score > bestScore)
            {
                best = listener;
                bestScore = score;
                equals = 1;
            }
            else if (score == bestScore && score > 0)
            {
                equals++;
            }
        }

        if (equals <= 1)
        {
            return best;
        }

        int chosen = (int)(Stack.Hash.Hash(address, port, segment.Ip.Source, segment.SourcePort) % (uint)equals);
        for (TcpEndpoint? listener = _listeners[port]; listener is not null; listener = listener.NextListener)
        {
            if (Score(listener, address, segment.Ip.Interface) == bestScore && chosen-- == 0)
            {
                return listener;
            }
        }

        return best;
    }

    private static int Score(TcpEndpoint listener, in IpAddress address, int fromInterface)
    {
        int score = 1;
        if (listener.Port.Interface != 0)
        {
            if (listener.Port.Interface != fromInterface)
            {
                return 0;
            }

            score += 4;
        }

        IpAddress bound = listener.LocalAddress;
        if (!bound.IsUnspecified)
        {
            return bound == address ? score + 8 : 0;
        }

        if (bound.IsV4 == address.IsV4)
        {
            return score + 1;
        }

        return bound.IsV6 && !listener.Port.V6Only ? score : 0;
    }

    /// <summary>An address of this host; one of IPv4 is, whether the loopback interface that leads to it is up or not.</summary>
    internal bool IsLocal(in IpAddress address, int onInterface)
    {
        if (address.IsV4 && Stack.Routes4.FindLocal(address) is { Kind: RouteKind.Local })
        {
            return true;
        }

        RouteQuery query = new() { Destination = address, Source = address.AnyOfFamily, Interface = address.NeedsScope ? onInterface : 0 };
        return Stack.Ip.FindRoute(query, ScratchRoute) == NetError.None && ScratchRoute.Kind == RouteKind.Local;
    }

    /// <summary>RFC 5961, 7: challenge ACKs of all connections in a second, with some noise so that the limit tells nothing.</summary>
    internal bool MayChallenge()
    {
        NewSecond();
        return _challenges-- > 0;
    }

    private void NewSecond()
    {
        long second = Stack.Now / TcpEndpoint.Second;
        if (second != _rateSecond || _rateSecond == 0)
        {
            _rateSecond = second;
            int half = (Parameters.ChallengeAckLimit + 1) / 2;
            _challenges = half + (int)(Stack.Random.Next() % (uint)Math.Max(Parameters.ChallengeAckLimit, 1));
            _replies = Parameters.StatelessReplyLimit;
        }
    }
}
