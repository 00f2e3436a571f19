using System;
using System.Buffers.Binary;
using System.Collections.Generic;
using System.Text;
using Runsc.NetStack;

namespace Runsc.Sentry.Sockets.Netlink;

/// <summary>Builds the messages of one answer (netlink(7)); each datagram holds as many as fit.</summary>
internal sealed class NetlinkWriter(uint sequence, uint port)
{
    /// <summary>struct nlmsghdr: length, type, flags, sequence, port.</summary>
    public const int HeaderSize = 16;

    public const int Error = 2;
    public const int Done = 3;
    public const int Multi = 2;

    // What ip(8) and glibc have room for.
    private const int DatagramSize = 8192;

    private readonly List<byte> _current = [];
    private int _start;

    /// <summary>Whom the answer is for.</summary>
    public uint Port => port;

    /// <summary>Finished datagrams.</summary>
    public List<byte[]> Datagrams { get; } = [];

    /// <summary>Begins a message; its body is written with the members below.</summary>
    public void Begin(int type, int flags)
    {
        if (_current.Count > DatagramSize - 1024)
        {
            Flush();
        }

        _start = _current.Count;
        Add(0u);
        Add((ushort)type);
        Add((ushort)flags);
        Add(sequence);
        Add(port);
    }

    /// <summary>Ends the message: its length is known.</summary>
    public void End()
    {
        uint length = (uint)(_current.Count - _start);
        Span<byte> bytes = System.Runtime.InteropServices.CollectionsMarshal.AsSpan(_current);
        BitConverter.TryWriteBytes(bytes[_start..], length);
        Pad();
    }

    /// <summary>Begins an attribute that holds attributes: where it starts, for <see cref="EndNest"/>.</summary>
    public int BeginNest(int type)
    {
        int start = _current.Count;
        Add((ushort)0);
        Add((ushort)type);
        return start;
    }

    public void EndNest(int start)
    {
        Span<byte> bytes = System.Runtime.InteropServices.CollectionsMarshal.AsSpan(_current);
        BitConverter.TryWriteBytes(bytes[start..], (ushort)(_current.Count - start));
    }

    public void Flush()
    {
        if (_current.Count > 0)
        {
            Datagrams.Add(_current.ToArray());
            _current.Clear();
        }
    }

    public void Add(byte value) => _current.Add(value);

    public void Add(ushort value)
    {
        _current.Add(unchecked((byte)value));
        _current.Add((byte)(value >> 8));
    }

    public void Add(uint value)
    {
        Add(unchecked((ushort)value));
        Add((ushort)(value >> 16));
    }

    public void Add(ReadOnlySpan<byte> bytes) => _current.AddRange(bytes);

    /// <summary>struct rtattr: length, type, data, padded.</summary>
    public void Attribute(int type, ReadOnlySpan<byte> data)
    {
        Add((ushort)(4 + data.Length));
        Add((ushort)type);
        Add(data);
        Pad();
    }

    /// <summary>Bytes of the datagram so far.</summary>
    public int Position => _current.Count;

    /// <summary>Attributes that are written already.</summary>
    public void Padded(ReadOnlySpan<byte> attributes)
    {
        Add(attributes);
        Pad();
    }

    public void Attribute(int type, uint value)
    {
        Span<byte> bytes = stackalloc byte[4];
        BitConverter.TryWriteBytes(bytes, value);
        Attribute(type, bytes);
    }

    /// <summary>In network byte order, as netfilter's attributes are.</summary>
    public void BigEndian(int type, uint value)
    {
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, value);
        Attribute(type, bytes);
    }

    /// <summary>In network byte order.</summary>
    public void BigEndian(int type, ulong value)
    {
        Span<byte> bytes = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64BigEndian(bytes, value);
        Attribute(type, bytes);
    }

    public void Attribute(int type, string text) => Attribute(type, Encoding.Latin1.GetBytes(text + "\0"));

    public void Attribute(int type, in IpAddress address)
    {
        Span<byte> bytes = stackalloc byte[16];
        address.Write(bytes);
        Attribute(type, bytes[..address.Size]);
    }

    private void Pad()
    {
        while ((_current.Count & 3) != 0)
        {
            _current.Add(0);
        }
    }
}
