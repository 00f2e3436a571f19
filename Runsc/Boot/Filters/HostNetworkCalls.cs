using System.Collections.Generic;
using Runsc.Host.Seccomp;
using Runsc.Host.Syscalls;
using Runsc.Linux;

namespace Runsc.Boot.Filters;

/// <summary>What the Sentry may ask of the host with --network=host, and only then: TCP, UDP and echo sockets that do not block, with the options of a list.</summary>
internal static class HostNetworkCalls
{
    public static void AddTo(SeccompRules rules)
    {
        const uint kind = Socket.SOCK_NONBLOCK | Socket.SOCK_CLOEXEC;
        foreach (uint family in new uint[] { Socket.AF_INET, Socket.AF_INET6 })
        {
            Allow(Socket.SOCK_STREAM, Socket.IPPROTO_TCP);
            Allow(Socket.SOCK_DGRAM, Socket.IPPROTO_UDP);
            Allow(Socket.SOCK_DGRAM, family == Socket.AF_INET ? Socket.IPPROTO_ICMP : (uint)Socket.IPPROTO_ICMPV6);

            void Allow(uint type, uint protocol) =>
                rules.AllowIf(SysNo.socket, ArgumentCheck.Int32(0, family), ArgumentCheck.Int32(1, type | kind), ArgumentCheck.Int32(2, protocol));
        }

        rules.Allow(SysNo.bind, SysNo.connect, SysNo.listen, SysNo.getsockname, SysNo.getpeername);
        AllowOptions(rules, SysNo.setsockopt, HostInetOptions.Settable);
        AllowOptions(rules, SysNo.getsockopt, HostInetOptions.Settable);
        AllowOptions(rules, SysNo.getsockopt, HostInetOptions.OnlyReadable);
    }

    private static void AllowOptions(SeccompRules rules, int call, IReadOnlyDictionary<int, int[]> options)
    {
        foreach ((int level, int[] names) in options)
        {
            foreach (int name in names)
            {
                rules.AllowIf(call, ArgumentCheck.Int32(1, (uint)level), ArgumentCheck.Int32(2, (uint)name));
            }
        }
    }
}
