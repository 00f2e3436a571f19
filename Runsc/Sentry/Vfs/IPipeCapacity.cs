namespace Runsc.Sentry.Vfs;

/// <summary>A pipe's end, as fcntl(2) knows it: F_GETPIPE_SZ, F_SETPIPE_SZ.</summary>
internal interface IPipeCapacity
{
    /// <summary>Bytes that fit.</summary>
    long Capacity { get; }

    /// <summary>The new capacity, or −errno (EPERM, EBUSY, EINVAL).</summary>
    long SetCapacity(ICaller caller, int bytes);
}
