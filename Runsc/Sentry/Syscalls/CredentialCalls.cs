using System;
using System.Runtime.InteropServices;
using Runsc.Linux;
using Runsc.Sentry.Auth;
using Runsc.Sentry.Kernel.Tasks;

namespace Runsc.Sentry.Syscalls;

/// <summary>User and group ids (credentials(7), setresuid(2)).</summary>
internal static unsafe class CredentialCalls
{
    private const uint Unchanged = uint.MaxValue;
    private const int MaxGroups = 65536;

    // What a process loses in its effective set when its file system user is no longer 0.
    private const ulong FileCapabilities =
        (1UL << Capability.CAP_CHOWN) | (1UL << Capability.CAP_MKNOD) | (1UL << Capability.CAP_DAC_OVERRIDE) | (1UL << Capability.CAP_DAC_READ_SEARCH)
        | (1UL << Capability.CAP_FOWNER) | (1UL << Capability.CAP_FSETID) | (1UL << Capability.CAP_LINUX_IMMUTABLE) | (1UL << Capability.CAP_MAC_OVERRIDE);

    public static void Register(SyscallTable.Builder b)
    {
        b.Add(SysNo.getuid, "getuid", &GetUid, "");
        b.Add(SysNo.geteuid, "geteuid", &GetEuid, "");
        b.Add(SysNo.getgid, "getgid", &GetGid, "");
        b.Add(SysNo.getegid, "getegid", &GetEgid, "");
        b.Add(SysNo.getresuid, "getresuid", &GetResUid, "ptr,ptr,ptr");
        b.Add(SysNo.getresgid, "getresgid", &GetResGid, "ptr,ptr,ptr");
        b.Add(SysNo.setuid, "setuid", &SetUid, "int");
        b.Add(SysNo.setgid, "setgid", &SetGid, "int");
        b.Add(SysNo.setreuid, "setreuid", &SetReUid, "int,int");
        b.Add(SysNo.setregid, "setregid", &SetReGid, "int,int");
        b.Add(SysNo.setresuid, "setresuid", &SetResUid, "int,int,int");
        b.Add(SysNo.setresgid, "setresgid", &SetResGid, "int,int,int");
        b.Add(SysNo.setfsuid, "setfsuid", &SetFsUid, "int");
        b.Add(SysNo.setfsgid, "setfsgid", &SetFsGid, "int");
        b.Add(SysNo.getgroups, "getgroups", &GetGroups, "int,ptr");
        b.Add(SysNo.setgroups, "setgroups", &SetGroups, "int,ptr");
    }

    private static long GetUid(Task task, in SyscallArguments a) => task.Credentials.RealUid;

    private static long GetEuid(Task task, in SyscallArguments a) => task.Credentials.EffectiveUid;

    private static long GetGid(Task task, in SyscallArguments a) => task.Credentials.RealGid;

    private static long GetEgid(Task task, in SyscallArguments a) => task.Credentials.EffectiveGid;

    private static long GetResUid(Task task, in SyscallArguments a)
    {
        Credentials c = task.Credentials;
        return CopyThree(task, a, c.RealUid, c.EffectiveUid, c.SavedUid);
    }

    private static long GetResGid(Task task, in SyscallArguments a)
    {
        Credentials c = task.Credentials;
        return CopyThree(task, a, c.RealGid, c.EffectiveGid, c.SavedGid);
    }

    private static long CopyThree(Task task, in SyscallArguments a, uint real, uint effective, uint saved)
    {
        bool written = task.Memory.CopyOut(a.A0, real) == Errno.None && task.Memory.CopyOut(a.A1, effective) == Errno.None
            && task.Memory.CopyOut(a.A2, saved) == Errno.None;
        return written ? 0 : -(long)Errno.EFAULT;
    }

    private static long SetUid(Task task, in SyscallArguments a)
    {
        uint uid = a.UInt0;
        Credentials old = task.Credentials;
        if (uid == Unchanged)
        {
            return -(long)Errno.EINVAL;
        }

        if (old.HasCapability(Capability.CAP_SETUID))
        {
            return Adopt(task, old, old with { RealUid = uid, EffectiveUid = uid, SavedUid = uid, FsUid = uid });
        }

        return uid == old.RealUid || uid == old.SavedUid ? Adopt(task, old, old with { EffectiveUid = uid, FsUid = uid }) : -(long)Errno.EPERM;
    }

