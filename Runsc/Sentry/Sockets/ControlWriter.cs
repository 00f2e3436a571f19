using System;
using System.Runtime.InteropServices;

namespace Runsc.Sentry.Sockets;

/// <summary>Builds control messages (cmsg(3)) in the room that the application gave; what does not fit sets MSG_CTRUNC.</summary>
internal ref struct ControlWriter(Span<byte> room)
{
    /// <summary>struct cmsghdr: length (8), level (4), type (4).</summary>
    public const int HeaderSize = 16;

    private readonly Span<byte> _room = room;

    /// <summary>Bytes written, with padding.</summary>
    public int Length { get; private set; }

    /// <summary>Something was cut off.</summary>
    public bool IsTruncated { get; private set; }

    /// <summary>What was written.</summary>
    public readonly ReadOnlySpan<byte> Written => _room[..Length];

    /// <summary>Bytes that are left.</summary>
    public readonly int Room => _room.Length - Length;

    public static int Align(int length) => (length + 7) & ~7;

    public void Truncate() => IsTruncated = true;

    /// <summary>Adds a message; a part of its data when there is not room for all (Linux: put_cmsg).</summary>
    public void Add(int level, int type, scoped ReadOnlySpan<byte> data)
    {
        if (Room < HeaderSize)
        {
            IsTruncated = true;
            return;
        }

        int length = HeaderSize + data.Length;
        if (length > Room)
        {
            IsTruncated = true;
            length = Room;
        }

        Span<byte> message = _room[Length..];
        MemoryMarshal.Write(message, (long)length);
        MemoryMarshal.Write(message[8..], level);
        MemoryMarshal.Write(message[12..], type);
        data[..(length - HeaderSize)].CopyTo(message[HeaderSize..]);
        int space = Math.Min(Align(length), Room);
        message[length..space].Clear();
        Length += space;
    }

    public void Add<T>(int level, int type, in T value)
        where T : unmanaged => Add(level, type, MemoryMarshal.AsBytes(new ReadOnlySpan<T>(in value)));
}
