using System.Collections.Generic;

namespace Runsc.NetStack.Core;

/// <summary>What sysctl shows under net. Defaults are those of Linux. Guarded by the stack's lock; single words may be read without it.</summary>
internal sealed class StackParameters
{
    /// <summary>conf.all and conf.default.</summary>
    public InterfaceParameters All { get; } = new();

    public InterfaceParameters Default { get; } = new();

    // Of the interfaces that there are.
    private readonly List<InterfaceParameters> _interfaces = [];

    /// <summary>net.ipv4.ip_forward.</summary>
    public bool Ipv4Forward
    {
        get => All.IsOn(InterfaceSetting.Ipv4Forward);
        set => Set(All, InterfaceSetting.Ipv4Forward, value ? 1 : 0);
    }

    /// <summary>net.ipv6.conf.all.forwarding.</summary>
    public bool Ipv6Forward
    {
        get => All.IsOn(InterfaceSetting.Ipv6Forward);
        set => Set(All, InterfaceSetting.Ipv6Forward, value ? 1 : 0);
    }

    /// <summary>net.ipv4.ip_default_ttl.</summary>
    public byte DefaultTtl { get; set; } = 64;

    /// <summary>net.ipv6.conf.all.disable_ipv6.</summary>
    public bool Ipv6Disabled
    {
        get => All.IsOn(InterfaceSetting.Ipv6Disabled);
        set => Set(All, InterfaceSetting.Ipv6Disabled, value ? 1 : 0);
    }

    /// <summary>net.ipv6.bindv6only.</summary>
    public bool BindV6Only { get; set; }

    /// <summary>net.ipv4.ip_nonlocal_bind.</summary>
    public bool NonLocalBind { get; set; }

    /// <summary>net.ipv4.ip_unprivileged_port_start.</summary>
    public int UnprivilegedPortStart { get; set; } = 1024;

    /// <summary>net.ipv4.ping_group_range: groups that may make ping sockets; nobody while the first is larger.</summary>
    public uint PingGroupFirst { get; set; } = 1;

    public uint PingGroupLast { get; set; }

    /// <summary>net.ipv4.icmp_echo_ignore_all.</summary>
    public bool IgnoreEcho { get; set; }

    /// <summary>net.ipv4.icmp_echo_ignore_broadcasts.</summary>
    public bool IgnoreBroadcastEcho { get; set; } = true;

    /// <summary>net.ipv4.icmp_msgs_per_sec and icmp_msgs_burst: ICMP messages of errors, all receivers together.</summary>
    public int IcmpPerSecond { get; set; } = 1000;

    public int IcmpBurst { get; set; } = 50;

    /// <summary>accept_ra and dad_transmits of all interfaces that there are and that come.</summary>
    public bool AcceptRouterAdvertisements
    {
        set => SetEverywhere(InterfaceSetting.AcceptRouterAdvertisements, value ? 1 : 0);
    }

    public int DadTransmits
    {
        set => SetEverywhere(InterfaceSetting.DadTransmits, value);
    }

    /// <summary>net.core.rmem_default and so on, in bytes.</summary>
    public int DefaultReceiveBuffer { get; set; } = 212992;

    public int MaxReceiveBuffer { get; set; } = 4 << 20;

    public int DefaultSendBuffer { get; set; } = 212992;

    public int MaxSendBuffer { get; set; } = 4 << 20;

    /// <summary>net.core.somaxconn.</summary>
    public int MaxBacklog { get; set; } = 4096;

    /// <summary>A value of one interface, of all, or of those that come. What else changes with it is as in Linux: forwarding and disable_ipv6 of all are everybody's; IPv4's defaults are those of
    /// interfaces that have no value of their own.</summary>
    public void Set(InterfaceParameters target, InterfaceSetting setting, int value)
    {
        bool isWhole = setting is InterfaceSetting.Ipv4Forward or InterfaceSetting.Ipv6Forward or InterfaceSetting.Ipv6Disabled;
        if (target == All && isWhole)
        {
            SetEverywhere(setting, value);
        }
        else if (target == Default && !isWhole && setting < InterfaceSetting.FirstOfIpv6)
        {
            foreach (InterfaceParameters one in _interfaces)
            {
                if (one.Follows(setting))
                {
                    one[setting] = value;
                }
            }

            Default[setting] = value;
        }
        else
        {
            Change(target, setting, value, isOwn: true);
        }
    }

    /// <summary>The settings of a new interface: the defaults.</summary>
    internal InterfaceParameters Add(NetworkInterface owner)
    {
        InterfaceParameters made = new() { Owner = owner };
        made.CopyFrom(Default);
        _interfaces.Add(made);
        return made;
    }

    internal void Remove(InterfaceParameters parameters) => _interfaces.Remove(parameters);

    private void SetEverywhere(InterfaceSetting setting, int value)
    {
        All[setting] = value;
        Default[setting] = value;

        // A copy: addresses may come and go meanwhile, and tell others.
        foreach (InterfaceParameters one in _interfaces.ToArray())
        {
            Change(one, setting, value, isOwn: false);
        }
    }

    private static void Change(InterfaceParameters target, InterfaceSetting setting, int value, bool isOwn)
    {
        bool changes = target[setting] != value;
        if (isOwn)
        {
            target.SetOwn(setting, value);
        }
        else
        {
            target[setting] = value;
        }

        if (setting == InterfaceSetting.Ipv6Disabled && changes)
        {
            target.Owner?.Ipv6Switched();
        }
    }
}