    private static long SetReUid(Task task, in SyscallArguments a)
    {
        uint real = a.UInt0, effective = a.UInt1;
        Credentials old = task.Credentials;
        bool privileged = old.HasCapability(Capability.CAP_SETUID);
        if (real != Unchanged && real != old.RealUid && real != old.EffectiveUid && !privileged)
        {
            return -(long)Errno.EPERM;
        }

        if (effective != Unchanged && effective != old.RealUid && effective != old.EffectiveUid && effective != old.SavedUid && !privileged)
        {
            return -(long)Errno.EPERM;
        }

        uint newReal = real == Unchanged ? old.RealUid : real;
        uint newEffective = effective == Unchanged ? old.EffectiveUid : effective;
        bool savesEffective = real != Unchanged || (effective != Unchanged && effective != old.RealUid);
        return Adopt(task, old, old with
        {
            RealUid = newReal,
            EffectiveUid = newEffective,
            SavedUid = savesEffective ? newEffective : old.SavedUid,
            FsUid = newEffective,
        });
    }

    private static long SetResUid(Task task, in SyscallArguments a)
    {
        Credentials old = task.Credentials;
        if (!old.HasCapability(Capability.CAP_SETUID))
        {
            foreach (uint id in (ReadOnlySpan<uint>)[a.UInt0, a.UInt1, a.UInt2])
            {
                if (id != Unchanged && id != old.RealUid && id != old.EffectiveUid && id != old.SavedUid)
                {
                    return -(long)Errno.EPERM;
                }
            }
        }

        uint effective = a.UInt1 == Unchanged ? old.EffectiveUid : a.UInt1;
        return Adopt(task, old, old with
        {
            RealUid = a.UInt0 == Unchanged ? old.RealUid : a.UInt0,
            EffectiveUid = effective,
            SavedUid = a.UInt2 == Unchanged ? old.SavedUid : a.UInt2,
            FsUid = effective,
        });
    }

    private static long SetFsUid(Task task, in SyscallArguments a)
    {
        Credentials old = task.Credentials;
        uint uid = a.UInt0;
        bool allowed = uid == old.RealUid || uid == old.EffectiveUid || uid == old.SavedUid || uid == old.FsUid || old.HasCapability(Capability.CAP_SETUID);
        if (uid != Unchanged && allowed && uid != old.FsUid)
        {
            ulong effective = old.Effective;
            if ((old.SecureBits & Prctl.SECBIT_NO_SETUID_FIXUP) == 0)
            {
                if (old.FsUid == 0)
                {
                    effective &= ~FileCapabilities;
                }
                else if (uid == 0)
                {
                    effective |= old.Permitted & FileCapabilities;
                }
            }

            task.Credentials = old with { FsUid = uid, Effective = effective };
        }

        return old.FsUid;
    }

    /// <summary>Capabilities follow user ids (capabilities(7), "Effect of user ID changes on capabilities").</summary>
    private static long Adopt(Task task, Credentials old, Credentials updated)
    {
        if ((old.SecureBits & Prctl.SECBIT_NO_SETUID_FIXUP) == 0)
        {
            bool wasRoot = old.RealUid == 0 || old.EffectiveUid == 0 || old.SavedUid == 0;
            bool isRoot = updated.RealUid == 0 || updated.EffectiveUid == 0 || updated.SavedUid == 0;
            if (wasRoot && !isRoot)
            {
                bool keep = (old.SecureBits & Prctl.SECBIT_KEEP_CAPS) != 0;
                updated = updated with { Permitted = keep ? updated.Permitted : 0, Effective = keep ? updated.Effective : 0, Ambient = 0 };
            }

            if (old.EffectiveUid == 0 && updated.EffectiveUid != 0)
            {
                updated = updated with { Effective = 0 };
            }
            else if (old.EffectiveUid != 0 && updated.EffectiveUid == 0)
            {
                updated = updated with { Effective = updated.Permitted };
            }
        }

        Store(task, old, updated);
        return 0;
    }

    private static void Store(Task task, Credentials old, Credentials updated)
    {
        if (old.EffectiveUid != updated.EffectiveUid || old.EffectiveGid != updated.EffectiveGid || old.FsUid != updated.FsUid || old.FsGid != updated.FsGid)
        {
            task.ThreadGroup.Dumpable = 0;
            task.ParentDeathSignal = 0;
        }

        task.Credentials = updated;
    }

