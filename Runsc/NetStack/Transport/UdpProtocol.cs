using System.Collections.Generic;
using Runsc.NetStack.Buffers;
using Runsc.NetStack.Core;
using Runsc.NetStack.Network;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Transport;

/// <summary>UDP (RFC 768) or UDP-Lite (RFC 3828): finds the endpoint of a datagram. Guarded by the stack's lock.</summary>
internal sealed partial class UdpProtocol(NetworkStack stack, byte number) : ITransportProtocol
{
    private const int Buckets = 1024;

    private readonly UdpEndpoint?[] _buckets = new UdpEndpoint?[Buckets];

    public byte Number => number;

    public bool IsLite => number == IpProtocol.UdpLite;

    public int Count { get; private set; }

    public void Deliver(PacketBuffer packet, in IpPacketInfo info)
    {
        UdpCounters counters = Counters(info.Source.IsV4);
        if (!packet.EnsureLinear(UdpHeader.Size) || !UdpHeader.TryParse(packet.Linear, out UdpHeader header)
            || header.Length > packet.Length || (header.Length < UdpHeader.Size && !IsLite))
        {
            counters.InErrors++;
            packet.Release();
            return;
        }

        if (!IsLite)
        {
            packet.TrimTo(header.Length);
        }

        if (!IsChecksumValid(packet, info, header))
        {
            counters.InErrors++;
            counters.InChecksumErrors++;
            packet.Release();
            return;
        }

        if (info.IsMulticast || info.IsBroadcast)
        {
            DeliverToAll(packet, info, header);
            return;
        }

        if (TryServe(packet, info, header))
        {
            return;
        }

        UdpEndpoint? endpoint = Find(info, header);
        if (endpoint is not null)
        {
            endpoint.DeliverLocked(packet, info, header);
            return;
        }

        counters.NoPorts++;
        stack.IcmpErrors.Send(packet, info, IcmpErrorKind.PortUnreachable);
        packet.Release();
    }

    public void DeliverError(in IcmpError error, PacketBuffer quoted)
    {
        if (!quoted.EnsureLinear(UdpHeader.Size) || !UdpHeader.TryParse(quoted.Linear, out UdpHeader header))
        {
            return;
        }

        // The quoted packet turned around: it was ours.
        IpPacketInfo info = new() { Source = error.Remote, Destination = error.Local, HopLimit = 255, Interface = error.Interface };
        UdpEndpoint? endpoint = FindBest(info, header.Destination, header.Source, anyInterface: true);
        if (endpoint is not null)
        {
            quoted.TrimFront(UdpHeader.Size);
            endpoint.ErrorLocked(error, header.Destination, quoted);
        }
    }

    /// <summary>All endpoints that have a port, for /proc/net/udp and sock_diag. Under the lock.</summary>
    public void CopyTo(List<UdpEndpoint> list)
    {
        foreach (UdpEndpoint? head in _buckets)
        {
            for (UdpEndpoint? endpoint = head; endpoint is not null; endpoint = endpoint.NextOfPort)
            {
                list.Add(endpoint);
            }
        }
    }

    internal UdpCounters Counters(bool v4) => stack.Counters.Udp(v4, IsLite);

    internal void Add(UdpEndpoint endpoint)
    {
        ref UdpEndpoint? head = ref _buckets[endpoint.Local.Port % Buckets];
        endpoint.NextOfPort = head;
        head = endpoint;
        Count++;
    }

    internal void Remove(UdpEndpoint endpoint)
    {
        ref UdpEndpoint? head = ref _buckets[endpoint.Reservation.Port % Buckets];
        if (head == endpoint)
        {
            head = endpoint.NextOfPort;
            endpoint.NextOfPort = null;
            Count--;
            return;
        }

        for (UdpEndpoint? at = head; at is not null; at = at.NextOfPort)
        {
            if (at.NextOfPort == endpoint)
            {
                at.NextOfPort = endpoint.NextOfPort;
                endpoint.NextOfPort = null;
                Count--;
                return;
            }
        }
    }

    private bool IsChecksumValid(PacketBuffer packet, in IpPacketInfo info, in UdpHeader header)
    {
        // A sender of UDP-Lite has always computed its checksum.
        if (packet.Checksum != ChecksumState.None && !IsLite)
        {
            return true;
        }

        if (header.Checksum == 0)
        {
            return info.Source.IsV4 && !IsLite;
        }

        int covered = header.Length == 0 ? packet.Length : header.Length;
        ulong sum = Checksum.PseudoHeader(info.Source, info.Destination, number, packet.Length);
        return covered >= UdpHeader.Size && Checksum.IsValid(packet.Sum(0, covered, sum));
    }

    private UdpEndpoint? Find(in IpPacketInfo info, in UdpHeader header)
    {
        UdpEndpoint? best = FindBest(info, header.Source, header.Destination, anyInterface: false);
        if (best is null || !best.Options.ReusePort || best.IsConnected)
        {
            return best;
        }

        // SO_REUSEPORT: those that fit as well share by the hash of the flow.
        int score = best.ScoreLocked(info, header.Source);
        int count = 0;
        for (UdpEndpoint? at = _buckets[header.Destination % Buckets]; at is not null; at = at.NextOfPort)
        {
            count += IsPeer(at, best, info, header, score) ? 1 : 0;
        }

        if (count <= 1)
        {
            return best;
        }

        int pick = (int)(stack.Hash.Hash(info.Destination, header.Destination, info.Source, header.Source) % (ulong)(uint)count);
        for (UdpEndpoint? at = _buckets[header.Destination % Buckets]; at is not null; at = at.NextOfPort)
        {
            if (IsPeer(at, best, info, header, score) && pick-- == 0)
            {
                return at;
            }
        }

        return best;
    }

    private static bool IsPeer(UdpEndpoint at, UdpEndpoint best, in IpPacketInfo info, in UdpHeader header, int score) =>
        at.Local.Port == header.Destination && at.Options.ReusePort && at.Options.User == best.Options.User && at.ScoreLocked(info, header.Source) == score;

    private UdpEndpoint? FindBest(in IpPacketInfo info, ushort remotePort, ushort localPort, bool anyInterface)
    {
        UdpEndpoint? best = null;
        int bestScore = -1;
        IpPacketInfo asked = info;
        for (UdpEndpoint? at = _buckets[localPort % Buckets]; at is not null; at = at.NextOfPort)
        {
            if (at.Local.Port != localPort)
            {
                continue;
            }

            if (anyInterface && at.Options.BoundInterface != 0)
            {
                asked.Interface = at.Options.BoundInterface;
            }

            int score = at.ScoreLocked(asked, remotePort);
            if (score > bestScore)
            {
                best = at;
                bestScore = score;
            }
        }

        return best;
    }

    /// <summary>Groups and broadcasts reach every endpoint that fits.</summary>
    private void DeliverToAll(PacketBuffer packet, in IpPacketInfo info, in UdpHeader header)
    {
        UdpEndpoint? last = null;
        for (UdpEndpoint? at = _buckets[header.Destination % Buckets]; at is not null; at = at.NextOfPort)
        {
            if (at.Local.Port != header.Destination || at.ScoreLocked(info, header.Source) < 0 || (info.IsMulticast && !at.AllowsMulticast(info)))
            {
                continue;
            }

            if (last is not null && packet.TryClone() is { } copy)
            {
                last.DeliverLocked(copy, info, header);
            }

            last = at;
        }

        if (last is not null)
        {
            last.DeliverLocked(packet, info, header);
            return;
        }

        Counters(info.Source.IsV4).IgnoredMulti++;
        packet.Release();
    }
}
