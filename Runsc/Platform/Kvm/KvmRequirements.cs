using System.Text;
using Runsc.Platform.Kvm.Abi;

namespace Runsc.Platform.Kvm;

/// <summary>What the platform asks of the host's KVM, and the words for what is missing.</summary>
internal static unsafe class KvmRequirements
{
    public const string DevicePath = "/dev/kvm";

    /// <summary>Opens /dev/kvm: a descriptor with O_CLOEXEC.</summary>
    /// <exception cref="PlatformException">It cannot be opened.</exception>
    public static int OpenDevice(string path = DevicePath)
    {
        byte[] name = new byte[Encoding.UTF8.GetByteCount(path) + 1];
        Encoding.UTF8.GetBytes(path, name);
        long fd;
        fixed (byte* pointer = name)
        {
            fd = KvmCalls.OpenReadWrite(pointer);
        }

        return fd switch
        {
            -KvmCalls.ENOENT => throw new PlatformException($"{path} does not exist: the kvm module is not loaded or the device is not visible here"),
            -KvmCalls.ENXIO or -KvmCalls.ENODEV => throw new PlatformException($"{path} has no driver: virtualization is disabled or the kvm module is not loaded"),
            -KvmCalls.EACCES or -KvmCalls.EPERM => throw new PlatformException($"no permission to open {path}: join its group or run as root"),
            < 0 => throw new PlatformException($"cannot open {path} (errno {-fd})"),
            _ => (int)fd,
        };
    }

    /// <summary>Fails with one line if KVM lacks something.</summary>
    public static void Check(int kvmFd)
    {
        long version = KvmCalls.Ioctl(kvmFd, KvmNumbers.KVM_GET_API_VERSION, 0);
        if (version < 0)
        {
            throw new PlatformException($"the descriptor is not {DevicePath} (errno {-version})");
        }

        if (version != KvmNumbers.KVM_API_VERSION)
        {
            throw new PlatformException($"kvm has API version {version}, {KvmNumbers.KVM_API_VERSION} is needed");
        }

        Capability(kvmFd, KvmNumbers.KVM_CAP_USER_MEMORY, 1, "KVM_CAP_USER_MEMORY");
        Capability(kvmFd, KvmNumbers.KVM_CAP_IMMEDIATE_EXIT, 1, "KVM_CAP_IMMEDIATE_EXIT (Linux 4.13)");
        Capability(kvmFd, KvmNumbers.KVM_CAP_READONLY_MEM, 1, "KVM_CAP_READONLY_MEM");
        Capability(kvmFd, KvmNumbers.KVM_CAP_XSAVE, 1, "KVM_CAP_XSAVE");
        Capability(kvmFd, KvmNumbers.KVM_CAP_XCRS, 1, "KVM_CAP_XCRS");
        const ulong Synced = KvmNumbers.KVM_SYNC_X86_REGS | KvmNumbers.KVM_SYNC_X86_SREGS | KvmNumbers.KVM_SYNC_X86_EVENTS;
        Capability(kvmFd, KvmNumbers.KVM_CAP_SYNC_REGS, (long)Synced, "KVM_CAP_SYNC_REGS (Linux 4.17)");
    }

    /// <summary>The result, or a failure that names the call.</summary>
    public static long Require(long result, string call) =>
        result >= 0 ? result : throw new PlatformException($"{call} failed (errno {-result})");

    private static void Capability(int kvmFd, int capability, long bits, string name)
    {
        long value = KvmCalls.Ioctl(kvmFd, KvmNumbers.KVM_CHECK_EXTENSION, capability);
        if (value < 0 || (value & bits) != bits)
        {
            throw new PlatformException($"kvm lacks {name}");
        }
    }
}
