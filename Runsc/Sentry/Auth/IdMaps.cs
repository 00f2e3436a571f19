namespace Runsc.Sentry.Auth;

/// <summary>
/// What /proc/PID/uid_map and gid_map tell of the user namespace that a container was made with (user_namespaces(7)). Ids of files are mapped by the gofer; the kernel
/// itself has no other ids than those inside.
/// </summary>
internal sealed record IdMaps(string Users, string Groups)
{
    private const string All = "         0          0 4294967295\n";

    public static IdMaps None { get; } = new(All, All);
}
