namespace Runsc.Platform.Kvm.Abi;

/// <summary>
/// Numbers of linux/kvm.h and asm/kvm.h (x86-64), with their C names. Ioctl numbers are literals; a test recomputes each from its direction,
/// type 0xAE, number and argument size. Only what the platform uses.
/// </summary>
internal static class KvmNumbers
{
    public const int KVM_API_VERSION = 12;

    // Ioctls on /dev/kvm.
    public const uint KVM_GET_API_VERSION = 0xAE00;
    public const uint KVM_CREATE_VM = 0xAE01;
    public const uint KVM_CHECK_EXTENSION = 0xAE03;
    public const uint KVM_GET_VCPU_MMAP_SIZE = 0xAE04;
    public const uint KVM_GET_SUPPORTED_CPUID = 0xC008AE05;

    // Ioctls on a VM.
    public const uint KVM_CREATE_VCPU = 0xAE41;
    public const uint KVM_SET_USER_MEMORY_REGION = 0x4020AE46;
    public const uint KVM_SET_TSS_ADDR = 0xAE47;

    // Ioctls on a vCPU.
    public const uint KVM_RUN = 0xAE80;
    public const uint KVM_GET_REGS = 0x8090AE81;
    public const uint KVM_GET_SREGS = 0x8138AE83;
    public const uint KVM_SET_SREGS = 0x4138AE84;
    public const uint KVM_SET_MSRS = 0x4008AE89;
    public const uint KVM_SET_SIGNAL_MASK = 0x4004AE8B;
    public const uint KVM_SET_CPUID2 = 0x4008AE90;
    public const uint KVM_GET_VCPU_EVENTS = 0x8040AE9F;
    public const uint KVM_SET_VCPU_EVENTS = 0x4040AEA0;
    public const uint KVM_GET_TSC_KHZ = 0xAEA3;
    public const uint KVM_GET_XSAVE = 0x9000AEA4;
    public const uint KVM_SET_XSAVE = 0x5000AEA5;
    public const uint KVM_SET_XCRS = 0x4188AEA7;
    public const uint KVM_SET_DEVICE_ATTR = 0x4018AEE1;
    public const uint KVM_GET_DEVICE_ATTR = 0x4018AEE2;
    public const uint KVM_HAS_DEVICE_ATTR = 0x4018AEE3;

    // KVM_CHECK_EXTENSION.
    public const int KVM_CAP_USER_MEMORY = 3;
    public const int KVM_CAP_NR_MEMSLOTS = 10;
    public const int KVM_CAP_XSAVE = 55;
    public const int KVM_CAP_XCRS = 56;
    public const int KVM_CAP_MAX_VCPUS = 66;
    public const int KVM_CAP_SYNC_REGS = 74;
    public const int KVM_CAP_READONLY_MEM = 81;
    public const int KVM_CAP_IMMEDIATE_EXIT = 136;

    // kvm_run.exit_reason.
    public const uint KVM_EXIT_IO = 2;
    public const uint KVM_EXIT_HLT = 5;
    public const uint KVM_EXIT_MMIO = 6;
    public const uint KVM_EXIT_SHUTDOWN = 8;
    public const uint KVM_EXIT_FAIL_ENTRY = 9;
    public const uint KVM_EXIT_INTR = 10;
    public const uint KVM_EXIT_INTERNAL_ERROR = 17;
    public const uint KVM_EXIT_MEMORY_FAULT = 39;

    // kvm_userspace_memory_region.flags.
    public const uint KVM_MEM_READONLY = 1 << 1;

    // kvm_run.kvm_valid_regs and kvm_dirty_regs.
    public const ulong KVM_SYNC_X86_REGS = 1 << 0;
    public const ulong KVM_SYNC_X86_SREGS = 1 << 1;
    public const ulong KVM_SYNC_X86_EVENTS = 1 << 2;

    // KVM_SET_DEVICE_ATTR on a vCPU.
    public const uint KVM_VCPU_TSC_CTRL = 0;
    public const ulong KVM_VCPU_TSC_OFFSET = 0;
}
