using System;
using System.IO;
using Runsc.Control;

namespace Runsc.Container.Network;

/// <summary>Reads what was set below /proc/sys/net of the calling thread's network namespace.</summary>
internal static class HostSysctls
{
    private const string Top = "/proc/sys/net/";

    private static readonly string[] s_single =
    [
        "core/somaxconn", "ipv6/bindv6only", "ipv4/icmp_echo_ignore_all", "ipv4/icmp_echo_ignore_broadcasts", "ipv4/ip_default_ttl", "ipv4/ip_local_port_range",
        "ipv4/ip_nonlocal_bind", "ipv4/ip_unprivileged_port_start", "ipv4/ping_group_range",
    ];

    private static readonly string[] s_ofInterfaces =
    [
        "ipv4/conf/{0}/accept_local", "ipv4/conf/{0}/arp_ignore", "ipv4/conf/{0}/forwarding", "ipv4/conf/{0}/route_localnet", "ipv4/conf/{0}/rp_filter",
        "ipv6/conf/{0}/accept_ra", "ipv6/conf/{0}/autoconf", "ipv6/conf/{0}/forwarding", "ipv6/conf/{0}/hop_limit",
    ];

    /// <summary>Adds the values to what was found; the links are there already.</summary>
    public static void Read(NetworkSetup setup)
    {
        foreach (string path in s_single)
        {
            Take(setup, path);
        }

        // Which of TCP's mean something is the sandbox's business. How much memory there is, is not the namespace's.
        foreach (string path in Directory.EnumerateFiles(Top + "ipv4", "tcp_*"))
        {
            if (!path.EndsWith("/tcp_mem", StringComparison.Ordinal))
            {
                Take(setup, path[Top.Length..]);
            }
        }

        TakeConfiguration(setup, "all");
        TakeConfiguration(setup, "default");
        foreach (LinkSetup link in setup.Links)
        {
            TakeConfiguration(setup, link.Name);
        }
    }

    private static void TakeConfiguration(NetworkSetup setup, string name)
    {
        foreach (string path in s_ofInterfaces)
        {
            Take(setup, path.Replace("{0}", name, StringComparison.Ordinal));
        }
    }

    private static void Take(NetworkSetup setup, string path)
    {
        try
        {
            setup.Sysctls[path] = File.ReadAllText(Top + path).Trim();
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // Not there, or not to be read: tcp_fastopen_key.
        }
    }
}
