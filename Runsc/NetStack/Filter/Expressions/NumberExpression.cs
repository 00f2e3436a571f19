using System;

namespace Runsc.NetStack.Filter.Expressions;

/// <summary>Loads a number below a modulus, and an offset added: one after the other, by chance, or from the hash of a register (nft_numgen, nft_hash).</summary>
/// <param name="kind">Where it is from.</param>
/// <param name="modulus">At least 1.</param>
/// <param name="offset">Is added.</param>
/// <param name="target">The register.</param>
internal sealed class NumberExpression(NumberKind kind, uint modulus, uint offset, int target) : Expression
{
    private uint _next;

    /// <summary>What is hashed.</summary>
    public int Source { get; init; }

    public int Length { get; init; }

    public uint Seed { get; init; }

    public override void Evaluate(ref FilterContext context)
    {
        uint number = _next;
        switch (kind)
        {
            case NumberKind.Incremental:
                _next = _next + 1 < modulus ? _next + 1 : 0;
                break;
            case NumberKind.Random:
                number = Scale(unchecked((uint)context.Stack.Random.Next()));
                break;
            default:
                number = Scale(Hash(context.Register(Source, Length), Seed));
                break;
        }

        Registers.Store(ref context, target, unchecked(number + offset));
    }

    private uint Scale(uint number) => (uint)(((ulong)number * modulus) >> 32);

    /// <summary>lookup3 of Bob Jenkins, with the length in the beginning as Linux has it (jhash).</summary>
    public static uint Hash(ReadOnlySpan<byte> key, uint seed)
    {
        const uint initial = 0xdeadbeef;
        unchecked
        {
            uint a = initial + (uint)key.Length + seed, b = a, c = a;
            while (key.Length > 12)
            {
                a += BitConverter.ToUInt32(key);
                b += BitConverter.ToUInt32(key[4..]);
                c += BitConverter.ToUInt32(key[8..]);
                a = (a - c) ^ uint.RotateLeft(c, 4);
                c += b;
                b = (b - a) ^ uint.RotateLeft(a, 6);
                a += c;
                c = (c - b) ^ uint.RotateLeft(b, 8);
                b += a;
                a = (a - c) ^ uint.RotateLeft(c, 16);
                c += b;
                b = (b - a) ^ uint.RotateLeft(a, 19);
                a += c;
                c = (c - b) ^ uint.RotateLeft(b, 4);
                b += a;
                key = key[12..];
            }

            if (key.IsEmpty)
            {
                return c;
            }

            Span<byte> last = stackalloc byte[12];
            last.Clear();
            key.CopyTo(last);
            a += BitConverter.ToUInt32(last);
            b += BitConverter.ToUInt32(last[4..]);
            c += BitConverter.ToUInt32(last[8..]);
            c = (c ^ b) - uint.RotateLeft(b, 14);
            a = (a ^ c) - uint.RotateLeft(c, 11);
            b = (b ^ a) - uint.RotateLeft(a, 25);
            c = (c ^ b) - uint.RotateLeft(b, 16);
            a = (a ^ c) - uint.RotateLeft(c, 4);
            b = (b ^ a) - uint.RotateLeft(a, 14);
            return (c ^ b) - uint.RotateLeft(b, 24);
        }
    }
}
