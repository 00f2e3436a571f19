using System;
using Runsc.NetStack.Buffers;

namespace Runsc.NetStack.Transport.Tcp;

/// <summary>What a reader may copy while the stack's lock is free, between <see cref="TcpEndpoint.BeginReceive"/> and <see cref="TcpEndpoint.EndReceive"/>.</summary>
internal ref struct TcpReadView
{
    private PacketBuffer? _packet;
    private int _chunk;
    private int _offset;

    internal TcpReadView(PacketBuffer? packet, int skip, int length)
    {
        _packet = packet;
        _offset = skip;
        Length = length;
        Left = length;
    }

    /// <summary>Bytes in all; 0 is the end of the stream.</summary>
    public int Length { get; }

    /// <summary>Bytes that <see cref="Next"/> has not given.</summary>
    public int Left { get; private set; }

    /// <summary>The next piece of at most <paramref name="maximum"/> bytes; empty at the end.</summary>
    public ReadOnlySpan<byte> Next(int maximum)
    {
        maximum = Math.Min(maximum, Left);
        while (maximum > 0 && _packet is not null)
        {
            if (_chunk >= _packet.ChunkCount)
            {
                _packet = _packet.Next;
                _chunk = 0;
                continue;
            }

            ReadOnlySpan<byte> chunk = _packet.Chunk(_chunk);
            if (_offset >= chunk.Length)
            {
                _offset -= chunk.Length;
                _chunk++;
                continue;
            }

            chunk = chunk[_offset..];
            chunk = chunk[..Math.Min(chunk.Length, maximum)];
            _offset += chunk.Length;
            Left -= chunk.Length;
            return chunk;
        }

        return default;
    }

    /// <summary>Copies on; returns how many bytes.</summary>
    public int CopyTo(Span<byte> target)
    {
        int done = 0;
        while (done < target.Length)
        {
            ReadOnlySpan<byte> piece = Next(target.Length - done);
            if (piece.IsEmpty)
            {
                break;
            }

            piece.CopyTo(target[done..]);
            done += piece.Length;
        }

        return done;
    }
}
