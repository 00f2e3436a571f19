namespace Runsc.Platform;

/// <summary>
/// What a platform needs of the MemoryFile: the file, and where the Sentry has mapped it. A chunk's mapping is shared, readable and
/// writable, and neither moves nor goes away while the platform lives.
/// </summary>
internal unsafe interface IMemorySource
{
    /// <summary>Bytes in a chunk: 1 GiB. Offset N of the file is in chunk N / ChunkSize.</summary>
    public const ulong ChunkSize = 1UL << 30;

    /// <summary>Descriptor of the memfd.</summary>
    int Fd { get; }

    /// <summary>Present size in bytes; grows in whole chunks and never shrinks.</summary>
    ulong Size { get; }

    /// <summary>Host address of a chunk that lies below <see cref="Size"/>.</summary>
    byte* ChunkBase(int chunk);
}
