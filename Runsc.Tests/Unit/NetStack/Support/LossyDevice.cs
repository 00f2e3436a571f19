using System;
using System.Collections.Generic;
using Runsc.NetStack.Buffers;
using Runsc.NetStack.Core;
using Runsc.NetStack.Link;
using Runsc.NetStack.Wire;

namespace Runsc.Tests.Unit.NetStack.Support;

/// <summary>An end of a cable that loses, doubles, delays and damages what arrives, by a seed.</summary>
internal sealed class LossyDevice(MacAddress address, int seed, bool offload = false) : PipeDevice(address, offload)
{
    private readonly Random _random = new(seed);

    /// <summary>Chances in percent.</summary>
    public double Loss { get; set; }

    public double Duplicate { get; set; }

    public double Corrupt { get; set; }

    /// <summary>Chance that a frame waits <see cref="Delay"/> longer than the others.</summary>
    public double Reorder { get; set; }

    /// <summary>Nanoseconds.</summary>
    public long Delay { get; set; }

    public int Lost { get; private set; }

    /// <summary>What arrived, before it was lost; null if nobody asks.</summary>
    public List<byte[]>? Record { get; set; }

    protected override void Arrive(PacketBuffer frame)
    {
        if (Record is not null)
        {
            byte[] bytes = new byte[frame.Length];
            frame.CopyTo(0, bytes);
            Record.Add(bytes);
        }

        if (Hit(Loss))
        {
            Lost++;
            frame.Release();
            return;
        }

        if (Hit(Corrupt) && frame.EnsureLinear(frame.Length))
        {
            frame.Linear[_random.Next(14, frame.Length)] ^= (byte)(1 << _random.Next(8));
        }

        if (Hit(Duplicate) && frame.TryClone() is { } copy)
        {
            Later(copy);
        }

        Later(frame);
    }

    private bool Hit(double percent) => percent > 0 && _random.NextDouble() * 100 < percent;

    private void Later(PacketBuffer frame)
    {
        long wait = Delay + (Hit(Reorder) ? Delay + 1_000_000 : 0);
        if (wait == 0)
        {
            Interface!.Receive(frame);
        }
        else
        {
            Interface!.Stack.Schedule(new Arrival(Interface, frame), Interface.Stack.Now + wait);
        }
    }

    private sealed class Arrival(NetworkInterface target, PacketBuffer frame) : NetTimer
    {
        public override void Fire() => target.Receive(frame);
    }
}
