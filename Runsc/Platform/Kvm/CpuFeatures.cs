using System;
using Runsc.Platform.Kvm.Abi;

namespace Runsc.Platform.Kvm;

/// <summary>
/// The processor that applications see: what KVM supports, without what only a kernel could use (paravirtual leaves, protection keys, supervisor
/// state) and without state components whose size would depend on a host-side permission (AMX).
/// </summary>
internal sealed unsafe class CpuFeatures
{
    /// <summary>
    /// x87, SSE, AVX, the three AVX-512 components, and PKRU. Applications get no protection keys, but a guest whose XCR0 is the host's spares KVM
    /// two writes of it at every entry, and where ring 3 runs natively XGETBV shows the host's in any case.
    /// </summary>
    private const ulong SupportedComponents = 0x2e7;
    private const ulong LegacyComponents = 0x3;
    private const ulong AvxComponent = 0x4;
    private const ulong Avx512Components = 0xe0;
    private const int LegacyAreaSize = 576;

    private const uint HypervisorLeaves = 0x4000_0000;
    private const uint Leaf1EcxXsave = 1u << 26;
    private const uint Leaf1EcxOsxsave = 1u << 27;
    private const uint Leaf1EcxHypervisor = 1u << 31;
    private const uint Leaf7EbxFsgsbase = 1u << 0;
    private const uint Leaf7EcxPku = 1u << 3;
    private const uint Leaf7EcxOspke = 1u << 4;
    private const uint Leaf7EcxShadowStack = 1u << 7;
    private const uint Leaf7EdxIbt = 1u << 20;
    private const uint Leaf7EdxAmx = (1u << 22) | (1u << 24) | (1u << 25);
    private const uint LeafD1EaxXsaves = 1u << 3;
    private const uint HwCap2FsGsBase = 2;

    private KvmCpuid2 _cpuid;

    /// <summary>Reads and filters KVM's list.</summary>
    public CpuFeatures(int kvmFd)
    {
        _cpuid.Nent = KvmCpuid2.Capacity;
        long result;
        fixed (KvmCpuid2* cpuid = &_cpuid)
        {
            result = KvmCalls.Ioctl(kvmFd, KvmNumbers.KVM_GET_SUPPORTED_CPUID, cpuid);
        }

        if (result < 0)
        {
            throw new PlatformException($"KVM_GET_SUPPORTED_CPUID failed (errno {-result})");
        }

        PhysicalAddressBits = 36;
        XSaveSize = LegacyAreaSize;
        RemoveHypervisorLeaves();
        Span<KvmCpuidEntry2> entries = Entries;
        foreach (ref KvmCpuidEntry2 entry in entries)
        {
            ReadEntry(entry);
        }

        foreach (ref KvmCpuidEntry2 entry in entries)
        {
            FilterEntry(ref entry);
        }
    }

    /// <summary>XCR0 for every vCPU; 0 if the processor has no XSAVE.</summary>
    public ulong XFeatureMask { get; private set; }

    /// <summary>Bytes of an XSAVE area of these components in standard format.</summary>
    public int XSaveSize { get; private set; }

    public uint HwCap2 => HasFsGsBase ? HwCap2FsGsBase : 0;

    public bool HasFsGsBase { get; private set; }

    public bool HasXSave { get; private set; }

    /// <summary>Width of a guest-physical address.</summary>
    public int PhysicalAddressBits { get; private set; }

    /// <summary>KVM_SET_CPUID2. 0 or −errno.</summary>
    public long Apply(int vcpuFd)
    {
        fixed (KvmCpuid2* cpuid = &_cpuid)
        {
            return KvmCalls.Ioctl(vcpuFd, KvmNumbers.KVM_SET_CPUID2, cpuid);
        }
    }

    private Span<KvmCpuidEntry2> Entries => ((Span<KvmCpuidEntry2>)_cpuid.Entries)[..(int)_cpuid.Nent];

    private void RemoveHypervisorLeaves()
    {
        Span<KvmCpuidEntry2> entries = Entries;
        int kept = 0;
        for (int i = 0; i < entries.Length; i++)
        {
            if ((entries[i].Function & 0xffff_0000) != HypervisorLeaves)
            {
                entries[kept++] = entries[i];
            }
        }

        _cpuid.Nent = (uint)kept;
    }

    private void ReadEntry(in KvmCpuidEntry2 entry)
    {
        switch (entry.Function, entry.Index)
        {
            case (1, 0):
                HasXSave = (entry.Ecx & Leaf1EcxXsave) != 0;
                break;
            case (7, 0):
                HasFsGsBase = (entry.Ebx & Leaf7EbxFsgsbase) != 0;
                break;
            case (0xd, 0):
                ulong components = entry.Eax & SupportedComponents;
                if ((components & Avx512Components) != Avx512Components || (components & AvxComponent) == 0)
                {
                    components &= ~Avx512Components;
                }

                XFeatureMask = components | LegacyComponents;
                break;
            case (0xd, > 1 and < 64):
                // Subleaf n describes component n: EAX its size, EBX its offset. Subleaf 0 comes first in KVM's list.
                if ((XFeatureMask >> (int)entry.Index & 1) != 0)
                {
                    XSaveSize = Math.Max(XSaveSize, (int)(entry.Ebx + entry.Eax));
                }

                break;
            case (0x8000_0008, _):
                PhysicalAddressBits = (int)(entry.Eax & 0xff);
                break;
        }
    }

    private void FilterEntry(ref KvmCpuidEntry2 entry)
    {
        switch (entry.Function, entry.Index)
        {
            case (1, 0):
                // OSXSAVE is ours to set (CR4), so KVM derives it. Applications run as on a bare processor: no leaf of a hypervisor is there to ask.
                entry.Ecx &= ~(Leaf1EcxHypervisor | Leaf1EcxOsxsave);
                break;
            case (7, 0):
                entry.Ecx &= ~(Leaf7EcxPku | Leaf7EcxOspke | Leaf7EcxShadowStack);
                entry.Edx &= ~(Leaf7EdxIbt | Leaf7EdxAmx);
                break;
            case (0xd, 0):
                entry.Eax = (uint)XFeatureMask;
                entry.Edx = 0;
                entry.Ecx = (uint)XSaveSize;
                break;
            case (0xd, 1):
                entry.Eax &= ~LeafD1EaxXsaves;
                entry.Ecx = 0;
                entry.Edx = 0;
                break;
            case (0xd, > 1 and < 64):
                if ((XFeatureMask >> (int)entry.Index & 1) == 0)
                {
                    entry.Eax = entry.Ebx = entry.Ecx = entry.Edx = 0;
                }

                break;
        }
    }
}
