using System;
using Runsc.Platform;
using Runsc.Platform.Kvm.Paging;
using Runsc.Tests.Platforms;
using Xunit;

namespace Runsc.Tests.Kvm;

/// <summary>Page tables of the KVM platform: what no interface shows.</summary>
[Collection("kvm")]
public sealed class KvmPagingTests
{
    private const ulong Target = 0x7000_0000;

    [KvmFact]
    public void CreateAndDispose_ThousandsOfSpaces_ReusesTables()
    {
        using var machine = new GuestMachine(kvm: true);
        using var task = new GuestTask(machine, [0x48, 0x8b, 0x07, 0x0f, 0x05]);
        ulong page = machine.Allocate(1);
        machine.Word(page) = 3;
        TableArena arena = machine.Kvm.Tables;
        int slots = 0;
        for (int i = 0; i < 12_000; i++)
        {
            using var space = (KvmAddressSpace)machine.Kvm.CreateAddressSpace();
            space.Map(GuestTask.Code, task.DataOffset - 4096, 4096, AccessType.Read | AccessType.Execute);
            space.Map(Target, page, 4096, AccessType.Read);
            if (i % 100 == 0)
            {
                task.Start();
                task.Frame.Rdi = Target;
                task.Context.Switch(space, out TrapInfo trap);
                Assert.True(trap.Kind == TrapKind.SystemCall && task.Frame.Rax == 3, task.Describe(trap));
            }

            if (i == 6_000)
            {
                slots = arena.SlotCount;
            }
        }

        // 12,000 spaces take 12 slots if none is ever used again.
        Assert.True(arena.SlotCount <= Math.Max(slots, 6), $"{arena.SlotCount} slots of table memory");
        task.Space.Map(Target, page, 4096, AccessType.Read);
        task.Start();
        task.Frame.Rdi = Target;
        task.ExpectSystemCall();
        Assert.Equal(3u, task.Frame.Rax);
    }

    [Fact]
    public void InvalidationList_TouchingPages_Merge()
    {
        InvalidationList list = default;
        foreach (ulong page in new ulong[] { 0x3000, 0x4000, 0x5000, 0x2000, 0x4000, 0x9000, 0x8000 })
        {
            Assert.True(list.TryAdd(page));
        }

        Assert.Equal(2, list.Count);
        Assert.Equal((0x2000UL, 0x6000UL), (list[0].Start, list[0].End));
        Assert.Equal((0x8000UL, 0xa000UL), (list[1].Start, list[1].End));
        for (ulong i = 0; i < InvalidationList.Capacity - 2; i++)
        {
            Assert.True(list.TryAdd(0x10_0000 + (i * 0x2000)));
        }

        Assert.False(list.TryAdd(0x90_0000));
    }

    [Theory]
    [InlineData(0x1067UL, 0x0UL, true)]
    [InlineData(0x0UL, 0x1067UL, false)]
    [InlineData(0x1067UL, 0x2067UL, true)]
    [InlineData(0x1067UL, 0x1065UL, true)]
    [InlineData(0x1065UL, 0x1067UL, false)]
    [InlineData(0x1067UL, 0x8000_0000_0000_1067UL, true)]
    [InlineData(0x8000_0000_0000_1067UL, 0x1067UL, false)]
    public void NeedsInvalidation_OnlyForWhatIsLost(ulong old, ulong updated, bool expected) =>
        Assert.Equal(expected, PageEntry.NeedsInvalidation(old, updated));
}
