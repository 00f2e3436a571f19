using System;
using System.Collections.Generic;
using System.IO;
using Xunit;

namespace Runsc.Tests.Support;

/// <summary>A frame of a capture file: what is kept of it, and how long it was.</summary>
internal sealed record CapturedFrame(DateTime Time, int Length, byte[] Bytes);

/// <summary>Reads pcap-savefile(5) of Ethernet, microseconds, this machine's byte order; anything else fails the test.</summary>
internal static class CaptureFile
{
    public static List<CapturedFrame> Read(string path)
    {
        byte[] bytes = File.ReadAllBytes(path);
        Assert.True(bytes.Length >= 24, "no header");
        Assert.Equal(0xa1b2c3d4u, BitConverter.ToUInt32(bytes));
        Assert.Equal((2, 4), (BitConverter.ToUInt16(bytes, 4), BitConverter.ToUInt16(bytes, 6)));
        int snap = BitConverter.ToInt32(bytes, 16);
        Assert.Equal(1u, BitConverter.ToUInt32(bytes, 20));
        List<CapturedFrame> frames = [];
        for (int at = 24; at < bytes.Length;)
        {
            Assert.True(bytes.Length - at >= 16, "a record's header is cut");
            uint seconds = BitConverter.ToUInt32(bytes, at), fraction = BitConverter.ToUInt32(bytes, at + 4);
            int kept = BitConverter.ToInt32(bytes, at + 8), length = BitConverter.ToInt32(bytes, at + 12);
            Assert.True(fraction < 1_000_000 && kept >= 0 && kept <= snap && kept <= length && kept <= bytes.Length - at - 16, $"a record that makes no sense at {at}");
            frames.Add(new CapturedFrame(DateTime.UnixEpoch.AddSeconds(seconds).AddMicroseconds(fraction), length, bytes[(at + 16)..(at + 16 + kept)]));
            at += 16 + kept;
        }

        return frames;
    }
}
