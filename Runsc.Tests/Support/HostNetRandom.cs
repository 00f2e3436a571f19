using System;
using System.Buffers.Binary;
using System.Threading;
using Runsc.Host.Syscalls;
using Runsc.NetStack.Core;

namespace Runsc.Tests.Support;

/// <summary>The host's random numbers for a network stack, read in blocks.</summary>
internal sealed class HostNetRandom : INetRandom
{
    private const int Block = 256;

    private readonly Lock _mu = new();
    private readonly byte[] _bytes = new byte[Block];
    private int _used = Block;

    public ulong Next()
    {
        lock (_mu)
        {
            if (_used == Block)
            {
                Fill(_bytes);
                _used = 0;
            }

            _used += 8;
            return BinaryPrimitives.ReadUInt64LittleEndian(_bytes.AsSpan(_used - 8));
        }
    }

    public void Fill(Span<byte> bytes) => HostTime.FillRandom(bytes);
}
