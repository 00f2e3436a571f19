using Runsc.NetStack;
using Runsc.NetStack.Buffers;
using Runsc.NetStack.Core;
using Runsc.NetStack.Link;
using Xunit;

namespace Runsc.Tests.Support;

/// <summary>A network stack that runs in real time, with lo up, as the first namespace of a sandbox has it.</summary>
internal static class HostStack
{
    public static NetworkStack Create()
    {
        NetworkStack stack = new(new HostNetClock(), new HostNetRandom(), new BufferPool());
        using (stack.Enter())
        {
            stack.AddTcp();
            Assert.Equal(NetError.None, stack.AddInterface("lo", new LoopbackDevice(), out NetworkInterface? lo));
            stack.SetUp(lo!, up: true);
            stack.AddAddress(new InterfaceAddress(lo!, IpAddress.LoopbackV4, 8) { Scope = NetworkStack.ScopeHost, Label = "lo" });
            stack.AddAddress(new InterfaceAddress(lo!, IpAddress.LoopbackV6, 128) { Scope = NetworkStack.ScopeHost });
        }

        new TimerThread(stack).Start();
        return stack;
    }
}
