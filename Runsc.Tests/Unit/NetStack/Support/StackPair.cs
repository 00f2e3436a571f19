using System;
using Runsc.NetStack;
using Runsc.NetStack.Buffers;
using Runsc.NetStack.Core;
using Runsc.NetStack.Link;
using Runsc.NetStack.Transport;
using Runsc.NetStack.Wire;
using Xunit;

namespace Runsc.Tests.Unit.NetStack.Support;

/// <summary>Two stacks, each with lo and eth0, joined by a cable: 10.0.0.1 and 10.0.0.2, fd00::1 and fd00::2. One clock.</summary>
internal sealed class StackPair : IDisposable
{
    public StackPair(int seed = 1, bool offload = false, int mtu = 1500)
    {
        Seed = seed;
        DeviceA = new LossyDevice(new MacAddress(0x020000000001), seed * 31, offload);
        DeviceB = new LossyDevice(new MacAddress(0x020000000002), (seed * 31) + 1, offload);
        PipeDevice.Connect(DeviceA, DeviceB);
        A = Make(seed * 7, DeviceA, 1, mtu);
        B = Make((seed * 7) + 1, DeviceB, 2, mtu);
    }

    public int Seed { get; }

    public ManualClock Clock { get; } = new();

    public BufferPool Pool { get; } = new();

    public NetworkStack A { get; }

    public NetworkStack B { get; }

    public LossyDevice DeviceA { get; }

    public LossyDevice DeviceB { get; }

    public static IpAddress AddressA => IpAddress.FromV4(10, 0, 0, 1);

    public static IpAddress AddressB => IpAddress.FromV4(10, 0, 0, 2);

    public static IpAddress AddressA6 => new(0xfd00_0000_0000_0000, 1);

    public static IpAddress AddressB6 => new(0xfd00_0000_0000_0000, 2);

    /// <summary>Turns the clock on, timer by timer.</summary>
    public void Run(long milliseconds)
    {
        long end = Clock.Monotonic + (milliseconds * 1_000_000);
        while (true)
        {
            long next = Math.Min(A.RunTimers(), B.RunTimers());
            next = Math.Min(next, A.RunTimers());
            if (next > end)
            {
                break;
            }

            Clock.Monotonic = Math.Max(Clock.Monotonic, next);
        }

        Clock.Monotonic = end;
    }

    public PacketBuffer Packet(ReadOnlySpan<byte> bytes)
    {
        PacketBuffer packet = Pool.Allocate(PacketBuffer.Headroom, Math.Max(bytes.Length, 1));
        bytes.CopyTo(packet.Append(bytes.Length));
        return packet;
    }

    public static byte[] Take(DatagramEndpoint endpoint, out ReceivedDatagram datagram)
    {
        Assert.Equal(NetError.None, endpoint.Receive(peek: false, out datagram));
        byte[] bytes = new byte[datagram.Packet.Length];
        datagram.Packet.CopyTo(0, bytes);
        datagram.Packet.Release();
        return bytes;
    }

    public void Dispose()
    {
        foreach (NetworkStack stack in new[] { A, B })
        {
            using (stack.Enter())
            {
                while (stack.Interfaces.Count > 0)
                {
                    stack.RemoveInterface(stack.Interfaces[^1]);
                }
            }
        }
    }

    private NetworkStack Make(int seed, LinkDevice device, byte host, int mtu)
    {
        NetworkStack stack = new(Clock, new SeededRandom(seed), Pool);
        stack.Parameters.DadTransmits = 0;
        stack.Parameters.AcceptRouterAdvertisements = false;
        using (stack.Enter())
        {
            Assert.Equal(NetError.None, stack.AddInterface("lo", new LoopbackDevice(), out NetworkInterface? lo));
            Assert.Equal(NetError.None, stack.AddInterface("eth0", device, out NetworkInterface? eth));
            Assert.Equal(NetError.None, stack.SetMtu(eth!, mtu));
            stack.SetUp(lo!, up: true);
            stack.SetUp(eth!, up: true);
            Add(stack, lo!, IpAddress.LoopbackV4, 8, NetworkStack.ScopeHost);
            Add(stack, lo!, IpAddress.LoopbackV6, 128, NetworkStack.ScopeHost);
            Assert.Equal(NetError.None, stack.AddAddress(new InterfaceAddress(eth!, IpAddress.FromV4(10, 0, 0, host), 24) { Broadcast = IpAddress.FromV4(10, 0, 0, 255) }));
            Add(stack, eth!, new IpAddress(0xfd00_0000_0000_0000, host), 64, 0);
        }

        return stack;
    }

    private static void Add(NetworkStack stack, NetworkInterface owner, IpAddress address, int length, byte scope) =>
        Assert.Equal(NetError.None, stack.AddAddress(new InterfaceAddress(owner, address, length) { Scope = scope }));
}
