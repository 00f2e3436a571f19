using System;
using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using Runsc.NetStack.Buffers;
using Runsc.NetStack.Core;
using Runsc.NetStack.Filter.Tracking;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Filter;

/// <summary>A packet on its way through the chains of a hook. Its front is the IP header.</summary>
internal ref struct FilterContext
{
    /// <summary>Bytes of the registers of rules: 16 of four bytes.</summary>
    public const int RegisterBytes = 64;

    private const int MaxExtensions = 16;

    private Registers _registers;

    public FilterContext(PacketFilter filter, FilterHook hook, PacketBuffer packet, NetworkInterface? input, NetworkInterface? output)
    {
        Filter = filter;
        Hook = hook;
        Packet = packet;
        Input = input;
        Output = output;
        ReadOnlySpan<byte> header = packet.Linear;
        IsV4 = header[0] >> 4 == 4;
        if (IsV4)
        {
            Protocol = header[9];
            FragmentOffset = (BinaryPrimitives.ReadUInt16BigEndian(header[6..]) & 0x1fff) * 8;
            Transport = (header[0] & 0xf) * 4;
        }
        else
        {
            FindTransport(header[6]);
        }
    }

    public readonly PacketFilter Filter { get; }

    public readonly NetworkStack Stack => Filter.Stack;

    public readonly FilterHook Hook { get; }

    public readonly PacketBuffer Packet { get; }

    public readonly NetworkInterface? Input { get; }

    public readonly NetworkInterface? Output { get; }

    public readonly bool IsV4 { get; }

    /// <summary>The protocol behind the IP headers.</summary>
    public byte Protocol { get; private set; }

    /// <summary>Offset of the transport header from the front; of the first bytes of a fragment behind the first.</summary>
    public int Transport { get; private set; }

    /// <summary>In bytes; where it is not 0 there is no transport header.</summary>
    public int FragmentOffset { get; private set; }

    public Verdict Verdict { get; set; }

    /// <summary>Where a jump leads.</summary>
    public RuleChain? Target { get; set; }

    public int TargetIndex { get; set; }

    public readonly IpAddress Source => Network.IpOutput.SourceOf(Packet, IsV4);

    public readonly IpAddress Destination => Network.IpOutput.DestinationOf(Packet, IsV4);

    /// <summary>The connection that the packet is of; null: none that is known (it is INVALID), or it is not to be tracked.</summary>
    public readonly FlowSide? Flow => Packet.Tracking as FlowSide;

    /// <summary>Bytes of registers, from the first data register on.</summary>
    [UnscopedRef]
    public Span<byte> Register(int offset, int length) => ((Span<byte>)_registers).Slice(offset, length);

    /// <summary>Copies bytes behind the front; false if the packet is shorter.</summary>
    public readonly bool TryRead(int offset, Span<byte> bytes) => offset >= 0 && offset <= Packet.Length - bytes.Length && Packet.CopyTo(offset, bytes) == bytes.Length;

    /// <summary>Copies bytes of the transport header; false if there are none.</summary>
    public readonly bool TryReadTransport(int offset, Span<byte> bytes) => FragmentOffset == 0 && TryRead(Transport + offset, bytes);

    /// <summary>The ports of TCP, UDP and their like.</summary>
    public readonly bool TryReadPorts(out ushort source, out ushort destination)
    {
        Span<byte> bytes = stackalloc byte[4];
        bool there = Protocol is IpProtocol.Tcp or IpProtocol.Udp or IpProtocol.UdpLite or 132 or 33 && TryReadTransport(0, bytes);
        source = there ? BinaryPrimitives.ReadUInt16BigEndian(bytes) : (ushort)0;
        destination = there ? BinaryPrimitives.ReadUInt16BigEndian(bytes[2..]) : (ushort)0;
        return there;
    }

    private void FindTransport(byte next)
    {
        int at = Ipv6Header.Size;
        Span<byte> extension = stackalloc byte[8];
        for (int count = 0; count < MaxExtensions; count++)
        {
            if (next is not (IpProtocol.HopByHop or IpProtocol.Routing or IpProtocol.Fragment or IpProtocol.DestinationOptions or IpProtocol.Authentication)
                || !TryRead(at, extension))
            {
                break;
            }

            int length = (extension[1] + 1) * 8;
            if (next == IpProtocol.Fragment)
            {
                FragmentOffset = BinaryPrimitives.ReadUInt16BigEndian(extension[2..]) & ~7;
                length = Ipv6FragmentHeader.Size;
            }
            else if (next == IpProtocol.Authentication)
            {
                length = (extension[1] + 2) * 4;
            }

            next = extension[0];
            at += length;
        }

        Protocol = next;
        Transport = at;
    }

    [InlineArray(RegisterBytes)]
    private struct Registers
    {
        private byte _first;
    }
}
