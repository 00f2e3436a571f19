using System.Threading;

namespace Runsc.Sentry.Auth;

/// <summary>What namespaces of all kinds have in common (namespaces(7); Linux: struct ns_common).</summary>
/// <param name="owner">The user namespace whose capabilities count in it; of a user namespace, its parent.</param>
/// <param name="number">Inode number of its file in /proc/PID/ns.</param>
internal abstract class Namespace(UserNamespace? owner, ulong number)
{
    private static long s_number = 4026532100;

    /// <summary>Of the initial user namespace there is none.</summary>
    public UserNamespace Owner { get; } = owner!;

    public ulong Number { get; } = number;

    /// <summary>CLONE_NEW*.</summary>
    public abstract int Type { get; }

    /// <summary>The name of its file in /proc/PID/ns.</summary>
    public abstract string Kind { get; }

    /// <summary>A number that no other has.</summary>
    protected static ulong NewNumber() => (ulong)Interlocked.Increment(ref s_number);

    /// <summary>Adds a user (a task, an open or mounted file) unless the last one is gone already. Where there is nothing to take apart, users are not counted.</summary>
    public virtual bool TryIncUsers() => true;

    /// <summary>A user goes. Any lock may be held.</summary>
    public virtual void DecUsers()
    {
    }
}

/// <summary>A namespace of which there is only one here: of process ids, control groups, time.</summary>
internal sealed class SingleNamespace(string kind, int type, ulong number) : Namespace(UserNamespace.Initial, number)
{
    public override int Type => type;

    public override string Kind => kind;
}
