using Runsc.Linux;
using Runsc.NetStack.Core;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Sockets.Inet;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.Sockets.Netlink;

/// <summary>RTM_NEWNSID and RTM_GETNSID: the numbers by which a namespace knows others.</summary>
internal static class NamespaceNumbers
{
    // struct rtgenmsg, padded; NETNSA_*.
    private const int HeaderSize = 4, Number = 1, Process = 2, File = 3, NewNumber = 88;

    /// <summary>Takes the stack's lock, but not while another namespace may be made ready.</summary>
    public static Errno Answer(ICaller caller, NetworkStack stack, in NetlinkRequest request, bool isDump, NetlinkWriter writer)
    {
        if (isDump && request.Type != NewNumber)
        {
            using (stack.Enter())
            {
                stack.ForEachPeer(number => Write(number, NetlinkWriter.Multi, writer));
            }

            return Errno.None;
        }

        Errno error = LinkNamespace.Find(caller, request.Attribute(HeaderSize, Process), request.Attribute(HeaderSize, File), out NetworkNamespace? other);
        bool hasNumber = request.TryGetNumber(HeaderSize, Number, out uint wanted);
        if (error != Errno.None || other is null || (request.Type == NewNumber && !hasNumber))
        {
            other?.DecUsers();
            return error != Errno.None ? error : Errno.EINVAL;
        }

        NetworkStack peer = ((NetNamespace)other).Inet.Stack;
        using (stack.Enter())
        {
            if (request.Type == NewNumber)
            {
                error = NetErrors.ToErrno(stack.NamePeer(peer, unchecked((int)wanted)));
            }
            else
            {
                Write(stack.PeerNumber(peer, assigns: false), 0, writer);
            }
        }

        other.DecUsers();
        return error;
    }

    private static void Write(int number, int flags, NetlinkWriter writer)
    {
        writer.Begin(NewNumber, flags);
        writer.Add(0u);
        writer.Attribute(Number, unchecked((uint)number));
        writer.End();
    }
}
