using System;
using System.Buffers.Binary;
using System.Text;

namespace Runsc.Sentry.Sockets.Netfilter;

/// <summary>Attributes of a message of nftables, or of a nest in it: hostile, so every length is checked. Numbers are big-endian.</summary>
internal readonly ref struct NftAttributes(ReadOnlySpan<byte> bytes)
{
    private const int TypeMask = 0x3fff;
    private const int Header = 4;

    public ReadOnlySpan<byte> Bytes { get; } = bytes;

    /// <summary>Takes the next attribute off; false at the end, or where the rest is broken.</summary>
    public static bool TryNext(scoped ref ReadOnlySpan<byte> rest, out int type, out ReadOnlySpan<byte> data)
    {
        type = 0;
        data = default;
        if (rest.Length < Header)
        {
            return false;
        }

        int length = BitConverter.ToUInt16(rest);
        if (length < Header || length > rest.Length)
        {
            return false;
        }

        type = BitConverter.ToUInt16(rest[2..]) & TypeMask;
        data = rest[Header..length];
        rest = rest[Math.Min((length + 3) & ~3, rest.Length)..];
        return true;
    }

    public bool Has(int type) => TryGet(type, out _);

    public bool TryGet(int type, out ReadOnlySpan<byte> data)
    {
        ReadOnlySpan<byte> rest = Bytes;
        while (TryNext(ref rest, out int found, out data))
        {
            if (found == type)
            {
                return true;
            }
        }

        data = default;
        return false;
    }

    /// <summary>The attributes in a nest; none if it is not there.</summary>
    public NftAttributes Nest(int type) => new(TryGet(type, out ReadOnlySpan<byte> data) ? data : default);

    public bool TryGetU32(int type, out uint value)
    {
        bool there = TryGet(type, out ReadOnlySpan<byte> data) && data.Length >= sizeof(uint);
        value = there ? BinaryPrimitives.ReadUInt32BigEndian(data) : 0;
        return there;
    }

    public bool TryGetU64(int type, out ulong value)
    {
        bool there = TryGet(type, out ReadOnlySpan<byte> data) && data.Length >= sizeof(ulong);
        value = there ? BinaryPrimitives.ReadUInt64BigEndian(data) : 0;
        return there;
    }

    public uint U32(int type, uint otherwise = 0) => TryGetU32(type, out uint value) ? value : otherwise;

    /// <summary>A string, without its end; empty if it is not there.</summary>
    public string Text(int type)
    {
        TryGet(type, out ReadOnlySpan<byte> data);
        int end = data.IndexOf((byte)0);
        return Encoding.Latin1.GetString(end < 0 ? data : data[..end]);
    }
}
