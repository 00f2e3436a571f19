using System.Runtime.InteropServices;
using Runsc.Linux;
using Runsc.Sentry.Auth;
using Runsc.Sentry.Kernel.Tasks;

namespace Runsc.Sentry.Syscalls;

/// <summary>capget(2), capset(2).</summary>
internal static unsafe class CapabilityCalls
{
    public static void Register(SyscallTable.Builder b)
    {
        b.Add(SysNo.capget, "capget", &Get, "ptr,ptr");
        b.Add(SysNo.capset, "capset", &Set, "ptr,ptr");
    }

    /// <summary>struct __user_cap_header_struct.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Header
    {
        public uint Version;
        public int ProcessId;
    }

    /// <summary>Two struct __user_cap_data_struct: low and high halves.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Data
    {
        public uint EffectiveLow;
        public uint PermittedLow;
        public uint InheritableLow;
        public uint EffectiveHigh;
        public uint PermittedHigh;
        public uint InheritableHigh;
    }

    /// <summary>The header, with the number of 32-bit words of its version; for an unknown one the kernel's own is stored, as EINVAL or as an answer.</summary>
    private static Errno ReadHeader(Task task, ulong address, out Header header, out int words)
    {
        words = 0;
        if (task.Memory.CopyIn(address, out header) != Errno.None)
        {
            return Errno.EFAULT;
        }

        switch (header.Version)
        {
            case Capability._LINUX_CAPABILITY_VERSION_1:
                words = 1;
                return Errno.None;
            case Capability._LINUX_CAPABILITY_VERSION_2:
            case Capability._LINUX_CAPABILITY_VERSION_3:
                words = 2;
                return Errno.None;
            default:
                return task.Memory.CopyOut(address, (uint)Capability._LINUX_CAPABILITY_VERSION_3) == Errno.None ? Errno.EINVAL : Errno.EFAULT;
        }
    }

    private static long Get(Task task, in SyscallArguments a)
    {
        Errno error = ReadHeader(task, a.A0, out Header header, out int words);
        if (error == Errno.EINVAL && a.A1 == 0)
        {
            return 0;
        }

        if (error != Errno.None)
        {
            return -(long)error;
        }

        if (header.ProcessId < 0)
        {
            return -(long)Errno.EINVAL;
        }

        if (a.A1 == 0)
        {
            return 0;
        }

        Task? target = task;
        if (header.ProcessId != 0)
        {
            lock (task.Kernel.TaskLock)
            {
                target = task.Kernel.FindTaskLocked(header.ProcessId, task.ThreadGroup.Container);
            }
        }

        if (target is null)
        {
            return -(long)Errno.ESRCH;
        }

        Credentials c = target.Credentials;
        Data data = new()
        {
            EffectiveLow = (uint)c.Effective,
            PermittedLow = (uint)c.Permitted,
            InheritableLow = (uint)c.Inheritable,
            EffectiveHigh = (uint)(c.Effective >> 32),
            PermittedHigh = (uint)(c.Permitted >> 32),
            InheritableHigh = (uint)(c.Inheritable >> 32),
        };
        System.ReadOnlySpan<byte> bytes = MemoryMarshal.AsBytes(new System.ReadOnlySpan<Data>(in data))[..(words * 12)];
        return task.Memory.CopyOut(a.A1, bytes) == bytes.Length ? 0 : -(long)Errno.EFAULT;
    }

    private static long Set(Task task, in SyscallArguments a)
    {
        Errno error = ReadHeader(task, a.A0, out Header header, out int words);
        if (error != Errno.None)
        {
            return -(long)error;
        }

        if (header.ProcessId != 0 && header.ProcessId != task.ThreadId)
        {
            return -(long)Errno.EPERM;
        }

        Data data = default;
        System.Span<byte> bytes = MemoryMarshal.AsBytes(new System.Span<Data>(ref data))[..(words * 12)];
        if (task.Memory.CopyIn(a.A1, bytes) != bytes.Length)
        {
            return -(long)Errno.EFAULT;
        }

        const ulong all = Credentials.AllCapabilities;
        ulong effective = (data.EffectiveLow | ((ulong)data.EffectiveHigh << 32)) & all;
        ulong permitted = (data.PermittedLow | ((ulong)data.PermittedHigh << 32)) & all;
        ulong inheritable = (data.InheritableLow | ((ulong)data.InheritableHigh << 32)) & all;
        Credentials old = task.Credentials;
        bool badInheritable = (inheritable & ~(old.Inheritable | old.Bounding)) != 0
            || (!old.HasOwnCapability(Capability.CAP_SETPCAP) && (inheritable & ~(old.Inheritable | old.Permitted)) != 0);
        if (badInheritable || (permitted & ~old.Permitted) != 0 || (effective & ~permitted) != 0)
        {
            return -(long)Errno.EPERM;
        }

        task.Credentials = old with { Effective = effective, Permitted = permitted, Inheritable = inheritable, Ambient = old.Ambient & permitted & inheritable };
        return 0;
    }
}
