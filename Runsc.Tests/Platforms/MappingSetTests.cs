using System;
using Runsc.Platform;
using Runsc.Platform.Systrap;
using Xunit;

namespace Runsc.Tests.Platforms;

/// <summary>The record of what a stub process has mapped, against a model with one cell for each page.</summary>
public sealed class MappingSetTests
{
    private const int Window = 64;
    private const ulong PageSize = 4096;

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Operations_AgreeWithTheModel(int seed)
    {
        Random random = new(seed);
        MappingSet set = new();
        var model = new (ulong Offset, AccessType Access)?[Window];
        for (int step = 0; step < 5000; step++)
        {
            int first = random.Next(Window), end = Math.Min(Window, first + random.Next(1, 12));
            switch (random.Next(8))
            {
                case < 5:
                    AccessType access = random.Next(2) == 0 ? AccessType.Read : AccessType.Read | AccessType.Write;

                    // Often the offset that its neighbours have, so that ranges join.
                    ulong offset = random.Next(3) == 0 ? (ulong)random.Next(100) * PageSize : (ulong)first * PageSize;
                    Mapping mapping = new() { Start = At(first), End = At(end), Offset = offset, Access = access };
                    set.Set(mapping);
                    Assert.True(set.Holds(mapping));
                    for (int i = first; i < end; i++)
                    {
                        model[i] = (offset + ((ulong)(i - first) * PageSize), access);
                    }

                    break;
                case 5:
                    set.Remove(At(first), At(end));
                    Array.Clear(model, first, end - first);
                    Assert.False(set.Intersects(At(first), At(end)));
                    break;
                case 6:
                    int index = set.FindFrom(At(first));
                    if (index < set.Count && set[index].Start < At(first))
                    {
                        set.Split(index, At(first));
                    }

                    break;
                case 7:
                    int at = set.FindFrom(At(first));
                    if (at < set.Count)
                    {
                        for (ulong page = set[at].Start; page < set[at].End; page += PageSize)
                        {
                            model[page / PageSize] = (model[page / PageSize]!.Value.Offset, AccessType.Read);
                        }

                        set.TakeWrite(at);
                    }

                    break;
            }

            Check(set, model, $"seed {seed} step {step}");
        }
    }

    [Fact]
    public void Neighbours_ThatContinue_AreOneRange()
    {
        MappingSet set = new();
        set.Set(Range(0, 1, 0));
        set.Set(Range(2, 3, 2));
        Assert.Equal(2, set.Count);
        set.Set(Range(1, 2, 1));
        Assert.Equal(1, set.Count);
        Assert.True(set.Holds(Range(0, 3, 0)));
        set.Set(Range(1, 2, 9));
        Assert.Equal(3, set.Count);
        Assert.False(set.Holds(Range(0, 3, 0)));
    }

    private static Mapping Range(int first, int end, int page) => new() { Start = At(first), End = At(end), Offset = (ulong)page * PageSize, Access = AccessType.Read };

    private static ulong At(int page) => (ulong)page * PageSize;

    private static void Check(MappingSet set, (ulong Offset, AccessType Access)?[] model, string where)
    {
        ulong before = 0;
        int pages = 0;
        for (int i = 0; i < set.Count; i++)
        {
            Assert.True(set[i].Start >= before && set[i].End > set[i].Start, where);
            before = set[i].End;
            for (ulong address = set[i].Start; address < set[i].End; address += PageSize, pages++)
            {
                Assert.True(model[address / PageSize] == (set[i].Offset + (address - set[i].Start), set[i].Access), $"{where}: page {address / PageSize}");
            }
        }

        Assert.Equal(Array.FindAll(model, page => page.HasValue).Length, pages);
    }
}
