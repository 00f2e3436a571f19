using System.Collections.Generic;
using System.Text;
using Runsc.Common;
using Runsc.Container.Namespaces;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.Oci;

namespace Runsc.Container.Cgroups;

/// <summary>
/// Rules about devices on cgroup v2, where a program of eBPF decides (BPF_PROG_TYPE_CGROUP_DEVICE). The rules mean what they mean to v1: what is decided by
/// default, and exceptions from that, each for a kind of devices.
/// </summary>
internal static class DeviceProgram
{
    private const byte LoadWord = 0x61;          // BPF_LDX | BPF_MEM | BPF_W
    private const byte AndImmediate = 0x54;      // BPF_ALU | BPF_AND | BPF_K
    private const byte ShiftRight = 0x74;        // BPF_ALU | BPF_RSH | BPF_K
    private const byte MoveRegister = 0xbc;      // BPF_ALU | BPF_MOV | BPF_X
    private const byte MoveImmediate = 0xb7;     // BPF_ALU64 | BPF_MOV | BPF_K
    private const byte JumpUnlessEqual = 0x55;   // BPF_JMP | BPF_JNE | BPF_K
    private const byte JumpIfEqual = 0x15;       // BPF_JMP | BPF_JEQ | BPF_K
    private const byte JumpUnlessSame = 0x5d;    // BPF_JMP | BPF_JNE | BPF_X
    private const byte Exit = 0x95;              // BPF_JMP | BPF_EXIT

    // struct bpf_cgroup_dev_ctx: access_type (access in the upper half, type in the lower), major, minor.
    private const byte Result = 0, Context = 1, Type = 2, Access = 3, Major = 4, Minor = 5, Scratch = 6;
    private const int BlockDevice = 1, CharacterDevice = 2;

    // A long list is longer than a program may be.
    private const int MaxExceptions = 512;

    /// <summary>Attaches the program of some rules to a group.</summary>
    /// <exception cref="RunscException">The kernel refuses it.</exception>
    public static void Attach(string group, List<DeviceRuleSpec> rules)
    {
        int directory = HostFile.OpenAt(Fcntl.AT_FDCWD, [.. Encoding.UTF8.GetBytes(group), 0], Fcntl.O_RDONLY | Fcntl.O_DIRECTORY | Fcntl.O_CLOEXEC);
        int program = directory < 0 ? directory : HostBpf.LoadDeviceProgram(Compile(DeviceRule.All(rules)));
        int result = program < 0 ? program : HostBpf.AttachToGroup(directory, program);
        foreach (int fd in (int[])[program, directory])
        {
            _ = fd >= 0 ? HostFile.Close(fd) : 0;
        }

        if (result == -(int)Errno.EPERM && !RootlessIds.IsHostRoot())
        {
            // Such a user has no devices to give away, and the sandbox opens none.
            Log.Warning("linux.resources.devices: a user namespace may not attach the program");
            return;
        }

        if (result < 0)
        {
            throw new RunscException($"linux.resources.devices: cannot attach the program to {group}: errno {-result}");
        }
    }

    /// <summary>Instructions of eBPF, 8 bytes each: it returns 1 to allow an access.</summary>
    /// <exception cref="RunscException">There are too many rules.</exception>
    internal static ulong[] Compile(List<DeviceRule> rules)
    {
        (bool allows, Dictionary<(char Type, long Major, long Minor), int> exceptions) = Reduce(rules);
        if (exceptions.Count > MaxExceptions)
        {
            throw new RunscException($"linux.resources.devices: more than {MaxExceptions} rules");
        }

        List<ulong> code =
        [
            New(LoadWord, Type, Context, 0, 0), New(MoveRegister, Access, Type, 0, 0), New(AndImmediate, Type, 0, 0, 0xffff), New(ShiftRight, Access, 0, 0, 16),
            New(LoadWord, Major, Context, 4, 0), New(LoadWord, Minor, Context, 8, 0),
        ];
        foreach (((char type, long major, long minor), int access) in exceptions)
        {
            List<ulong> block = [];
            List<int> jumps = [];
            Jump(New(JumpUnlessEqual, Type, 0, 0, type == 'b' ? BlockDevice : CharacterDevice));
            if (!allows)
            {
                // All that is asked for must be in the exception.
                block.AddRange([New(MoveRegister, Scratch, Access, 0, 0), New(AndImmediate, Scratch, 0, 0, access)]);
                Jump(New(JumpUnlessSame, Scratch, Access, 0, 0));
            }
            else
            {
                block.AddRange([New(MoveRegister, Scratch, Access, 0, 0), New(AndImmediate, Scratch, 0, 0, access)]);
                Jump(New(JumpIfEqual, Scratch, 0, 0, 0));
            }

            if (major >= 0)
            {
                Jump(New(JumpUnlessEqual, Major, 0, 0, (int)major));
            }

            if (minor >= 0)
            {
                Jump(New(JumpUnlessEqual, Minor, 0, 0, (int)minor));
            }

            block.AddRange([New(MoveImmediate, Result, 0, 0, allows ? 0 : 1), New(Exit, 0, 0, 0, 0)]);
            foreach (int at in jumps)
            {
                // Behind the block.
                block[at] |= (ulong)(ushort)(block.Count - at - 1) << 16;
            }

            code.AddRange(block);

            void Jump(ulong instruction)
            {
                jumps.Add(block.Count);
                block.Add(instruction);
            }
        }

        code.AddRange([New(MoveImmediate, Result, 0, 0, allows ? 1 : 0), New(Exit, 0, 0, 0, 0)]);
        return [.. code];
    }

    /// <summary>As the kernel keeps the rules of a v1 group: a rule about all devices starts anew, one against the default adds an exception, one for it takes it away.</summary>
    private static (bool Allows, Dictionary<(char Type, long Major, long Minor), int> Exceptions) Reduce(List<DeviceRule> rules)
    {
        bool allows = true;
        Dictionary<(char Type, long Major, long Minor), int> exceptions = [];
        foreach (DeviceRule rule in rules)
        {
            if (rule.Type == 'a')
            {
                allows = rule.Allow;
                exceptions.Clear();
                continue;
            }

            (char Type, long Major, long Minor) key = (rule.Type, rule.Major, rule.Minor);
            int access = exceptions.GetValueOrDefault(key);
            access = rule.Allow != allows ? access | rule.Access : access & ~rule.Access;
            if (access == 0)
            {
                _ = exceptions.Remove(key);
            }
            else
            {
                exceptions[key] = access;
            }
        }

        return (allows, exceptions);
    }

    private static ulong New(byte code, byte target, byte source, short offset, int immediate) =>
        code | ((ulong)(target | (source << 4)) << 8) | ((ulong)(ushort)offset << 16) | ((ulong)(uint)immediate << 32);
}
