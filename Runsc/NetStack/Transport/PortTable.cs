namespace Runsc.NetStack.Transport;

/// <summary>Who holds which port of one protocol. Guarded by the stack's lock.</summary>
internal sealed class PortTable
{
    private readonly Bucket?[] _buckets = new Bucket?[65536];

    public Bucket? Find(ushort port) => _buckets[port];

    public void Add(PortReservation reservation, ushort port)
    {
        Bucket bucket = _buckets[port] ??= new Bucket();
        reservation.Port = port;
        reservation.Bucket = bucket;
        reservation.PreviousOfPort = null;
        reservation.NextOfPort = bucket.First;
        if (bucket.First is not null)
        {
            bucket.First.PreviousOfPort = reservation;
        }

        bucket.First = reservation;
    }

    public void Remove(PortReservation reservation)
    {
        Bucket bucket = reservation.Bucket!;
        if (reservation.PreviousOfPort is null)
        {
            bucket.First = reservation.NextOfPort;
        }
        else
        {
            reservation.PreviousOfPort.NextOfPort = reservation.NextOfPort;
        }

        if (reservation.NextOfPort is not null)
        {
            reservation.NextOfPort.PreviousOfPort = reservation.PreviousOfPort;
        }

        if (bucket.First is null)
        {
            _buckets[reservation.Port] = null;
        }

        reservation.NextOfPort = reservation.PreviousOfPort = null;
        reservation.Bucket = null;
        reservation.Port = 0;
        reservation.IsAutomatic = false;
    }

    internal sealed class Bucket
    {
        public PortReservation? First { get; set; }
    }
}
