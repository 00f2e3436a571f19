using System;
using System.Threading;
using Runsc.Linux;

namespace Runsc.Sentry.Auth;

/// <summary>A user namespace (user_namespaces(7)). Ids in the kernel are those of the initial one; capabilities in a namespace mean nothing outside of it and its descendants.</summary>
internal sealed class UserNamespace : Namespace
{
    // Linux: the level of a parent is at most this.
    private const int MaximumLevel = 32;
    private const ulong FirstNumber = 4026531837;

    private static int s_count;

    // Taken to set a map, which is done once, and to take setgroups away.
    private readonly Lock _mu = new();

    private volatile IdMap _uids = IdMap.None;
    private volatile IdMap _gids = IdMap.None;
    private volatile bool _maySetGroups = true;

    private UserNamespace()
        : base(null, FirstNumber)
    {
        _uids = _gids = IdMap.All;
    }

    private UserNamespace(Credentials creator)
        : base(creator.UserNamespace, NewNumber())
    {
        UserNamespace parent = creator.UserNamespace;
        Level = parent.Level + 1;
        OwnerUid = creator.EffectiveUid;
        OwnerGid = creator.EffectiveGid;
        _maySetGroups = parent._maySetGroups;
        CreatorHadSetFcap = creator.HasOwnCapability(Capability.CAP_SETFCAP);
    }

    // A namespace is used by credentials, files and other namespaces; when none of them is there any more, it counts no longer.
    ~UserNamespace() => Interlocked.Decrement(ref s_count);

    /// <summary>That of the containers: its ids are those of the kernel. Its uid_map shows what the specification maps, of which the gofer knows.</summary>
    public static UserNamespace Initial { get; } = new();

    /// <summary>user.max_user_namespaces.</summary>
    public static int MaximumCount { get; set; } = 15_000;

    public override int Type => Sched.CLONE_NEWUSER;

    public override string Kind => "user";

    /// <summary>Null for the initial one.</summary>
    public UserNamespace? Parent => Owner;

    /// <summary>How many ancestors it has.</summary>
    public int Level { get; }

    // Ids of the kernel.
    public uint OwnerUid { get; }
    public uint OwnerGid { get; }

    /// <summary>Who made it could give files capabilities: he may map the parent's user 0, whom programs with such capabilities belong to.</summary>
    public bool CreatorHadSetFcap { get; }

    public IdMap Uids => _uids;

    public IdMap Gids => _gids;

    /// <summary>setgroups(2) is not denied by /proc/PID/setgroups.</summary>
    public bool AllowsSetGroups => _maySetGroups;

    /// <summary>setgroups(2) works: a map of groups is there, too.</summary>
    public bool MaySetGroups => !_gids.IsEmpty && _maySetGroups;

    /// <summary>The credentials of who makes a new namespace, in it: all capabilities, and nothing of what the old ones had (securebits). ENOSPC, EPERM.</summary>
    public static Errno Create(Credentials creator, out Credentials made)
    {
        made = creator;
        UserNamespace parent = creator.UserNamespace;
        if (parent.Level > MaximumLevel)
        {
            return Errno.ENOSPC;
        }

        if (Volatile.Read(ref s_count) >= MaximumCount)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
            if (Volatile.Read(ref s_count) >= MaximumCount)
            {
                return Errno.ENOSPC;
            }
        }

        if (!parent.Uids.Has(creator.EffectiveUid) || !parent.Gids.Has(creator.EffectiveGid))
        {
            return Errno.EPERM;
        }

