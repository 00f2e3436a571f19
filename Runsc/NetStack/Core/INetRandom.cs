using System;

namespace Runsc.NetStack.Core;

/// <summary>Unpredictable numbers: ports, sequence numbers, identifications, jitter. Tests hand in a seeded one. Thread-safe.</summary>
internal interface INetRandom
{
    ulong Next();

    void Fill(Span<byte> bytes);
}
