using System.Collections.Generic;
using Runsc.NetStack.Buffers;
using Runsc.NetStack.Network;

namespace Runsc.NetStack.Transport;

/// <summary>The raw endpoints of a stack. Guarded by the stack's lock.</summary>
internal sealed class RawTable
{
    private readonly List<RawEndpoint> _endpoints = [];

    public IReadOnlyList<RawEndpoint> All => _endpoints;

    public void Add(RawEndpoint endpoint) => _endpoints.Add(endpoint);

    public void Remove(RawEndpoint endpoint) => _endpoints.Remove(endpoint);

    public bool Wants(in IpPacketInfo info)
    {
        for (int i = 0; i < _endpoints.Count; i++)
        {
            if (_endpoints[i].Protocol == info.Protocol && _endpoints[i].IsV4 == info.Source.IsV4)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Gives a copy to each endpoint that wants the packet, which stays the caller's; true if one did.</summary>
    public bool Deliver(PacketBuffer packet, in IpPacketInfo info)
    {
        bool wanted = false;
        for (int i = 0; i < _endpoints.Count; i++)
        {
            if (_endpoints[i].WantsLocked(info))
            {
                wanted = true;
                if (packet.TryClone() is { } copy)
                {
                    _endpoints[i].DeliverLocked(copy, info);
                }
            }
        }

        return wanted;
    }

    /// <summary>An error about a packet that a raw endpoint may have sent; the quoted packet stays the caller's.</summary>
    public void DeliverError(in IcmpError error, PacketBuffer quoted)
    {
        IpPacketInfo info = new() { Source = error.Remote, Destination = error.Local, Protocol = error.Protocol, Interface = error.Interface };
        for (int i = 0; i < _endpoints.Count; i++)
        {
            if (_endpoints[i].WantsLocked(info))
            {
                _endpoints[i].ErrorLocked(error, quoted);
            }
        }
    }
}