        Interlocked.Increment(ref s_count);
        made = new UserNamespace(creator).Enter(creator);
        return Errno.None;
    }

    /// <summary>Credentials moved into the namespace, with all capabilities (Linux: set_cred_user_ns).</summary>
    public Credentials Enter(Credentials old) => old with
    {
        UserNamespace = this,
        SecureBits = 0,
        Permitted = Credentials.AllCapabilities,
        Effective = Credentials.AllCapabilities,
        Bounding = Credentials.AllCapabilities,
        Inheritable = 0,
        Ambient = 0,
    };

    /// <summary>Is it <paramref name="ancestor"/> or below it?</summary>
    public bool IsWithin(UserNamespace ancestor)
    {
        UserNamespace? at = this;
        while (at is not null && at != ancestor)
        {
            at = at.Parent;
        }

        return at is not null;
    }

    /// <summary>A write of "allow" or "deny" to /proc/PID/setgroups. EPERM: what is denied stays so, and with a map of groups nothing is denied any more.</summary>
    public Errno SetSetGroups(bool allow)
    {
        lock (_mu)
        {
            if (allow ? !_maySetGroups : !_gids.IsEmpty)
            {
                return Errno.EPERM;
            }

            _maySetGroups = allow;
            return Errno.None;
        }
    }

    /// <summary>A write to /proc/PID/uid_map or gid_map: once only. EINVAL, EPERM.</summary>
    /// <param name="text">What was written.</param>
    /// <param name="isUser">uid_map.</param>
    /// <param name="opener">Who opened the file.</param>
    /// <param name="writer">Who writes: may be another, a program with more rights to whom the file was given.</param>
    public Errno SetMap(ReadOnlySpan<byte> text, bool isUser, Credentials opener, Credentials writer)
    {
        if (Parent is not UserNamespace parent || (opener.UserNamespace != this && opener.UserNamespace != parent))
        {
            return Errno.EPERM;
        }

        lock (_mu)
        {
            if (!(isUser ? _uids : _gids).IsEmpty || !opener.HasCapability(Capability.CAP_SYS_ADMIN, this))
            {
                return Errno.EPERM;
            }

            Errno error = IdMap.Parse(text, out IdMap.Extent[] extents);
            if (error != Errno.None)
            {
                return error;
            }

            if (!MayMap(extents, isUser, opener, writer))
            {
                return Errno.EPERM;
            }

            IdMap outer = isUser ? parent.Uids : parent.Gids;
            foreach (ref IdMap.Extent extent in extents.AsSpan())
            {
                extent.Lower = outer.RangeToKernel(extent.Lower, extent.Count);
                if (extent.Lower == IdMap.Invalid)
                {
                    return Errno.EPERM;
                }
            }

            if (isUser)
            {
                _uids = new IdMap(extents);
            }
            else
            {
                _gids = new IdMap(extents);
            }

            return Errno.None;
        }
    }

    /// <summary>Linux: new_idmap_permitted. Lock held.</summary>
    private bool MayMap(ReadOnlySpan<IdMap.Extent> extents, bool isUser, Credentials opener, Credentials writer)
    {
        UserNamespace parent = Parent!;
        if (isUser && !MayMapRoot(extents, opener))
        {
            return false;
        }

        // One's own id may be mapped without any right; a group only where that gives no way out of groups that take rights away.
        if (extents.Length == 1 && extents[0].Count == 1 && OwnerUid == opener.EffectiveUid
            && (isUser
                ? parent.Uids.ToKernel(extents[0].Lower) == opener.EffectiveUid
                : !_maySetGroups && parent.Gids.ToKernel(extents[0].Lower) == opener.EffectiveGid))
        {
            return true;
        }

        int capability = isUser ? Capability.CAP_SETUID : Capability.CAP_SETGID;
        return writer.HasCapability(capability, parent) && opener.HasCapability(capability, parent);
    }

    private bool MayMapRoot(ReadOnlySpan<IdMap.Extent> extents, Credentials opener)
    {
        bool mapsRoot = false;
        foreach (ref readonly IdMap.Extent extent in extents)
        {
            mapsRoot |= extent.Lower == 0;
        }

        return !mapsRoot || (opener.UserNamespace == this ? CreatorHadSetFcap : opener.HasCapability(Capability.CAP_SETFCAP, Parent!));
    }
}
