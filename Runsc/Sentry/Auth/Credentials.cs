using System;
using Runsc.Linux;

namespace Runsc.Sentry.Auth;

/// <summary>The credentials of a task (credentials(7), capabilities(7)). Immutable: a change makes a new object.</summary>
/// <remarks>Ids are those of the kernel: of the initial user namespace. What applications see and give goes through the maps of <see cref="UserNamespace"/>.</remarks>
internal sealed record Credentials
{
    /// <summary>All capabilities that there are.</summary>
    public const ulong AllCapabilities = (1UL << (Capability.CAP_LAST_CAP + 1)) - 1;

    /// <summary>Where the capabilities count.</summary>
    public UserNamespace UserNamespace { get; init; } = UserNamespace.Initial;

    public uint RealUid { get; init; }
    public uint EffectiveUid { get; init; }
    public uint SavedUid { get; init; }
    public uint FsUid { get; init; }
    public uint RealGid { get; init; }
    public uint EffectiveGid { get; init; }
    public uint SavedGid { get; init; }
    public uint FsGid { get; init; }

    /// <summary>Supplementary groups. Never changed in place.</summary>
    public uint[] Groups { get; init; } = [];

    // Capability sets as bit masks, bit N being capability N.
    public ulong Permitted { get; init; }
    public ulong Effective { get; init; }
    public ulong Inheritable { get; init; }
    public ulong Bounding { get; init; }
    public ulong Ambient { get; init; }

    /// <summary>SECBIT_* flags of prctl(PR_SET_SECUREBITS).</summary>
    public uint SecureBits { get; init; }

    public bool NoNewPrivileges { get; init; }

    /// <summary>Root's kernel id in the namespace; <see cref="IdMap.Invalid"/>, which nobody has, where it is not mapped.</summary>
    public uint RootUid => UserNamespace.Uids.ToKernel(0);

    /// <summary>In the initial user namespace, for what belongs to the whole system (Linux: capable).</summary>
    public bool HasCapability(int capability) => HasOwnCapability(capability) && UserNamespace == UserNamespace.Initial;

    /// <summary>In the caller's own user namespace.</summary>
    public bool HasOwnCapability(int capability) => (Effective >> capability & 1) != 0;

    /// <summary>For what belongs to a user namespace (Linux: ns_capable): who has it there, or in an ancestor; and who made the namespace has all from outside.</summary>
    public bool HasCapability(int capability, UserNamespace target)
    {
        for (UserNamespace at = target; ; at = at.Parent!)
        {
            if (at == UserNamespace)
            {
                return HasOwnCapability(capability);
            }

            if (at.Level <= UserNamespace.Level)
            {
                return false;
            }

            if (at.Parent == UserNamespace && at.OwnerUid == EffectiveUid)
            {
                return true;
            }
        }
    }

    /// <summary>For a file with an owner: the own capability, where both its ids are mapped (Linux: capable_wrt_inode_uidgid).</summary>
    public bool HasCapability(int capability, uint fileUid, uint fileGid) =>
        HasOwnCapability(capability)
        && (UserNamespace == UserNamespace.Initial || (UserNamespace.Uids.Has(fileUid) && UserNamespace.Gids.Has(fileGid)));

    public bool InGroup(uint gid) => gid == FsGid || Array.IndexOf(Groups, gid) >= 0;
}
