using Runsc.NetStack;
using Runsc.NetStack.Core;

namespace Runsc.Sentry.Sockets.Inet;

/// <summary>127.0.0.1/8 and ::1, which Linux gives to the loopback interface when it goes up.</summary>
internal static class LoopbackAddresses
{
    /// <summary>Puts an interface up or down. Under the stack's lock.</summary>
    public static void SetUp(NetworkStack stack, NetworkInterface found, bool up)
    {
        stack.SetUp(found, up);
        if (up && found.IsLoopback)
        {
            Ensure(stack, found);
        }
    }

    private static void Ensure(NetworkStack stack, NetworkInterface loopback)
    {
        bool hasV4 = false, hasV6 = false;
        foreach (InterfaceAddress address in loopback.Addresses)
        {
            hasV4 |= address.Address.IsV4;
            hasV6 |= !address.Address.IsV4;
        }

        if (!hasV4)
        {
            _ = stack.AddAddress(new InterfaceAddress(loopback, IpAddress.LoopbackV4, 8) { Scope = NetworkStack.ScopeHost, Label = loopback.Name });
        }

        if (!hasV6)
        {
            _ = stack.AddAddress(new InterfaceAddress(loopback, IpAddress.LoopbackV6, 128) { Scope = NetworkStack.ScopeHost }, noDad: true);
        }
    }
}
