using System.Threading;
using Runsc.Common;
using Runsc.Linux;
using Runsc.Sentry.Auth;

namespace Runsc.Sentry.Kernel;

/// <summary>A network namespace (network_namespaces(7)), as tasks carry it; what is in it belongs to the sockets.</summary>
/// <remarks>Its users are tasks, sockets, and open or mounted files that stand for it. With the last one it is taken apart; whoever made it is the first.</remarks>
internal abstract class NetworkNamespace(UserNamespace owner, ulong number) : Namespace(owner, number)
{
    private const int Dead = int.MinValue / 2;

    private int _users = 1;

    public override int Type => Sched.CLONE_NEWNET;

    public override string Kind => "net";

    /// <summary>A new, empty one for CLONE_NEWNET, used by the caller.</summary>
    public abstract NetworkNamespace CreateEmpty(UserNamespace owner);

    public override bool TryIncUsers()
    {
        int users = Volatile.Read(ref _users);
        while (users >= 0)
        {
            int seen = Interlocked.CompareExchange(ref _users, users + 1, users);
            if (seen == users)
            {
                return true;
            }

            users = seen;
        }

        return false;
    }

    /// <summary>Adds a user. Precondition: there is one.</summary>
    public NetworkNamespace IncUsers()
    {
        if (!TryIncUsers())
        {
            Invariant.Fail("a network namespace with no users is used");
        }

        return this;
    }

    public override void DecUsers()
    {
        if (Interlocked.Decrement(ref _users) == 0 && Interlocked.CompareExchange(ref _users, Dead, 0) == 0)
        {
            OnUnused();
        }
    }

    /// <summary>The last user is gone. Any lock may be held, so the work is done elsewhere.</summary>
    protected abstract void OnUnused();
}
