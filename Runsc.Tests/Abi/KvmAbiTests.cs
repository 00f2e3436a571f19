using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Text;
using Runsc.Platform;
using Runsc.Platform.Kvm;
using Runsc.Platform.Kvm.Abi;
using Xunit;

namespace Runsc.Tests.Abi;

/// <summary>The structures and numbers of Platform/Kvm/Abi against linux/kvm.h.</summary>
public sealed class KvmAbiTests
{
    private const uint None = 0;
    private const uint Write = 1;
    private const uint Read = 2;

    /// <summary>C name of each structure, and of the fields whose names are not the snake case of ours.</summary>
    private static readonly (Type Type, string CName, Dictionary<string, string> Fields)[] s_structures =
    [
        (typeof(KvmRegs), "kvm_regs", []),
        (typeof(KvmSegment), "kvm_segment", []),
        (typeof(KvmDtable), "kvm_dtable", []),
        (typeof(KvmSregs), "kvm_sregs", []),
        (typeof(KvmMsrEntry), "kvm_msr_entry", []),
        (typeof(KvmXcr), "kvm_xcr", []),
        (typeof(KvmXcrs), "kvm_xcrs", new() { ["Xcr0"] = "xcrs[0]", ["OtherXcrs"] = "xcrs[1]" }),
        (typeof(KvmCpuidEntry2), "kvm_cpuid_entry2", []),
        (typeof(KvmUserspaceMemoryRegion), "kvm_userspace_memory_region", []),
        (typeof(KvmDeviceAttr), "kvm_device_attr", []),
        (typeof(KvmVcpuEvents), "kvm_vcpu_events", new()
        {
            ["ExceptionInjected"] = "exception.injected", ["ExceptionNr"] = "exception.nr", ["ExceptionHasErrorCode"] = "exception.has_error_code",
            ["ExceptionPending"] = "exception.pending", ["ExceptionErrorCode"] = "exception.error_code",
            ["InterruptInjected"] = "interrupt.injected", ["InterruptNr"] = "interrupt.nr", ["InterruptSoft"] = "interrupt.soft",
            ["InterruptShadow"] = "interrupt.shadow", ["NmiInjected"] = "nmi.injected", ["NmiPending"] = "nmi.pending", ["NmiMasked"] = "nmi.masked",
            ["NmiPad"] = "nmi.pad", ["SmiSmm"] = "smi.smm", ["SmiPending"] = "smi.pending", ["SmiInsideNmi"] = "smi.smm_inside_nmi",
            ["SmiLatchedInit"] = "smi.latched_init", ["TripleFaultPending"] = "triple_fault.pending",
        }),
        (typeof(KvmRun), "kvm_run", new()
        {
            ["FailEntryReason"] = "fail_entry.hardware_entry_failure_reason", ["IoDirection"] = "io.direction", ["IoSize"] = "io.size",
            ["IoPort"] = "io.port", ["IoCount"] = "io.count", ["MmioAddress"] = "mmio.phys_addr", ["MmioLength"] = "mmio.len",
            ["MmioIsWrite"] = "mmio.is_write", ["InternalSuberror"] = "internal.suberror", ["ValidRegs"] = "kvm_valid_regs",
            ["DirtyRegs"] = "kvm_dirty_regs", ["Regs"] = "s.regs.regs", ["Sregs"] = "s.regs.sregs", ["Events"] = "s.regs.events",
        }),
    ];

