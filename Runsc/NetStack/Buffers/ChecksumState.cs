namespace Runsc.NetStack.Buffers;

/// <summary>What is known of the transport checksum of a packet, in the terms of virtio_net_hdr and of Linux's ip_summed.</summary>
internal enum ChecksumState : byte
{
    /// <summary>In: to be verified. Out: the field is right.</summary>
    None,

    /// <summary>In: verified by whoever sent it to us, or never on a wire.</summary>
    Valid,

    /// <summary>
    /// The field at ChecksumStart + ChecksumOffset holds the folded pseudo-header sum, not complemented; the rest is to be
    /// added by the device, or by software before the packet meets a wire. Receivers trust such a packet.
    /// </summary>
    Partial,
}
