using System.Threading;

namespace Runsc.Sentry.Kernel.Tasks;

/// <summary>The user that a login program (pam_loginuid(8)) names for itself and its children, whatever they become later, and a number for the login.</summary>
internal sealed record LoginSession(uint User, uint Number)
{
    /// <summary>AUDIT_UID_UNSET, AUDIT_SID_UNSET.</summary>
    public const uint Unset = uint.MaxValue;

    private static uint s_last;

    /// <summary>Nobody has logged in.</summary>
    public static LoginSession None { get; } = new(Unset, Unset);

    /// <summary>A login of its own; none for <see cref="Unset"/>.</summary>
    public static LoginSession Of(uint user) => user == Unset ? None : new LoginSession(user, Interlocked.Increment(ref s_last));
}