    [Theory]
    [InlineData(nameof(KvmNumbers.KVM_GET_API_VERSION), None, 0x00, 0)]
    [InlineData(nameof(KvmNumbers.KVM_CREATE_VM), None, 0x01, 0)]
    [InlineData(nameof(KvmNumbers.KVM_CHECK_EXTENSION), None, 0x03, 0)]
    [InlineData(nameof(KvmNumbers.KVM_GET_VCPU_MMAP_SIZE), None, 0x04, 0)]
    [InlineData(nameof(KvmNumbers.KVM_GET_SUPPORTED_CPUID), Read | Write, 0x05, KvmCpuid2.HeaderSizeInBytes)]
    [InlineData(nameof(KvmNumbers.KVM_CREATE_VCPU), None, 0x41, 0)]
    [InlineData(nameof(KvmNumbers.KVM_SET_USER_MEMORY_REGION), Write, 0x46, KvmUserspaceMemoryRegion.SizeInBytes)]
    [InlineData(nameof(KvmNumbers.KVM_SET_TSS_ADDR), None, 0x47, 0)]
    [InlineData(nameof(KvmNumbers.KVM_RUN), None, 0x80, 0)]
    [InlineData(nameof(KvmNumbers.KVM_GET_REGS), Read, 0x81, KvmRegs.SizeInBytes)]
    [InlineData(nameof(KvmNumbers.KVM_GET_SREGS), Read, 0x83, KvmSregs.SizeInBytes)]
    [InlineData(nameof(KvmNumbers.KVM_SET_SREGS), Write, 0x84, KvmSregs.SizeInBytes)]
    [InlineData(nameof(KvmNumbers.KVM_SET_MSRS), Write, 0x89, KvmMsrs.HeaderSizeInBytes)]
    [InlineData(nameof(KvmNumbers.KVM_SET_SIGNAL_MASK), Write, 0x8b, KvmSignalMask.HeaderSizeInBytes)]
    [InlineData(nameof(KvmNumbers.KVM_SET_CPUID2), Write, 0x90, KvmCpuid2.HeaderSizeInBytes)]
    [InlineData(nameof(KvmNumbers.KVM_GET_VCPU_EVENTS), Read, 0x9f, KvmVcpuEvents.SizeInBytes)]
    [InlineData(nameof(KvmNumbers.KVM_SET_VCPU_EVENTS), Write, 0xa0, KvmVcpuEvents.SizeInBytes)]
    [InlineData(nameof(KvmNumbers.KVM_GET_TSC_KHZ), None, 0xa3, 0)]
    [InlineData(nameof(KvmNumbers.KVM_GET_XSAVE), Read, 0xa4, 4096)]
    [InlineData(nameof(KvmNumbers.KVM_SET_XSAVE), Write, 0xa5, 4096)]
    [InlineData(nameof(KvmNumbers.KVM_SET_XCRS), Write, 0xa7, KvmXcrs.SizeInBytes)]
    [InlineData(nameof(KvmNumbers.KVM_SET_DEVICE_ATTR), Write, 0xe1, KvmDeviceAttr.SizeInBytes)]
    [InlineData(nameof(KvmNumbers.KVM_GET_DEVICE_ATTR), Write, 0xe2, KvmDeviceAttr.SizeInBytes)]
    [InlineData(nameof(KvmNumbers.KVM_HAS_DEVICE_ATTR), Write, 0xe3, KvmDeviceAttr.SizeInBytes)]
    public void IoctlNumber_IsDirectionSizeTypeAndNumber(string name, uint direction, uint number, int size)
    {
        uint expected = (direction << 30) | ((uint)size << 16) | 0xae00 | number;
        Assert.Equal(expected, Constant<uint>(name));
    }

    [Fact]
    public void EveryIoctlNumber_IsChecked()
    {
        IEnumerable<string> numbers = typeof(KvmNumbers).GetFields()
            .Where(field => field.FieldType == typeof(uint) && ((uint)field.GetRawConstantValue()! & 0xff00) == 0xae00)
            .Select(field => field.Name);
        MethodInfo theory = typeof(KvmAbiTests).GetMethod(nameof(IoctlNumber_IsDirectionSizeTypeAndNumber))!;
        IEnumerable<string> tested = theory.GetCustomAttributesData().Where(data => data.AttributeType == typeof(InlineDataAttribute))
            .Select(data => (string)((IReadOnlyList<CustomAttributeTypedArgument>)data.ConstructorArguments[0].Value!)[0].Value!);
        Assert.Equal(numbers.Order(), tested.Order());
    }

    [Fact]
    public unsafe void SizeInBytes_IsTheSize()
    {
        Assert.Equal(KvmRegs.SizeInBytes, sizeof(KvmRegs));
        Assert.Equal(KvmSegment.SizeInBytes, sizeof(KvmSegment));
        Assert.Equal(KvmDtable.SizeInBytes, sizeof(KvmDtable));
        Assert.Equal(KvmSregs.SizeInBytes, sizeof(KvmSregs));
        Assert.Equal(KvmVcpuEvents.SizeInBytes, sizeof(KvmVcpuEvents));
        Assert.Equal(KvmMsrEntry.SizeInBytes, sizeof(KvmMsrEntry));
        Assert.Equal(KvmXcr.SizeInBytes, sizeof(KvmXcr));
        Assert.Equal(KvmXcrs.SizeInBytes, sizeof(KvmXcrs));
        Assert.Equal(KvmCpuidEntry2.SizeInBytes, sizeof(KvmCpuidEntry2));
        Assert.Equal(KvmUserspaceMemoryRegion.SizeInBytes, sizeof(KvmUserspaceMemoryRegion));
        Assert.Equal(KvmDeviceAttr.SizeInBytes, sizeof(KvmDeviceAttr));
        Assert.Equal(KvmSignalMask.SizeInBytes, sizeof(KvmSignalMask));
        Assert.Equal(KvmRun.SizeInBytes, sizeof(KvmRun));
        Assert.Equal(KvmMsrs.HeaderSizeInBytes + (KvmMsrs.Capacity * KvmMsrEntry.SizeInBytes), sizeof(KvmMsrs));
        Assert.Equal(KvmCpuid2.HeaderSizeInBytes + (KvmCpuid2.Capacity * KvmCpuidEntry2.SizeInBytes), sizeof(KvmCpuid2));
    }

