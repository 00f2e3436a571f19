using System;
using System.Collections.Generic;
using System.IO;
using Runsc.Container.Cgroups;
using Runsc.Oci;
using Runsc.Tests.Support;
using Xunit;

namespace Runsc.Tests.Unit.Container;

/// <summary>Rules about devices as a program of eBPF.</summary>
public sealed class DeviceProgramTests
{
    private static readonly DeviceRule s_none = new(false, 'a', -1, -1, DeviceRule.Everything);

    /// <summary>Runs a program, as far as ours use the instructions: does it allow the access?</summary>
    private static bool Allows(ulong[] code, char type, uint major, uint minor, int access)
    {
        ulong[] registers = new ulong[11];
        uint[] context = [(uint)((access << 16) | (type == 'b' ? 1 : 2)), major, minor];
        for (int at = 0; ; at++)
        {
            ulong instruction = code[at];
            int target = (int)(instruction >> 8 & 0xf), source = (int)(instruction >> 12 & 0xf), immediate = unchecked((int)(instruction >> 32));
            short offset = unchecked((short)(instruction >> 16));
            switch (unchecked((byte)instruction))
            {
                case 0x61:
                    Assert.Equal(1, source);
                    registers[target] = context[offset / 4];
                    break;
                case 0x54:
                    registers[target] = registers[target] & 0xffff_ffff & (ulong)immediate;
                    break;
                case 0x74:
                    registers[target] = (registers[target] & 0xffff_ffff) >> immediate;
                    break;
                case 0xbc:
                    registers[target] = registers[source] & 0xffff_ffff;
                    break;
                case 0xb7:
                    registers[target] = (ulong)(long)immediate;
                    break;
                case 0x55:
                    at += registers[target] != (ulong)(long)immediate ? offset : 0;
                    break;
                case 0x15:
                    at += registers[target] == (ulong)(long)immediate ? offset : 0;
                    break;
                case 0x5d:
                    at += registers[target] != registers[source] ? offset : 0;
                    break;
                case 0x95:
                    return registers[0] != 0;
                default:
                    Assert.Fail($"instruction {instruction:x}");
                    break;
            }
        }
    }

    [Fact]
    public void AllowList_AllowsWhatIsOnIt()
    {
        ulong[] code = DeviceProgram.Compile([s_none, new(true, 'c', 10, 200, DeviceRule.Read), new(true, 'c', 10, 200, DeviceRule.Write), new(true, 'b', 8, -1, DeviceRule.Read)]);
        Assert.True(Allows(code, 'c', 10, 200, DeviceRule.Read | DeviceRule.Write));
        Assert.False(Allows(code, 'c', 10, 200, DeviceRule.Mknod));
        Assert.False(Allows(code, 'c', 10, 201, DeviceRule.Read));
        Assert.True(Allows(code, 'b', 8, 77, DeviceRule.Read));
        Assert.False(Allows(code, 'b', 8, 77, DeviceRule.Read | DeviceRule.Write));
        Assert.False(Allows(code, 'c', 8, 77, DeviceRule.Read));
    }

    [Fact]
    public void DenyList_DeniesAnyPartOfWhatIsOnIt()
    {
        ulong[] code = DeviceProgram.Compile([new(false, 'c', 1, 7, DeviceRule.Write), new(false, 'b', -1, -1, DeviceRule.Everything), new(true, 'b', -1, -1, DeviceRule.Read)]);
        Assert.True(Allows(code, 'c', 1, 7, DeviceRule.Read));
        Assert.False(Allows(code, 'c', 1, 7, DeviceRule.Read | DeviceRule.Write));
        Assert.True(Allows(code, 'b', 8, 0, DeviceRule.Read));
        Assert.False(Allows(code, 'b', 8, 0, DeviceRule.Mknod));
    }

    [Fact]
    public void Rules_OfASpecification_KeepTheCommonDevices()
    {
        List<DeviceRule> rules = DeviceRule.All([new DeviceRuleSpec { Allow = false, Access = "rwm" }, new DeviceRuleSpec { Allow = true, Type = "c", Major = 10, Access = "r" }]);
        ulong[] code = DeviceProgram.Compile(rules);
        Assert.True(Allows(code, 'c', 1, 3, DeviceRule.Read | DeviceRule.Write));
        Assert.True(Allows(code, 'c', 10, 5, DeviceRule.Read));
        Assert.True(Allows(code, 'b', 8, 0, DeviceRule.Mknod));
        Assert.False(Allows(code, 'b', 8, 0, DeviceRule.Read));
        Assert.Equal(["a", "c 10:* r", "c 1:3 rwm"], rules.GetRange(0, 3).ConvertAll(rule => rule.ToString()));
        Assert.False(Allows(DeviceProgram.Compile([s_none]), 'c', 1, 3, DeviceRule.Read));
    }

    /// <summary>The kernel takes the program, and keeps to it.</summary>
    [Fact]
    public void Kernel_KeepsToTheProgram()
    {
        if (!Environment.IsPrivilegedProcess)
        {
            return;
        }

        string mount = Directory.CreateTempSubdirectory("runsc-cgroup2-").FullName;
        try
        {
            if (CommandRunner.Run("mount", ["-t", "cgroup2", "none", mount]).Status != 0)
            {
                // Not allowed here.
                return;
            }

            string group = Path.Combine(mount, "runsc-devices");
            Directory.CreateDirectory(group);
            DeviceProgram.Attach(group, [new DeviceRuleSpec { Allow = false }, new DeviceRuleSpec { Allow = true, Type = "c", Major = 1, Minor = 11, Access = "w" }]);
            Assert.Equal("null kmsg\n", CommandRunner.Shell($"sh -c 'echo $$ > {group}/cgroup.procs; : < /dev/null && echo -n \"null \"; : > /dev/kmsg && echo kmsg; : < /dev/kmsg' 2>/dev/null || true"));
            Directory.Delete(group);
        }
        finally
        {
            CommandRunner.Run("umount", [mount]);
            Directory.Delete(mount);
        }
    }
}
