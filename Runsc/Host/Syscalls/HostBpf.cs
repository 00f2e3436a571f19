using System;
using System.Buffers.Binary;
using Runsc.Linux;

namespace Runsc.Host.Syscalls;

/// <summary>bpf(2), for programs that decide about the devices of a control group.</summary>
internal static unsafe class HostBpf
{
    private const int BPF_PROG_LOAD = 5, BPF_PROG_ATTACH = 8;
    private const uint BPF_PROG_TYPE_CGROUP_DEVICE = 15, BPF_CGROUP_DEVICE = 6, BPF_F_ALLOW_MULTI = 2;

    // As much of union bpf_attr as the two calls use.
    private const int AttributesSize = 72;

    /// <summary>Loads a program of instructions: a descriptor, close-on-exec, or −errno.</summary>
    public static int LoadDeviceProgram(ReadOnlySpan<ulong> code)
    {
        Span<byte> attributes = stackalloc byte[AttributesSize];
        attributes.Clear();
        fixed (ulong* instructions = code)
        fixed (byte* license = "Apache-2.0\0"u8)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(attributes, BPF_PROG_TYPE_CGROUP_DEVICE);
            BinaryPrimitives.WriteInt32LittleEndian(attributes[4..], code.Length);
            BinaryPrimitives.WriteUInt64LittleEndian(attributes[8..], (ulong)instructions);
            BinaryPrimitives.WriteUInt64LittleEndian(attributes[16..], (ulong)license);
            return Call(BPF_PROG_LOAD, attributes);
        }
    }

    /// <summary>A program of ours beside those that the group may have. 0 or −errno.</summary>
    public static int AttachToGroup(int directory, int program)
    {
        Span<byte> attributes = stackalloc byte[AttributesSize];
        attributes.Clear();
        BinaryPrimitives.WriteInt32LittleEndian(attributes, directory);
        BinaryPrimitives.WriteInt32LittleEndian(attributes[4..], program);
        BinaryPrimitives.WriteUInt32LittleEndian(attributes[8..], BPF_CGROUP_DEVICE);
        BinaryPrimitives.WriteUInt32LittleEndian(attributes[12..], BPF_F_ALLOW_MULTI);
        return Call(BPF_PROG_ATTACH, attributes);
    }

    private static int Call(int command, ReadOnlySpan<byte> attributes)
    {
        fixed (byte* p = attributes)
        {
            return (int)HostFile.Syscall(SysNo.bpf, command, (long)p, AttributesSize);
        }
    }
}
