using Runsc.Host.Seccomp;
using Runsc.Linux;
using Runsc.Platform.Kvm.Abi;

namespace Runsc.Platform.Kvm;

/// <summary>What this platform asks of the host once it is up: ioctls of the descriptors that it has.</summary>
internal static class KvmFilter
{
    public static void AddTo(SeccompRules rules) =>
        rules.AllowValues(
            SysNo.ioctl, 1,
            KvmNumbers.KVM_RUN, KvmNumbers.KVM_SET_USER_MEMORY_REGION, KvmNumbers.KVM_CREATE_VCPU, KvmNumbers.KVM_GET_REGS,
            KvmNumbers.KVM_GET_SREGS, KvmNumbers.KVM_SET_SREGS, KvmNumbers.KVM_SET_MSRS, KvmNumbers.KVM_SET_SIGNAL_MASK, KvmNumbers.KVM_SET_CPUID2,
            KvmNumbers.KVM_GET_VCPU_EVENTS, KvmNumbers.KVM_SET_VCPU_EVENTS, KvmNumbers.KVM_GET_TSC_KHZ, KvmNumbers.KVM_GET_XSAVE,
            KvmNumbers.KVM_SET_XSAVE, KvmNumbers.KVM_SET_XCRS, KvmNumbers.KVM_SET_DEVICE_ATTR, KvmNumbers.KVM_HAS_DEVICE_ATTR, KvmNumbers.KVM_CHECK_EXTENSION);
}
