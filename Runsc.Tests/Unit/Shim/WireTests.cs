using System;
using System.Collections.Generic;
using Runsc.Shim.Messages;
using Runsc.Shim.Wire;
using Xunit;

namespace Runsc.Tests.Unit.Shim;

public sealed class WireTests
{
    /// <summary>Bytes as the encoding's definition gives them.</summary>
    [Fact]
    public void Writer_KnownMessage_HasTheseBytes()
    {
        byte[] bytes = new WireWriter().Unsigned(1, 150).Text(2, "testing").Flag(3, false).Message(4, new WireWriter().Unsigned(1, 1)).Unsigned(16, 1).ToArray();
        Assert.Equal("0896011207" + "74657374696E67" + "22020801" + "800101", Convert.ToHexString(bytes));
    }

    [Theory]
    [InlineData(0ul)]
    [InlineData(1ul)]
    [InlineData(127ul)]
    [InlineData(128ul)]
    [InlineData(uint.MaxValue)]
    [InlineData((ulong)long.MaxValue)]
    [InlineData(ulong.MaxValue)]
    public void Number_WrittenAndRead_IsTheSame(ulong number)
    {
        WireReader reader = new(new WireWriter().Unsigned(5, number).Message(6, []).ToArray());
        Assert.True(reader.Next());
        if (number != 0)
        {
            Assert.Equal(5, reader.Field);
            Assert.Equal(number, reader.Unsigned());
            Assert.True(reader.Next());
        }

        Assert.Equal(6, reader.Field);
        Assert.True(reader.Bytes().IsEmpty);
        Assert.False(reader.Next());
    }

    [Fact]
    public void Reader_UnknownFieldsOfEveryType_AreSkipped()
    {
        byte[] message = [0x48, 1, 0x51, 1, 2, 3, 4, 5, 6, 7, 8, 0x5a, 2, 9, 9, 0x65, 1, 2, 3, 4, .. new WireWriter().Text(1, "id").ToArray()];
        Assert.Equal("id", ProcessRequest.Read(message).Id);
    }

    [Theory]
    [InlineData("08")]
    [InlineData("08FFFFFFFFFFFFFFFFFF02")]
    [InlineData("08FFFFFFFFFFFFFFFFFFFF01")]
    [InlineData("00")]
    [InlineData("0A05616263")]
    [InlineData("0AFFFFFFFFFFFFFFFFFF01")]
    [InlineData("0B")]
    [InlineData("4D0102")]
    [InlineData("0801")]
    public void Reader_BrokenMessage_IsRefused(string hex) => Assert.Throws<WireException>(() => ProcessRequest.Read(Convert.FromHexString(hex)));

    [Fact]
    public void Reader_RandomBytes_AreReadOrRefused()
    {
        int seed = Environment.TickCount;
        Random random = new(seed);
        byte[] good = new WireWriter().Text(1, "container").Message(3, new RootMount("overlay", "overlay", "", ["lowerdir=/a"]).Write()).Text(5, "/fifo").ToArray();
        for (int i = 0; i < 20_000; i++)
        {
            byte[] message = (byte[])good.Clone();
            for (int j = random.Next(4); j >= 0; j--)
            {
                message[random.Next(message.Length)] = (byte)random.Next(256);
            }

            try
            {
                CreateTaskRequest.Read(message.AsSpan(0, random.Next(message.Length + 1)));
            }
            catch (WireException)
            {
            }
            catch (Exception error)
            {
                Assert.Fail($"seed {seed}, round {i}: {error}");
            }
        }
    }

    [Fact]
    public void Create_AllFields_AreRead()
    {
        WireWriter message = new WireWriter().Text(1, "c").Text(2, "/bundle").Message(3, new RootMount("overlay", "o", "/t", ["ro", "", "a=b"]).Write()).Flag(4, true)
            .Text(5, "/in").Text(6, "/out").Text(7, "/err").Text(8, "image").Message(10, new AnyMessage("type", [1, 2]).Write());
        CreateTaskRequest request = CreateTaskRequest.Read(message.Written);
        Assert.Equal(("c", "/bundle", "image"), (request.Id, request.Bundle, request.Checkpoint));
        Assert.Equal(("/in", "/out", "/err", true), (request.Stdio.Stdin, request.Stdio.Stdout, request.Stdio.Stderr, request.Stdio.Terminal));
        RootMount mount = Assert.Single(request.Root);
        Assert.Equal(("overlay", "o", "/t"), (mount.Type, mount.Source, mount.Target));
        Assert.Equal(["ro", "", "a=b"], mount.Options);
        Assert.Equal("type", request.Options!.TypeUrl);
        Assert.Equal([1, 2], request.Options.Value);
    }

    [Fact]
    public void Timestamp_OfATime_HasSecondsAndNanoseconds()
    {
        WireReader reader = new(Timestamp.Write(DateTime.UnixEpoch.AddSeconds(1_700_000_000).AddTicks(1234)).Written);
        Dictionary<int, long> fields = [];
        while (reader.Next())
        {
            fields[reader.Field] = reader.Signed();
        }

        Assert.Equal(1_700_000_000, fields[1]);
        Assert.Equal(123_400, fields[2]);
    }
}
