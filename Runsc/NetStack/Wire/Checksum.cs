using System;
using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.InteropServices;

namespace Runsc.NetStack.Wire;

/// <summary>The Internet checksum (RFC 1071), as sums that are carried on and folded at the end.</summary>
/// <remarks>
/// A running sum is 64 bits of ones-complement sum in network order. Pieces after one of odd length must be swapped, so
/// <see cref="Buffers.PacketBuffer.Sum"/> is what adds up a packet in several pieces.
/// </remarks>
internal static class Checksum
{
    /// <summary>Adds bytes that begin at an even offset of what is summed.</summary>
    public static ulong Add(ulong sum, ReadOnlySpan<byte> bytes)
    {
        unchecked
        {
            // A sum of little-endian words is the byte-swapped sum of big-endian ones, so only the end is swapped.
            ulong low = 0;
            ulong carry = 0;
            ReadOnlySpan<ulong> words = MemoryMarshal.Cast<byte, ulong>(bytes);
            for (int i = 0; i < words.Length; i++)
            {
                low += words[i];
                carry += low < words[i] ? 1ul : 0;
            }

            ReadOnlySpan<byte> rest = bytes[(words.Length * 8)..];
            if (rest.Length > 0)
            {
                Span<byte> last = stackalloc byte[8];
                last.Clear();
                rest.CopyTo(last);
                ulong word = BinaryPrimitives.ReadUInt64LittleEndian(last);
                low += word;
                carry += low < word ? 1ul : 0;
            }

            low += carry;
            low += low < carry ? 1ul : 0;
            return Plus(sum, Swap16(Fold(low)));
        }
    }

    /// <summary>Adds bytes at an odd offset of what is summed.</summary>
    public static ulong AddOdd(ulong sum, ReadOnlySpan<byte> bytes) => Plus(sum, Swap16(Fold(Add(0, bytes))));

    /// <summary>Adds a 16-bit word.</summary>
    public static ulong Plus(ulong sum, ulong word)
    {
        unchecked
        {
            sum += word;
            return sum + (sum < word ? 1ul : 0);
        }
    }

    /// <summary>The sum of the pseudo header of TCP, UDP and ICMPv6 (RFC 9293, RFC 8200).</summary>
    public static ulong PseudoHeader(in IpAddress source, in IpAddress destination, byte protocol, int length)
    {
        ulong sum = (ulong)protocol + (ulong)(uint)length;
        sum = Plus(sum, source.Low & 0xffff_ffff);
        sum = Plus(sum, destination.Low & 0xffff_ffff);
        if (!source.IsV4)
        {
            sum = Plus(Plus(sum, source.High), source.Low >> 32);
            sum = Plus(Plus(sum, destination.High), destination.Low >> 32);
        }

        return sum;
    }

    /// <summary>The sum in 16 bits, not complemented.</summary>
    public static ushort Fold(ulong sum)
    {
        unchecked
        {
            sum = (sum & 0xffff_ffff) + (sum >> 32);
            sum = (sum & 0xffff_ffff) + (sum >> 32);
            uint half = (uint)sum;
            half = (half & 0xffff) + (half >> 16);
            half = (half & 0xffff) + (half >> 16);
            return (ushort)half;
        }
    }

    /// <summary>The value for a checksum field: the folded sum, complemented.</summary>
    public static ushort Finish(ulong sum) => unchecked((ushort)~Fold(sum));

    /// <summary>The checksum of one block.</summary>
    public static ushort Of(ReadOnlySpan<byte> bytes) => Finish(Add(0, bytes));

    /// <summary>True if the sum over data with their checksum field is right.</summary>
    public static bool IsValid(ulong sum) => Fold(sum) == 0xffff;

    /// <summary>A checksum field after a 16-bit word under it has changed (RFC 1624, eqn. 3).</summary>
    public static ushort Update(ushort checksum, ushort before, ushort after)
    {
        unchecked
        {
            return Finish((ulong)(ushort)~checksum + (ushort)~before + after);
        }
    }

    private static ulong Swap16(ushort value) => BitOperations.RotateLeft((uint)value, 8) switch
    {
        uint rotated => (rotated & 0xffff) | (rotated >> 16),
    };
}
