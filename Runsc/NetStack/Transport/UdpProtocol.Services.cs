using System.Buffers.Binary;
using System.Collections.Generic;
using Runsc.NetStack.Buffers;
using Runsc.NetStack.Network;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Transport;

/// <summary>Services of the sandbox itself. They come before endpoints, as a redirection by the packet filter would.</summary>
internal sealed partial class UdpProtocol
{
    private readonly Dictionary<IpEndpoint, IUdpService> _services = [];
    private readonly Route _serviceRoute = new();

    /// <summary>From now on, what this host sends to the address goes to the service.</summary>
    public void AddService(IpEndpoint address, IUdpService service) => _services[address] = service;

    /// <summary>Sends as a service; takes the payload.</summary>
    public NetError SendAs(IpEndpoint service, IpEndpoint destination, PacketBuffer payload)
    {
        NetError error = stack.Ip.FindRoute(new RouteQuery { Destination = destination.Address, Source = service.Address, AnySource = true }, _serviceRoute);
        if (error != NetError.None)
        {
            payload.Release();
            return error;
        }

        int length = payload.Length + UdpHeader.Size;
        new UdpHeader { Source = service.Port, Destination = destination.Port, Length = length }.Write(payload.Prepend(UdpHeader.Size));
        ulong sum = Checksum.PseudoHeader(_serviceRoute.Source, _serviceRoute.Destination, IpProtocol.Udp, length);
        payload.Checksum = ChecksumState.Partial;
        payload.ChecksumStart = payload.TransportStart = payload.Position;
        payload.ChecksumOffset = UdpHeader.ChecksumField;
        BinaryPrimitives.WriteUInt16BigEndian(payload.Linear[UdpHeader.ChecksumField..], Checksum.Fold(sum));
        return stack.Ip.Send(_serviceRoute, payload, new IpSendOptions { Protocol = IpProtocol.Udp });
    }

    /// <summary>True if a service took the packet. Only what comes from this host itself is offered.</summary>
    private bool TryServe(PacketBuffer packet, in IpPacketInfo info, in UdpHeader header)
    {
        if (_services.Count == 0 || !_services.TryGetValue(new IpEndpoint(info.Destination, header.Destination), out IUdpService? service)
            || stack.FindInterface(info.Interface) is not { IsLoopback: true })
        {
            return false;
        }

        packet.TrimFront(UdpHeader.Size);
        service.Receive(packet, info, header);
        return true;
    }
}
