using System;

namespace Runsc.Sentry.Auth;

/// <summary>The credentials of a task (credentials(7), capabilities(7)). Immutable: a change makes a new object.</summary>
internal sealed record Credentials
{
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

    public bool HasCapability(int capability) => (Effective >> capability & 1) != 0;

    public bool InGroup(uint gid) => gid == FsGid || Array.IndexOf(Groups, gid) >= 0;
}
