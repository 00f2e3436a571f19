using System.Runtime.InteropServices;

namespace Runsc.Platform.Kvm.Abi;

/// <summary><c>struct kvm_userspace_memory_region</c>.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct KvmUserspaceMemoryRegion
{
    public const int SizeInBytes = 32;

    public uint Slot;
    public uint Flags;
    public ulong GuestPhysAddr;
    public ulong MemorySize;
    public ulong UserspaceAddr;
}

/// <summary><c>struct kvm_device_attr</c>.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct KvmDeviceAttr
{
    public const int SizeInBytes = 24;

    public uint Flags;
    public uint Group;
    public ulong Attr;
    public ulong Addr;
}

/// <summary><c>struct kvm_signal_mask</c> with its flexible array: eight bytes, as the kernel's sigset_t.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 4)]
internal struct KvmSignalMask
{
    /// <summary>Of the C structure, which ends before the array.</summary>
    public const int HeaderSizeInBytes = 4;
    public const int SizeInBytes = 12;

    public uint Len;
    public ulong Sigset;
}

/// <summary><c>struct kvm_msrs</c> with room for the entries that a vCPU needs.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct KvmMsrs
{
    /// <summary>Of the C structure, which ends before the array.</summary>
    public const int HeaderSizeInBytes = 8;
    public const int Capacity = 8;

    public uint Nmsrs;
    public uint Pad;
    public KvmMsrArray Entries;
}

[System.Runtime.CompilerServices.InlineArray(KvmMsrs.Capacity)]
internal struct KvmMsrArray
{
    private KvmMsrEntry _first;
}

/// <summary><c>struct kvm_cpuid2</c> with room for 256 entries, which is KVM_MAX_CPUID_ENTRIES.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct KvmCpuid2
{
    /// <summary>Of the C structure, which ends before the array.</summary>
    public const int HeaderSizeInBytes = 8;
    public const int Capacity = 256;

    public uint Nent;
    public uint Padding;
    public KvmCpuidArray Entries;
}

[System.Runtime.CompilerServices.InlineArray(KvmCpuid2.Capacity)]
internal struct KvmCpuidArray
{
    private KvmCpuidEntry2 _first;
}
