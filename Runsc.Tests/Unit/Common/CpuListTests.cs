using Runsc.Common;
using Xunit;

namespace Runsc.Tests.Unit.Common;

public sealed class CpuListTests
{
    [Theory]
    [InlineData("", 0UL, "")]
    [InlineData("0", 1UL, "0")]
    [InlineData("0-3", 15UL, "0-3")]
    [InlineData("5, 0-1 ,1,7-7", 0b1010_0011UL, "0-1,5,7")]
    [InlineData("0-63", ulong.MaxValue, "0-63")]
    [InlineData("63", 1UL << 63, "63")]
    [InlineData("1-2,62-63", 0xC000_0000_0000_0006UL, "1-2,62-63")]
    public void List_ThereAndBack(string text, ulong mask, string again)
    {
        Assert.True(CpuList.TryParse(text, out ulong parsed));
        Assert.Equal(mask, parsed);
        Assert.Equal(again, CpuList.Format(parsed));
    }

    [Theory]
    [InlineData("x")]
    [InlineData("-1")]
    [InlineData("1-")]
    [InlineData("2-1")]
    [InlineData("1,,2")]
    [InlineData("64")]
    [InlineData("0-64")]
    [InlineData("99999999999")]
    [InlineData("+1")]
    public void Nonsense_IsRefused(string text) => Assert.False(CpuList.TryParse(text, out _));
}
