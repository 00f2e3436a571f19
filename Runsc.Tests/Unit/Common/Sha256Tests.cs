using System;
using System.Security.Cryptography;
using Runsc.Common;
using Xunit;

namespace Runsc.Tests.Unit.Common;

public sealed class Sha256Tests
{
    [Fact]
    public void Hash_KnownText_IsThatOfTheStandard() =>
        Assert.Equal("BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD", Convert.ToHexString(Sha256.Hash("abc"u8)));

    [Fact]
    public void Hash_EveryLengthAroundTheBlocks_IsTheFrameworks()
    {
        Random random = new(7);
        for (int length = 0; length < 200; length++)
        {
            byte[] data = new byte[length];
            random.NextBytes(data);
            Assert.Equal(SHA256.HashData(data), Sha256.Hash(data));
        }
    }
}
