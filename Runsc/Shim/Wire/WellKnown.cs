using System;

namespace Runsc.Shim.Wire;

/// <summary>google.protobuf.Any: a message with the name of its type.</summary>
internal sealed record AnyMessage(string TypeUrl, byte[] Value)
{
    public static AnyMessage Read(ReadOnlySpan<byte> message)
    {
        string type = "";
        byte[] value = [];
        WireReader reader = new(message);
        while (reader.Next())
        {
            switch (reader.Field)
            {
                case 1: type = reader.Text(); break;
                case 2: value = reader.Bytes().ToArray(); break;
                default: reader.Skip(); break;
            }
        }

        return new AnyMessage(type, value);
    }

    public WireWriter Write() => new WireWriter().Text(1, TypeUrl).Bytes(2, Value);
}

/// <summary>google.protobuf.Timestamp.</summary>
internal static class Timestamp
{
    public static WireWriter Write(DateTime time)
    {
        long ticks = time.ToUniversalTime().Ticks - DateTime.UnixEpoch.Ticks;
        return new WireWriter().Signed(1, Math.DivRem(ticks, TimeSpan.TicksPerSecond, out long rest)).Signed(2, rest * 100);
    }
}