    /// <summary>gcc checks every offset, size and number against the installed header.</summary>
    [Fact]
    public void Header_AgreesOnEveryFieldAndNumber()
    {
        if (!File.Exists("/usr/include/linux/kvm.h") || !File.Exists("/usr/bin/gcc"))
        {
            return;
        }

        var source = new StringBuilder("#include <stddef.h>\n#include <linux/kvm.h>\n");
        foreach ((Type type, string cName, Dictionary<string, string> fields) in s_structures)
        {
            foreach (FieldInfo field in type.GetFields(BindingFlags.Instance | BindingFlags.Public))
            {
                string cField = fields.GetValueOrDefault(field.Name) ?? SnakeCase(field.Name);
                source.AppendLine($"_Static_assert(offsetof(struct {cName}, {cField}) == {Marshal.OffsetOf(type, field.Name)}, \"{type.Name}.{field.Name}\");");
            }
        }

        foreach (FieldInfo constant in typeof(KvmNumbers).GetFields())
        {
            // The header of an older kernel may lack the newest numbers.
            source.AppendLine($"#ifdef {constant.Name}\n_Static_assert({constant.Name} == {constant.GetRawConstantValue()}ull, \"{constant.Name}\");\n#endif");
        }

        (int status, string output) = Compile(source.ToString());
        Assert.True(status == 0, output);
    }

    [Fact]
    public unsafe void EveryCall_OnABadDescriptor_ReportsEbadf()
    {
        ulong word = 0;
        Assert.Equal(-KvmCalls.EBADF, KvmCalls.Ioctl(-1, KvmNumbers.KVM_RUN, 0));
        Assert.Equal(-KvmCalls.EBADF, KvmCalls.Ioctl(-1, KvmNumbers.KVM_SET_DEVICE_ATTR, &word));
        Assert.Equal(-KvmCalls.EBADF, KvmCalls.Mmap(4096, KvmCalls.PROT_READ, KvmCalls.MAP_SHARED, -1, 0));
        Assert.Equal(-KvmCalls.EBADF, KvmCalls.Close(-1));
        Assert.Equal(-KvmCalls.EINVAL, KvmCalls.Munmap(1, 4096));
        Assert.Equal(-KvmCalls.EINVAL, KvmCalls.Madvise(1, 4096, KvmCalls.MADV_DONTNEED));
        Assert.Equal(-KvmCalls.ESRCH, KvmCalls.Tgkill(int.MaxValue, KvmPlatform.KickSignal));
        Assert.Equal(-KvmCalls.EAGAIN, KvmCalls.ConsumeSignal(KvmPlatform.KickSignal));
    }

    [Fact]
    public void OpenDevice_WhatIsNotThere_SaysSo()
    {
        PlatformException e = Assert.Throws<PlatformException>(() => KvmRequirements.OpenDevice("/nonexistent/kvm"));
        Assert.Contains("/nonexistent/kvm does not exist", e.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', e.Message);
    }

    [Fact]
    public void Create_OnAnotherDescriptor_SaysSo()
    {
        using FileStream file = File.OpenRead("/dev/null");
        PlatformException e = Assert.Throws<PlatformException>(() => KvmPlatform.Create((int)file.SafeFileHandle.DangerousGetHandle()));
        Assert.Contains("not /dev/kvm", e.Message, StringComparison.Ordinal);
        e = Assert.Throws<PlatformException>(() => KvmPlatform.Create(-1));
        Assert.Contains("errno 9", e.Message, StringComparison.Ordinal);
    }

    private static T Constant<T>(string name) => (T)typeof(KvmNumbers).GetField(name)!.GetRawConstantValue()!;

    private static string SnakeCase(string name)
    {
        var text = new StringBuilder();
        foreach (char c in name)
        {
            if (char.IsUpper(c) && text.Length > 0)
            {
                text.Append('_');
            }

            text.Append(char.ToLowerInvariant(c));
        }

        return text.ToString();
    }

    private static (int Status, string Output) Compile(string source)
    {
        using var gcc = new System.Diagnostics.Process();
        gcc.StartInfo = new System.Diagnostics.ProcessStartInfo("/usr/bin/gcc", ["-xc", "-fsyntax-only", "-"])
        {
            RedirectStandardInput = true, RedirectStandardError = true,
        };
        gcc.Start();
        gcc.StandardInput.Write(source);
        gcc.StandardInput.Close();
        string output = gcc.StandardError.ReadToEnd();
        gcc.WaitForExit();
        return (gcc.ExitCode, output);
    }
}
