using System.Linq;
using Runsc.NetStack;
using Runsc.NetStack.Buffers;
using Runsc.NetStack.Core;
using Runsc.NetStack.Link;
using Runsc.NetStack.Wire;
using Runsc.Tests.Unit.NetStack.Support;
using Xunit;

namespace Runsc.Tests.Unit.NetStack;

/// <summary>The table of a bridge, where it sends frames, and cables in a ring.</summary>
public sealed class BridgeTests
{
    private const long Second = 1_000_000_000;

    private readonly NetworkStack _stack = new(new ManualClock(), new SeededRandom(1), new BufferPool());

    [Fact]
    public void Table_ForgetsWhoIsSilentAndFollowsWhoMoves()
    {
        BridgeTable table = new();
        NetworkInterface a = Add("a", new DummyDevice(new MacAddress(0x020000000001))), b = Add("b", new DummyDevice(new MacAddress(0x020000000002)));
        MacAddress station = new(0x020000000011);

        table.Learn(station, a, 0);
        Assert.Equal(a, table.Find(station, 299 * Second));
        Assert.Null(table.Find(station, 300 * Second));
        table.Learn(station, b, 10 * Second);
        Assert.Equal(b, table.Find(station, 309 * Second));
        table.Forget(b);
        Assert.Null(table.Find(station, 10 * Second));
        table.Learn(MacAddress.Broadcast, a, 0);
        Assert.Equal(0, table.Count);
    }

    [Fact]
    public void Table_FullOfNewStations_TakesMoreOnlyWhenOldOnesAreSilent()
    {
        BridgeTable table = new();
        NetworkInterface a = Add("a", new DummyDevice(new MacAddress(0x020000000001)));
        for (int i = 0; i < BridgeTable.MaxStations + 100; i++)
        {
            table.Learn(new MacAddress(0x020000000000ul + (ulong)i), a, 0);
        }

        MacAddress late = new(0x02ff00000000);
        Assert.Equal(BridgeTable.MaxStations, table.Count);
        table.Learn(late, a, Second);
        Assert.Null(table.Find(late, Second));
        table.Learn(late, a, 301 * Second);
        Assert.Equal(a, table.Find(late, 301 * Second));
        Assert.Equal(1, table.Count);
    }

    [Fact]
    public void Bridge_FloodsUntilItKnowsTheStation()
    {
        Station[] stations = [new(1), new(2), new(3)];
        _ = MakeBridge(stations);

        stations[0].Send(2);
        Assert.Equal([0, 1, 1], stations.Select(s => s.Taken));
        stations[1].Send(1);
        Assert.Equal([1, 1, 1], stations.Select(s => s.Taken));
        stations[0].Send(2);
        Assert.Equal([1, 2, 1], stations.Select(s => s.Taken));
        using (_stack.Enter())
        {
            _stack.SetUp(stations[1].Interface!, up: false);
        }

        // Its stations are forgotten, and it gets nothing.
        stations[0].Send(2);
        Assert.Equal([1, 2, 2], stations.Select(s => s.Taken));
        Assert.Equal(0, _stack.Pool.OutstandingPackets);
    }

    [Fact]
    public void Bridge_WithinABridge_IsRefused()
    {
        BridgeDevice outer = MakeBridge([]), inner = new(new MacAddress(0x0200000000bb));
        NetworkInterface port = Add("inner", inner), lo = Add("lo", new LoopbackDevice());
        using (_stack.Enter())
        {
            Assert.Equal(NetError.Loop, outer.AddPort(port));
            Assert.Equal(NetError.InvalidArgument, outer.AddPort(lo));
        }
    }

    [Fact]
    public void Ring_OfCables_LosesTheFrame()
    {
        // Two cables between the same two bridges.
        PipeDevice[] ends = [.. Enumerable.Range(1, 4).Select(i => new PipeDevice(new MacAddress(0x020000000100ul + (ulong)i)))];
        PipeDevice.Connect(ends[0], ends[1]);
        PipeDevice.Connect(ends[2], ends[3]);
        Station station = new(1);
        _ = MakeBridge([station, ends[0], ends[2]]);
        NetworkStack other = new(new ManualClock(), new SeededRandom(2), _stack.Pool);
        other.Parameters.Ipv6Disabled = true;
        using (other.Enter())
        {
            BridgeDevice far = new(new MacAddress(0x0200000000cc));
            Assert.Equal(NetError.None, other.AddInterface("br", far, out NetworkInterface? own));
            other.SetUp(own!, up: true);
            foreach (PipeDevice end in new[] { ends[1], ends[3] })
            {
                Assert.Equal(NetError.None, other.AddInterface("p" + end.Address, end, out NetworkInterface? port));
                Assert.Equal(NetError.None, far.AddPort(port!));
                other.SetUp(port!, up: true);
            }
        }

        station.Send(0xffff);

        // It has come to an end, or this was not reached.
        Assert.True(station.Taken > 0);
        Assert.Equal(0, _stack.Pool.OutstandingPackets);
    }

    private BridgeDevice MakeBridge(LinkDevice[] devices)
    {
        BridgeDevice bridge = new(new MacAddress(0x0200000000aa));
        NetworkInterface own = Add("br", bridge);
        _stack.Parameters.Ipv6Disabled = true;
        foreach (LinkDevice device in devices)
        {
            NetworkInterface port = Add("p" + device.Address, device);
            using (_stack.Enter())
            {
                Assert.Equal(NetError.None, bridge.AddPort(port));
                _stack.SetUp(port, up: true);
            }
        }

        using (_stack.Enter())
        {
            _stack.SetUp(own, up: true);
        }

        return bridge;
    }

    private NetworkInterface Add(string name, LinkDevice device)
    {
        using (_stack.Enter())
        {
            Assert.Equal(NetError.None, _stack.AddInterface(name, device, out NetworkInterface? added));
            return added!;
        }
    }

    /// <summary>A port with one station behind it, which counts the frames that it is given.</summary>
    private sealed class Station(ushort number) : LinkDevice
    {
        private const ulong Stations = 0x0200_0000_1000;

        public int Taken { get; private set; }

        public override LinkKind Kind => LinkKind.Ethernet;

        public override MacAddress Address => new(Stations + 0x100 + number);

        public void Send(ushort to)
        {
            PacketBuffer frame = Interface!.Stack.Pool.Allocate(PacketBuffer.Headroom, 60);
            MacAddress destination = to == 0xffff ? MacAddress.Broadcast : new MacAddress(Stations + to);
            frame.Append(60).Clear();
            EthernetHeader.Write(frame.Linear, destination, new MacAddress(Stations + number), 0x88b5);
            using (Interface.Stack.Enter())
            {
                Interface.Receive(frame);
            }
        }

        public override bool Transmit(PacketBuffer frame)
        {
            Taken++;
            frame.Release();
            return true;
        }
    }
}
