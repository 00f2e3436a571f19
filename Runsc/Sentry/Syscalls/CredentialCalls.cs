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

    private static long GetUid(Task task, in SyscallArguments a) => Users(task).Shown(task.Credentials.RealUid);

    private static long GetEuid(Task task, in SyscallArguments a) => Users(task).Shown(task.Credentials.EffectiveUid);

    private static long GetGid(Task task, in SyscallArguments a) => Groups(task).Shown(task.Credentials.RealGid);

    private static long GetEgid(Task task, in SyscallArguments a) => Groups(task).Shown(task.Credentials.EffectiveGid);

    private static IdMap Users(Task task) => task.Credentials.UserNamespace.Uids;

    private static IdMap Groups(Task task) => task.Credentials.UserNamespace.Gids;

    /// <summary>An id that a caller gives, as the kernel has it: false for one that is not mapped; −1 stays.</summary>
    private static bool TryMap(IdMap map, uint id, out uint kernelId)
    {
        kernelId = map.ToKernel(id);
        return id == Unchanged || kernelId != IdMap.Invalid;
    }

    private static long GetResUid(Task task, in SyscallArguments a)
    {
        Credentials c = task.Credentials;
        return CopyThree(task, a, Users(task), c.RealUid, c.EffectiveUid, c.SavedUid);
    }

    private static long GetResGid(Task task, in SyscallArguments a)
    {
        Credentials c = task.Credentials;
        return CopyThree(task, a, Groups(task), c.RealGid, c.EffectiveGid, c.SavedGid);
    }

    private static long CopyThree(Task task, in SyscallArguments a, IdMap map, uint real, uint effective, uint saved)
    {
        bool written = task.Memory.CopyOut(a.A0, map.Shown(real)) == Errno.None && task.Memory.CopyOut(a.A1, map.Shown(effective)) == Errno.None
            && task.Memory.CopyOut(a.A2, map.Shown(saved)) == Errno.None;
        return written ? 0 : -(long)Errno.EFAULT;
    }

    private static long SetUid(Task task, in SyscallArguments a)
    {
        uint uid = Users(task).ToKernel(a.UInt0);
        Credentials old = task.Credentials;
        if (uid == IdMap.Invalid)
        {
            return -(long)Errno.EINVAL;
        }

        if (old.HasOwnCapability(Capability.CAP_SETUID))
        {
            return Adopt(task, old, old with { RealUid = uid, EffectiveUid = uid, SavedUid = uid, FsUid = uid });
        }

        return uid == old.RealUid || uid == old.SavedUid ? Adopt(task, old, old with { EffectiveUid = uid, FsUid = uid }) : -(long)Errno.EPERM;
    }

    private static long SetReUid(Task task, in SyscallArguments a)
    {
        Credentials old = task.Credentials;
        if (!TryMap(Users(task), a.UInt0, out uint real) || !TryMap(Users(task), a.UInt1, out uint effective))
        {
            return -(long)Errno.EINVAL;
        }

        bool privileged = old.HasOwnCapability(Capability.CAP_SETUID);
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
        if (!TryMap(Users(task), a.UInt0, out uint real) || !TryMap(Users(task), a.UInt1, out uint effective) || !TryMap(Users(task), a.UInt2, out uint saved))
        {
            return -(long)Errno.EINVAL;
        }

        if (!old.HasOwnCapability(Capability.CAP_SETUID))
        {
            foreach (uint id in (ReadOnlySpan<uint>)[real, effective, saved])
            {
                if (id != Unchanged && id != old.RealUid && id != old.EffectiveUid && id != old.SavedUid)
                {
                    return -(long)Errno.EPERM;
                }
            }
        }

        effective = effective == Unchanged ? old.EffectiveUid : effective;
        return Adopt(task, old, old with
        {
            RealUid = real == Unchanged ? old.RealUid : real,
            EffectiveUid = effective,
            SavedUid = saved == Unchanged ? old.SavedUid : saved,
            FsUid = effective,
        });
    }

    private static long SetFsUid(Task task, in SyscallArguments a)
    {
        Credentials old = task.Credentials;
        uint uid = Users(task).ToKernel(a.UInt0), root = old.RootUid;
        bool allowed = uid == old.RealUid || uid == old.EffectiveUid || uid == old.SavedUid || uid == old.FsUid || old.HasOwnCapability(Capability.CAP_SETUID);
        if (uid != IdMap.Invalid && allowed && uid != old.FsUid)
        {
            ulong effective = old.Effective;
            if ((old.SecureBits & Prctl.SECBIT_NO_SETUID_FIXUP) == 0)
            {
                if (old.FsUid == root)
                {
                    effective &= ~FileCapabilities;
                }
                else if (uid == root)
                {
                    effective |= old.Permitted & FileCapabilities;
                }
            }

            task.Credentials = old with { FsUid = uid, Effective = effective };
        }

        return Users(task).Shown(old.FsUid);
    }

    /// <summary>Capabilities follow user ids (capabilities(7), "Effect of user ID changes on capabilities").</summary>
    private static long Adopt(Task task, Credentials old, Credentials updated)
    {
        if ((old.SecureBits & Prctl.SECBIT_NO_SETUID_FIXUP) == 0)
        {
            uint root = old.RootUid;
            bool wasRoot = old.RealUid == root || old.EffectiveUid == root || old.SavedUid == root;
            bool isRoot = updated.RealUid == root || updated.EffectiveUid == root || updated.SavedUid == root;
            if (wasRoot && !isRoot)
            {
                bool keep = (old.SecureBits & Prctl.SECBIT_KEEP_CAPS) != 0;
                updated = updated with { Permitted = keep ? updated.Permitted : 0, Effective = keep ? updated.Effective : 0, Ambient = 0 };
            }

            if (old.EffectiveUid == root && updated.EffectiveUid != root)
            {
                updated = updated with { Effective = 0 };
            }
            else if (old.EffectiveUid != root && updated.EffectiveUid == root)
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
        uint gid = Groups(task).ToKernel(a.UInt0);
        Credentials old = task.Credentials;
        if (gid == IdMap.Invalid)
        {
            return -(long)Errno.EINVAL;
        }

        if (old.HasOwnCapability(Capability.CAP_SETGID))
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
        Credentials old = task.Credentials;
        if (!TryMap(Groups(task), a.UInt0, out uint real) || !TryMap(Groups(task), a.UInt1, out uint effective))
        {
            return -(long)Errno.EINVAL;
        }

        bool privileged = old.HasOwnCapability(Capability.CAP_SETGID);
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
        if (!TryMap(Groups(task), a.UInt0, out uint real) || !TryMap(Groups(task), a.UInt1, out uint effective) || !TryMap(Groups(task), a.UInt2, out uint saved))
        {
            return -(long)Errno.EINVAL;
        }

        if (!old.HasOwnCapability(Capability.CAP_SETGID))
        {
            foreach (uint id in (ReadOnlySpan<uint>)[real, effective, saved])
            {
                if (id != Unchanged && id != old.RealGid && id != old.EffectiveGid && id != old.SavedGid)
                {
                    return -(long)Errno.EPERM;
                }
            }
        }

        effective = effective == Unchanged ? old.EffectiveGid : effective;
        Store(task, old, old with
        {
            RealGid = real == Unchanged ? old.RealGid : real,
            EffectiveGid = effective,
            SavedGid = saved == Unchanged ? old.SavedGid : saved,
            FsGid = effective,
        });
        return 0;
    }

    private static long SetFsGid(Task task, in SyscallArguments a)
    {
        Credentials old = task.Credentials;
        uint gid = Groups(task).ToKernel(a.UInt0);
        bool allowed = gid == old.RealGid || gid == old.EffectiveGid || gid == old.SavedGid || gid == old.FsGid || old.HasOwnCapability(Capability.CAP_SETGID);
        if (gid != IdMap.Invalid && allowed && gid != old.FsGid)
        {
            Store(task, old, old with { FsGid = gid });
        }

        return Groups(task).Shown(old.FsGid);
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

        if (task.Credentials.UserNamespace != UserNamespace.Initial)
        {
            groups = Array.ConvertAll(groups, Groups(task).Shown);
        }

        ReadOnlySpan<byte> bytes = MemoryMarshal.AsBytes(groups.AsSpan());
        return task.Memory.CopyOut(a.A1, bytes) == bytes.Length ? groups.Length : -(long)Errno.EFAULT;
    }

    private static long SetGroups(Task task, in SyscallArguments a)
    {
        if (!task.Credentials.HasOwnCapability(Capability.CAP_SETGID) || !task.Credentials.UserNamespace.MaySetGroups)
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

        IdMap map = Groups(task);
        foreach (ref uint group in groups.AsSpan())
        {
            group = map.ToKernel(group);
            if (group == IdMap.Invalid)
            {
                return -(long)Errno.EINVAL;
            }
        }

        Array.Sort(groups);
        task.Credentials = task.Credentials with { Groups = groups };
        return 0;
    }
}
