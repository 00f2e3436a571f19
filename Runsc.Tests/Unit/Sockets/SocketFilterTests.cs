using System;
using Runsc.Linux;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Sockets;
using Xunit;

namespace Runsc.Tests.Unit.Sockets;

/// <summary>Classic BPF of SO_ATTACH_FILTER: which programs are taken, and what they make of a message.</summary>
public sealed class SocketFilterTests
{
    private static BpfInstruction Op(int code, uint constant, byte ifTrue = 0, byte ifFalse = 0) =>
        new() { Code = (ushort)code, Constant = constant, IfTrue = ifTrue, IfFalse = ifFalse };

    private static SocketFilter Make(params BpfInstruction[] code)
    {
        Assert.Equal(Errno.None, SocketFilter.TryCreate(code, out SocketFilter? filter));
        return filter!;
    }

    [Theory]
    [InlineData(0x06, 0u, 0, 0, true)]
    [InlineData(0x16, 0u, 0, 0, true)]
    [InlineData(0xff, 0u, 0, 0, false)]
    [InlineData(0x15, 0u, 0, 0, false)]
    [InlineData(0x05, 1u, 0, 0, false)]
    public void TryCreate_OneInstruction_OnlyAReturnEnds(int code, uint constant, byte ifTrue, byte ifFalse, bool isGood) =>
        Assert.Equal(isGood ? Errno.None : Errno.EINVAL, SocketFilter.TryCreate([Op(code, constant, ifTrue, ifFalse)], out _));

    [Theory]
    [InlineData(0x34, 0u)]
    [InlineData(0x94, 0u)]
    [InlineData(0x64, 32u)]
    [InlineData(0x60, 16u)]
    [InlineData(0x02, 16u)]
    [InlineData(0x15, 9u)]
    [InlineData(0x20, 0xfffff000u + 200)]
    public void TryCreate_BadOperand_IsRefused(int code, uint constant)
    {
        byte far = code == 0x15 ? (byte)9 : (byte)0;
        Assert.Equal(Errno.EINVAL, SocketFilter.TryCreate([Op(code, constant, far), Op(0x06, 0)], out _));
    }

    [Fact]
    public void TryCreate_TooLongOrEmpty_IsRefused()
    {
        Assert.Equal(Errno.EINVAL, SocketFilter.TryCreate([], out _));
        BpfInstruction[] code = new BpfInstruction[ClassicBpf.MaxLength + 1];
        Array.Fill(code, Op(0x06, 0));
        Assert.Equal(Errno.EINVAL, SocketFilter.TryCreate(code, out _));
    }

    [Fact]
    public void TryCreate_ReadOfMemoryThatNobodyWrote_IsRefused()
    {
        Assert.Equal(Errno.EINVAL, SocketFilter.TryCreate([Op(0x60, 0), Op(0x16, 0)], out _));
        Assert.Equal(Errno.EINVAL, SocketFilter.TryCreate([Op(0x15, 1, 0, 1), Op(0x02, 0), Op(0x60, 0), Op(0x16, 0)], out _));
        Assert.Equal(Errno.None, SocketFilter.TryCreate([Op(0x02, 0), Op(0x60, 0), Op(0x16, 0)], out _));
    }

    [Fact]
    public void Run_LoadBeyondTheMessage_DropsIt()
    {
        SocketFilter filter = Make(Op(0x20, 1), Op(0x06, 100));
        Assert.Equal(0, filter.Run([1, 2, 3, 4]));
        Assert.Equal(100, filter.Run([1, 2, 3, 4, 5]));
        Assert.Equal(100, Make(Op(0x30, 0xffe0_0000), Op(0x06, 100)).Run([1]));
        Assert.Equal(0, Make(Op(0x30, 0xffe0_0001), Op(0x06, 100)).Run([1]));
        Assert.Equal(0, Make(Op(0x01, 0xffff_fffe), Op(0x48, 1), Op(0x06, 100)).Run([1, 2, 3]));
    }

    [Fact]
    public void Run_ArithmeticJumpsAndMemory()
    {
        // Length of an IP header by MSH, then the byte behind it, kept in memory and compared.
        SocketFilter filter = Make(Op(0xb1, 0), Op(0x50, 0), Op(0x02, 3), Op(0x80, 0), Op(0x61, 3), Op(0x1c, 0), Op(0x16, 0));
        byte[] message = new byte[30];
        message[0] = 0x45;
        message[20] = 9;
        Assert.Equal(21, filter.Run(message));
        Assert.Equal(7, Make(Op(0x00, 27), Op(0x94, 20), Op(0x16, 0)).Run([]));
        Assert.Equal(0, Make(Op(0x00, 27), Op(0x3c, 0), Op(0x16, 0)).Run([]));
        Assert.Equal(2, Make(Op(0x30, 0), Op(0x15, (uint)'y', 0, 1), Op(0x06, 2), Op(0x06, 0)).Run("yes"u8));
        Assert.Equal(0, Make(Op(0x30, 0), Op(0x15, (uint)'y', 0, 1), Op(0x06, 2), Op(0x06, 0)).Run("no"u8));
    }
}
