using System;

namespace Runsc.NetStack.Filter.Expressions;

/// <summary>Values in registers: words of four bytes, the rest of the last word is zero.</summary>
internal static class Registers
{
    public static void Store(ref FilterContext context, int register, scoped ReadOnlySpan<byte> data)
    {
        Span<byte> target = context.Register(register, (data.Length + 3) & ~3);
        data.CopyTo(target);
        target[data.Length..].Clear();
    }

    /// <summary>A number in the order of the processor.</summary>
    public static void Store(ref FilterContext context, int register, uint value) => BitConverter.TryWriteBytes(context.Register(register, sizeof(uint)), value);

    public static void Store(ref FilterContext context, int register, in IpAddress address)
    {
        Span<byte> bytes = stackalloc byte[16];
        address.Write(bytes);
        Store(ref context, register, bytes[..address.Size]);
    }

    public static uint Load(ref FilterContext context, int register) => BitConverter.ToUInt32(context.Register(register, sizeof(uint)));
}