    private static long SetGid(Task task, in SyscallArguments a)
    {
        uint gid = a.UInt0;
        Credentials old = task.Credentials;
        if (gid == Unchanged)
        {
            return -(long)Errno.EINVAL;
        }

        if (old.HasCapability(Capability.CAP_SETGID))
        {
            Store(task, old, old with { RealGid = gid, EffectiveGid = gid, SavedGid = gid, FsGid = gid });
            return 0;
        }

        if (gid != old.RealGid && gid != old.SavedGid)
        {
            return -(long)Errno.EPERM;
        }

        Store(task, old, old with { EffectiveGid = gid, FsGid = gid });
        return 0;
    }

    private static long SetReGid(Task task, in SyscallArguments a)
    {
        uint real = a.UInt0, effective = a.UInt1;
        Credentials old = task.Credentials;
        bool privileged = old.HasCapability(Capability.CAP_SETGID);
        if (real != Unchanged && real != old.RealGid && real != old.EffectiveGid && !privileged)
        {
            return -(long)Errno.EPERM;
        }

        if (effective != Unchanged && effective != old.RealGid && effective != old.EffectiveGid && effective != old.SavedGid && !privileged)
        {
            return -(long)Errno.EPERM;
        }

        uint newEffective = effective == Unchanged ? old.EffectiveGid : effective;
        bool savesEffective = real != Unchanged || (effective != Unchanged && effective != old.RealGid);
        Store(task, old, old with
        {
            RealGid = real == Unchanged ? old.RealGid : real,
            EffectiveGid = newEffective,
            SavedGid = savesEffective ? newEffective : old.SavedGid,
            FsGid = newEffective,
        });
        return 0;
    }

    private static long SetResGid(Task task, in SyscallArguments a)
    {
        Credentials old = task.Credentials;
        if (!old.HasCapability(Capability.CAP_SETGID))
        {
            foreach (uint id in (ReadOnlySpan<uint>)[a.UInt0, a.UInt1, a.UInt2])
            {
                if (id != Unchanged && id != old.RealGid && id != old.EffectiveGid && id != old.SavedGid)
                {
                    return -(long)Errno.EPERM;
                }
            }
        }

        uint effective = a.UInt1 == Unchanged ? old.EffectiveGid : a.UInt1;
        Store(task, old, old with
        {
            RealGid = a.UInt0 == Unchanged ? old.RealGid : a.UInt0,
            EffectiveGid = effective,
            SavedGid = a.UInt2 == Unchanged ? old.SavedGid : a.UInt2,
            FsGid = effective,
        });
        return 0;
    }

    private static long SetFsGid(Task task, in SyscallArguments a)
    {
        Credentials old = task.Credentials;
        uint gid = a.UInt0;
        bool allowed = gid == old.RealGid || gid == old.EffectiveGid || gid == old.SavedGid || gid == old.FsGid || old.HasCapability(Capability.CAP_SETGID);
        if (gid != Unchanged && allowed && gid != old.FsGid)
        {
            Store(task, old, old with { FsGid = gid });
        }

        return old.FsGid;
    }

    private static long GetGroups(Task task, in SyscallArguments a)
    {
        uint[] groups = task.Credentials.Groups;
        if (a.Int0 < 0)
        {
            return -(long)Errno.EINVAL;
        }

        if (a.Int0 == 0)
        {
            return groups.Length;
        }

        if (a.Int0 < groups.Length)
        {
            return -(long)Errno.EINVAL;
        }

        ReadOnlySpan<byte> bytes = MemoryMarshal.AsBytes(groups.AsSpan());
        return task.Memory.CopyOut(a.A1, bytes) == bytes.Length ? groups.Length : -(long)Errno.EFAULT;
    }

    private static long SetGroups(Task task, in SyscallArguments a)
    {
        if (!task.Credentials.HasCapability(Capability.CAP_SETGID))
        {
            return -(long)Errno.EPERM;
        }

        if (a.UInt0 > MaxGroups)
        {
            return -(long)Errno.EINVAL;
        }

        uint[] groups = new uint[a.Int0];
        Span<byte> bytes = MemoryMarshal.AsBytes(groups.AsSpan());
        if (task.Memory.CopyIn(a.A1, bytes) != bytes.Length)
        {
            return -(long)Errno.EFAULT;
        }

        Array.Sort(groups);
        task.Credentials = task.Credentials with { Groups = groups };
        return 0;
    }
}
