using System;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using System.Text;

namespace Runsc.Sentry.FileSystems.Proc;

/// <summary>A processor in /proc/cpuinfo, by what CPUID tells the Sentry; the application's CPUID comes from the same processor.</summary>
internal static class ProcessorDescription
{
    // Names of Linux (arch/x86/include/asm/cpufeatures.h) by bit; null where there is none, or where user programs have no use for it.
    private static readonly string?[] s_edx =
    [
        "fpu", "vme", "de", "pse", "tsc", "msr", "pae", "mce", "cx8", "apic", null, "sep", "mtrr", "pge", "mca", "cmov", "pat", "pse36", "pn", "clflush", null, null,
        null, "mmx", "fxsr", "sse", "sse2", "ss", "ht", null, null, null,
    ];

    private static readonly string?[] s_ecx =
    [
        "pni", "pclmulqdq", null, null, null, null, null, null, null, "ssse3", null, null, "fma", "cx16", null, null, null, "pcid", null, "sse4_1", "sse4_2", "x2apic",
        "movbe", "popcnt", null, "aes", "xsave", null, "avx", "f16c", "rdrand", "hypervisor",
    ];

    private static readonly string?[] s_ebx7 =
    [
        "fsgsbase", null, null, "bmi1", null, "avx2", null, "smep", "bmi2", "erms", "invpcid", null, null, null, null, null, "avx512f", "avx512dq", "rdseed", "adx",
        "smap", "avx512ifma", null, "clflushopt", "clwb", null, null, null, "avx512cd", "sha_ni", "avx512bw", "avx512vl",
    ];

    public static void Append(StringBuilder text, int cpu, int count, ulong kilohertz)
    {
        (int _, int vendorB, int vendorC, int vendorD) = X86Base.CpuId(0, 0);
        (int signature, int ebx, int ecx, int edx) = X86Base.CpuId(1, 0);
        (int _, int ebx7, int _, int _) = X86Base.CpuId(7, 0);
        int family = (signature >> 8) & 15, model = (signature >> 4) & 15;
        model |= family is 6 or 15 ? (signature >> 12) & 0xf0 : 0;
        family += family == 15 ? (signature >> 20) & 0xff : 0;
        Span<int> vendor = [vendorB, vendorD, vendorC];
        double megahertz = kilohertz / 1000.0;
        StringBuilder flags = new();
        AddFlags(flags, edx, s_edx);
        flags.Append("syscall nx rdtscp lm constant_tsc rep_good nopl nonstop_tsc cpuid ");
        AddFlags(flags, ecx, s_ecx);
        AddFlags(flags, ebx7, s_ebx7);
        text.Append(
            CultureInfo.InvariantCulture,
            $"processor\t: {cpu}\nvendor_id\t: {Encoding.ASCII.GetString(MemoryMarshal.AsBytes(vendor))}\ncpu family\t: {family}\nmodel\t\t: {model}\nmodel name\t: {Brand()}\n"
            + $"stepping\t: {signature & 15}\nmicrocode\t: 0xffffffff\ncpu MHz\t\t: {megahertz:F3}\ncache size\t: 8192 KB\nphysical id\t: 0\nsiblings\t: {count}\ncore id\t\t: {cpu}\n"
            + $"cpu cores\t: {count}\napicid\t\t: {cpu}\ninitial apicid\t: {cpu}\nfpu\t\t: yes\nfpu_exception\t: yes\ncpuid level\t: 13\nwp\t\t: yes\nflags\t\t: {flags.ToString().TrimEnd()}\n"
            + $"bugs\t\t: \nbogomips\t: {megahertz * 2:F2}\nclflush size\t: {((ebx >> 8) & 0xff) * 8}\ncache_alignment\t: 64\naddress sizes\t: 46 bits physical, 48 bits virtual\npower management:\n\n");
    }

    private static void AddFlags(StringBuilder flags, int bits, string?[] names)
    {
        for (int i = 0; i < 32; i++)
        {
            if ((bits >> i & 1) != 0 && names[i] is string name)
            {
                flags.Append(name).Append(' ');
            }
        }
    }

    private static string Brand()
    {
        Span<int> brand = stackalloc int[12];
        for (int i = 0; i < 3; i++)
        {
            (brand[i * 4], brand[(i * 4) + 1], brand[(i * 4) + 2], brand[(i * 4) + 3]) = X86Base.CpuId(unchecked((int)0x8000_0002) + i, 0);
        }

        return Encoding.ASCII.GetString(MemoryMarshal.AsBytes(brand)).TrimEnd('\0').Trim();
    }
}
