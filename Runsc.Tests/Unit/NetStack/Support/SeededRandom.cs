using System;
using Runsc.NetStack.Core;

namespace Runsc.Tests.Unit.NetStack.Support;

/// <summary>Numbers that a seed determines.</summary>
internal sealed class SeededRandom(int seed) : INetRandom
{
    private readonly Random _random = new(seed);

    public ulong Next() => unchecked((ulong)_random.NextInt64(long.MinValue, long.MaxValue));

    public void Fill(Span<byte> bytes) => _random.NextBytes(bytes);
}
