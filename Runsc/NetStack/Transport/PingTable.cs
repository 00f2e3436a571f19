using System.Buffers.Binary;
using System.Collections.Generic;
using Runsc.NetStack.Buffers;
using Runsc.NetStack.Core;
using Runsc.NetStack.Network;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Transport;

/// <summary>Ping endpoints by family and identifier. Guarded by the stack's lock.</summary>
internal sealed class PingTable(INetRandom random)
{
    private readonly Dictionary<int, PingEndpoint> _endpoints = [];

    public IReadOnlyCollection<PingEndpoint> All => _endpoints.Values;

    /// <summary>Takes an echo reply, its front at the ICMP header.</summary>
    public void Deliver(PacketBuffer packet, in IpPacketInfo info)
    {
        if (packet.EnsureLinear(IcmpType.HeaderSize) && Find(packet, info.Source.IsV4) is { } endpoint && endpoint.WantsLocked(info))
        {
            endpoint.DeliverLocked(packet, info);
            return;
        }

        packet.Release();
    }

    public void DeliverError(in IcmpError error, PacketBuffer quoted)
    {
        if (quoted.EnsureLinear(IcmpType.HeaderSize) && Find(quoted, error.Remote.IsV4) is { } endpoint)
        {
            quoted.TrimFront(IcmpType.HeaderSize);
            endpoint.ErrorLocked(error, quoted);
        }
    }

    internal NetError Add(PingEndpoint endpoint, ushort wanted, out ushort id)
    {
        id = wanted;
        if (wanted != 0)
        {
            return _endpoints.TryAdd(Key(endpoint.IsV4, wanted), endpoint) ? NetError.None : NetError.AddressInUse;
        }

        ushort start = unchecked((ushort)random.Next());
        for (int i = 0; i < 65536; i++)
        {
            id = unchecked((ushort)(start + i));
            if (id != 0 && _endpoints.TryAdd(Key(endpoint.IsV4, id), endpoint))
            {
                return NetError.None;
            }
        }

        return NetError.AddressInUse;
    }

    internal void Remove(PingEndpoint endpoint)
    {
        if (endpoint.Local.Port != 0)
        {
            _endpoints.Remove(Key(endpoint.IsV4, endpoint.Local.Port));
        }
    }

    private static int Key(bool v4, ushort id) => (v4 ? 0x10000 : 0) | id;

    private PingEndpoint? Find(PacketBuffer packet, bool v4) =>
        _endpoints.GetValueOrDefault(Key(v4, BinaryPrimitives.ReadUInt16BigEndian(packet.Linear[4..])));
}
