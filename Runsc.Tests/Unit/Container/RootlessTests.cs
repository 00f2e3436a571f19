using Runsc.Container.Namespaces;
using Runsc.Oci;
using Xunit;

namespace Runsc.Tests.Unit.Container;

public sealed class RootlessTests
{
    private static readonly string[] s_ranges = ["# comment", "alice:100000:65536", "1001:200000:1000", "bad:x:1", "zero:5:0", "alice:900000:5"];

    [Fact]
    public void Range_ByName_IsTheFirst()
    {
        IdMappingSpec range = RootlessIds.Range(s_ranges, "alice", 1000)!;
        Assert.Equal((1u, 100000u, 65536u), (range.ContainerID, range.HostID, range.Size));
    }

    [Fact]
    public void Range_ByNumber_IsFound() => Assert.Equal(200000u, RootlessIds.Range(s_ranges, "bob", 1001)!.HostID);

    [Theory]
    [InlineData("carol")]
    [InlineData("bad")]
    [InlineData("zero")]
    [InlineData(null)]
    public void Range_NoneOrBroken_IsNone(string? name) => Assert.Null(RootlessIds.Range(s_ranges, name, 7));

    [Fact]
    public void Name_OfAnId_IsThatOfThePasswordFile()
    {
        string[] lines = ["root:x:0:0::/:/bin/sh", "broken", "alice:x:1000:1000::/:/bin/sh"];
        Assert.Equal("alice", RootlessIds.NameOf(1000, lines));
        Assert.Null(RootlessIds.NameOf(5, lines));
    }
}
