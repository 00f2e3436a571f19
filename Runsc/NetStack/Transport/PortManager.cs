using Runsc.NetStack.Core;

namespace Runsc.NetStack.Transport;

/// <summary>Local ports by the rules of Linux (socket(7), ip(7), ipv6(7)). Guarded by the stack's lock.</summary>
/// <remarks>
/// Two holders of a port conflict when their addresses and interfaces overlap, unless both set SO_REUSEADDR and (TCP) the one that
/// holds it does not listen, or both set SO_REUSEPORT for the same user. :: overlaps IPv4 unless it is bound IPV6_V6ONLY.
/// Whether the caller may use a privileged port is the socket's affair.
/// </remarks>
internal sealed class PortManager(INetRandom random)
{
    private const byte Tcp = 6, Udp = 17;

    private readonly PortTable _tcp = new();
    private readonly PortTable _udp = new();
    private PortTable? _udpLite;

    /// <summary>net.ipv4.ip_local_port_range.</summary>
    public ushort FirstEphemeral { get; set; } = 32768;

    public ushort LastEphemeral { get; set; } = 60999;

    /// <summary>bind(2): holds <paramref name="port"/>, or a free ephemeral one if it is 0. The address, interface and flags are in the reservation.</summary>
    public NetError Bind(PortReservation reservation, ushort port)
    {
        PortTable table = Table(reservation);
        if (port != 0)
        {
            if (Conflicts(table, reservation, port))
            {
                return NetError.AddressInUse;
            }

            table.Add(reservation, port);
            return NetError.None;
        }

        AnyPort use = new(table, reservation);
        return Pick(table, reservation, ref use, NetError.AddressInUse);
    }

    /// <summary>connect(2) of an unbound socket: an ephemeral port for which <paramref name="use"/> finds the connection unique.</summary>
    /// <remarks>Ports held by bind(2) are left alone; ports held by other connections are shared. EADDRNOTAVAIL when none is left.</remarks>
    public NetError Connect<TUse>(PortReservation reservation, ref TUse use)
        where TUse : struct, IPortUse
    {
        PortTable table = Table(reservation);
        AutomaticPort<TUse> both = new(table, use);
        NetError error = Pick(table, reservation, ref both, NetError.AddressNotAvailable);
        reservation.IsAutomatic = error == NetError.None;
        return error;
    }

    /// <summary>A second holder of a port that is held already, without a check: a connection that a listener accepted.</summary>
    public void Share(PortReservation reservation, ushort port) => Table(reservation).Add(reservation, port);

    /// <summary>listen(2): false if another holder of the port does not allow it (EADDRINUSE).</summary>
    public bool TryListen(PortReservation reservation)
    {
        reservation.IsListening = true;
        if (Conflicts(Table(reservation), reservation, reservation.Port))
        {
            reservation.IsListening = false;
            return false;
        }

        return true;
    }

    /// <summary>Gives the port up; harmless if none is held.</summary>
    public void Release(PortReservation reservation)
    {
        if (reservation.Bucket is not null)
        {
            Table(reservation).Remove(reservation);
        }
    }

    private static bool Conflicts(PortTable table, PortReservation wanted, ushort port)
    {
        for (PortReservation? holder = table.Find(port)?.First; holder is not null; holder = holder.NextOfPort)
        {
            if (holder != wanted && Overlap(holder, wanted) && !MayShare(holder, wanted))
            {
                return true;
            }
        }

        return false;
    }

    private static bool Overlap(PortReservation a, PortReservation b)
    {
        if (a.Interface != 0 && b.Interface != 0 && a.Interface != b.Interface)
        {
            return false;
        }

        if (a.Address == b.Address)
        {
            return true;
        }

        if (a.Address.IsV4 == b.Address.IsV4)
        {
            return a.Address.IsUnspecified || b.Address.IsUnspecified;
        }

        (PortReservation v4, PortReservation v6) = a.Address.IsV4 ? (a, b) : (b, a);
        return v6.Address.IsUnspecified && !v6.V6Only && v4.Address.IsV4;
    }

    // A new listener may stand beside the connections of an earlier one, never beside another listener.
    private static bool MayShare(PortReservation holder, PortReservation wanted)
    {
        bool listens = holder.Protocol == Tcp && holder.IsListening;
        return (holder.ReuseAddress && wanted.ReuseAddress && !listens)
            || (holder.ReusePort && wanted.ReusePort && holder.User == wanted.User);
    }

    private NetError Pick<TUse>(PortTable table, PortReservation reservation, ref TUse use, NetError none)
        where TUse : struct, IPortUse
    {
        uint range = (uint)(LastEphemeral - FirstEphemeral + 1);
        uint offset = (uint)(random.Next() % range);
        for (uint i = 0; i < range; i++)
        {
            ushort port = (ushort)(FirstEphemeral + ((offset + i) % range));
            if (use.IsFree(port))
            {
                table.Add(reservation, port);
                return NetError.None;
            }
        }

        return none;
    }

    private PortTable Table(PortReservation reservation) => reservation.Protocol switch { Tcp => _tcp, Udp => _udp, _ => _udpLite ??= new PortTable() };

    private readonly struct AnyPort(PortTable table, PortReservation reservation) : IPortUse
    {
        public bool IsFree(ushort port) => !Conflicts(table, reservation, port);
    }

    private struct AutomaticPort<TUse>(PortTable table, TUse use) : IPortUse
        where TUse : struct, IPortUse
    {
        private TUse _use = use;

        public bool IsFree(ushort port)
        {
            for (PortReservation? holder = table.Find(port)?.First; holder is not null; holder = holder.NextOfPort)
            {
                if (!holder.IsAutomatic)
                {
                    return false;
                }
            }

            return _use.IsFree(port);
        }
    }
}
