using System;
using System.Collections.Generic;

namespace Runsc.Sentry.Vfs;

/// <summary>A file name as a dictionary key: names are bytes, not text.</summary>
internal readonly record struct ByteKey(byte[] Bytes);

/// <summary>Compares names; spans can be looked up without making a key.</summary>
internal sealed class ByteKeyComparer : IEqualityComparer<ByteKey>, IAlternateEqualityComparer<ReadOnlySpan<byte>, ByteKey>
{
    public static readonly ByteKeyComparer Instance = new();

    // Hash of names that an application chooses: seeded, so that collisions cannot be prepared.
    private static readonly int s_seed = Random.Shared.Next();

    public bool Equals(ByteKey x, ByteKey y) => x.Bytes.AsSpan().SequenceEqual(y.Bytes);

    public int GetHashCode(ByteKey key) => GetHashCode(key.Bytes.AsSpan());

    public bool Equals(ReadOnlySpan<byte> alternate, ByteKey other) => alternate.SequenceEqual(other.Bytes);

    public int GetHashCode(ReadOnlySpan<byte> alternate)
    {
        HashCode hash = default;
        hash.Add(s_seed);
        hash.AddBytes(alternate);
        return hash.ToHashCode();
    }

    public ByteKey Create(ReadOnlySpan<byte> alternate) => new(alternate.ToArray());
}
