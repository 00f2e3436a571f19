using System;
using System.Globalization;
using System.Text;
using Runsc.Linux;
using Runsc.NetStack.Core;
using Runsc.NetStack.Filter.Tracking;
using Runsc.NetStack.Transport.Tcp;
using Runsc.NetStack.Transport.Tcp.Congestion;
using Runsc.Sentry.FileSystems.Pseudo;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Sockets;
using Runsc.Sentry.Sockets.Inet;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.FileSystems.Proc;

/// <summary>/proc/sys/net: those of the network namespace of who reads or writes.</summary>
internal sealed class NetSysctls(PseudoSuperBlock super, SentryKernel kernel)
{
    // More than this no buffer gets, whatever is asked for: queues are the Sentry's own memory.
    private const int LargestBuffer = 16 << 20;
    private const int SmallestBuffer = 2048;

    public PseudoDirectory Create() => new PseudoDirectory(super)
        .Add("core", new PseudoDirectory(super)
            .Add("optmem_max", Fixed("131072"))
            .Add("netdev_max_backlog", Fixed("4096"))
            .Add("rmem_default", Stack(p => p.DefaultReceiveBuffer, null))
            .Add("rmem_max", Stack(p => p.MaxReceiveBuffer, null))
            .Add("somaxconn", new Numbers(this, n => [n.MaximumBacklog], (n, v) => n.MaximumBacklog = (int)v[0], 0, int.MaxValue))
            .Add("wmem_default", Stack(p => p.DefaultSendBuffer, null))
            .Add("wmem_max", Stack(p => p.MaxSendBuffer, null)))
        .Add("ipv4", Ipv4())
        .Add("ipv6", Ipv6())
        .Add("netfilter", Netfilter())
        .Add("unix", new PseudoDirectory(super)
            .Add("max_dgram_qlen", new Numbers(this, n => [n.MaximumDatagrams], (n, v) => n.MaximumDatagrams = (int)v[0], 0, int.MaxValue)));

    private PseudoDirectory Ipv4() => new PseudoDirectory(super)
        .Add("conf", new ConfDirectory(this, isV4: true))
        .Add("icmp_echo_ignore_all", Stack(p => p.IgnoreEcho ? 1 : 0, (p, v) => p.IgnoreEcho = v != 0, 0, 1))
        .Add("icmp_echo_ignore_broadcasts", Stack(p => p.IgnoreBroadcastEcho ? 1 : 0, (p, v) => p.IgnoreBroadcastEcho = v != 0, 0, 1))
        .Add("icmp_msgs_burst", Stack(p => p.IcmpBurst, (p, v) => p.IcmpBurst = (int)v))
        .Add("icmp_msgs_per_sec", Stack(p => p.IcmpPerSecond, (p, v) => p.IcmpPerSecond = (int)v))
        .Add("ip_default_ttl", Stack(p => p.DefaultTtl, (p, v) => p.DefaultTtl = (byte)v, 1, 255))
        .Add("ip_forward", Stack(p => p.Ipv4Forward ? 1 : 0, (p, v) => p.Ipv4Forward = v != 0))
        .Add("ip_local_port_range", new Numbers(this, n => [n.Inet.Stack.Ports.FirstEphemeral, n.Inet.Stack.Ports.LastEphemeral], SetPorts, 1, ushort.MaxValue))
        .Add("ip_nonlocal_bind", Stack(p => p.NonLocalBind ? 1 : 0, (p, v) => p.NonLocalBind = v != 0))
        .Add("ip_unprivileged_port_start", Stack(p => p.UnprivilegedPortStart, (p, v) => p.UnprivilegedPortStart = (int)v, 0, ushort.MaxValue))
        .Add("ping_group_range", new Numbers(this, n => [n.PingGroups.First, n.PingGroups.Last], (n, v) => n.PingGroups = v[0] <= v[1] ? ((uint)v[0], (uint)v[1]) : (1, 0), 0, int.MaxValue))
        .Add("tcp_abort_on_overflow", Tcp(p => p.AbortOnOverflow ? 1 : 0, (p, v) => p.AbortOnOverflow = v != 0))
        .Add("tcp_allowed_congestion_control", Fixed(string.Join(' ', CongestionControl.Names)))
        .Add("tcp_available_congestion_control", Fixed(string.Join(' ', CongestionControl.Names)))
        .Add("tcp_base_mss", Tcp(p => p.BaseMss, (p, v) => p.BaseMss = (int)v, 48, 65535))
        .Add("tcp_congestion_control", new CongestionFile(this))
        .Add("tcp_dsack", Tcp(p => p.DuplicateSack ? 1 : 0, (p, v) => p.DuplicateSack = v != 0, 0, 1))
        .Add("tcp_ecn", Tcp(p => p.Ecn, (p, v) => p.Ecn = (int)v, 0, 2))
        .Add("tcp_fastopen", Tcp(p => p.FastOpen, (p, v) => p.FastOpen = (int)v))
        .Add("tcp_fin_timeout", Tcp(p => p.FinTimeout, (p, v) => p.FinTimeout = (int)v, 1, 3600))
        .Add("tcp_keepalive_intvl", Tcp(p => p.KeepAliveInterval, (p, v) => p.KeepAliveInterval = (int)v, 1, 32767))
        .Add("tcp_keepalive_probes", Tcp(p => p.KeepAliveProbes, (p, v) => p.KeepAliveProbes = (int)v, 1, 127))
        .Add("tcp_keepalive_time", Tcp(p => p.KeepAliveTime, (p, v) => p.KeepAliveTime = (int)v, 1, 32767))
        .Add("tcp_max_orphans", Tcp(p => p.MaxOrphans, null))
        .Add("tcp_max_reordering", Tcp(p => p.MaxReordering, (p, v) => p.MaxReordering = (int)v, 1, 300))
        .Add("tcp_max_syn_backlog", Tcp(p => p.MaxSynBacklog, (p, v) => p.MaxSynBacklog = (int)v, 1, 65535))
        .Add("tcp_max_tw_buckets", Tcp(p => p.MaxTimeWait, (p, v) => p.MaxTimeWait = (int)v, 0, 1 << 18))
        .Add("tcp_moderate_rcvbuf", Tcp(p => p.ModerateReceiveBuffer ? 1 : 0, (p, v) => p.ModerateReceiveBuffer = v != 0, 0, 1))
        .Add("tcp_mtu_probing", Tcp(p => p.MtuProbing, (p, v) => p.MtuProbing = (int)v, 0, 2))
        .Add("tcp_notsent_lowat", Tcp(p => p.NotSentLowWater, (p, v) => p.NotSentLowWater = (uint)v, 0, uint.MaxValue))
        .Add("tcp_orphan_retries", Tcp(p => p.OrphanRetries, (p, v) => p.OrphanRetries = (int)v, 0, 255))
        .Add("tcp_reordering", Tcp(p => p.Reordering, (p, v) => p.Reordering = (int)v, 1, 300))
        .Add("tcp_retries1", Tcp(p => p.Retries1, (p, v) => p.Retries1 = (int)v, 0, 255))
        .Add("tcp_retries2", Tcp(p => p.Retries2, (p, v) => p.Retries2 = (int)v, 0, 255))
        .Add("tcp_rmem", TcpBuffer(
            p => [p.MinimumReceiveBuffer, p.DefaultReceiveBuffer, p.MaximumReceiveBuffer],
            (p, v) => (p.MinimumReceiveBuffer, p.DefaultReceiveBuffer, p.MaximumReceiveBuffer) = ((int)v[0], (int)v[1], (int)v[2])))
        .Add("tcp_sack", Tcp(p => p.Sack ? 1 : 0, (p, v) => p.Sack = v != 0, 0, 1))
        .Add("tcp_slow_start_after_idle", Tcp(p => p.SlowStartAfterIdle ? 1 : 0, (p, v) => p.SlowStartAfterIdle = v != 0, 0, 1))
        .Add("tcp_syn_retries", Tcp(p => p.SynRetries, (p, v) => p.SynRetries = (int)v, 1, 127))
        .Add("tcp_synack_retries", Tcp(p => p.SynAckRetries, (p, v) => p.SynAckRetries = (int)v, 0, 255))
        .Add("tcp_syncookies", Tcp(p => p.SynCookies, (p, v) => p.SynCookies = (int)v, 0, 2))
        .Add("tcp_timestamps", Tcp(p => p.Timestamps ? 1 : 0, (p, v) => p.Timestamps = v != 0, 0, 2))
        .Add("tcp_tw_reuse", Tcp(p => p.TimeWaitReuse, (p, v) => p.TimeWaitReuse = (int)v, 0, 2))
        .Add("tcp_window_scaling", Tcp(p => p.WindowScaling ? 1 : 0, (p, v) => p.WindowScaling = v != 0, 0, 1))
        .Add("tcp_wmem", TcpBuffer(
            p => [p.MinimumSendBuffer, p.DefaultSendBuffer, p.MaximumSendBuffer],
            (p, v) => (p.MinimumSendBuffer, p.DefaultSendBuffer, p.MaximumSendBuffer) = ((int)v[0], (int)v[1], (int)v[2])));

    private PseudoDirectory Netfilter()
    {
        PseudoDirectory directory = new PseudoDirectory(super)
            .Add("nf_conntrack_buckets", Fixed(ConnectionTable.Buckets.ToString(CultureInfo.InvariantCulture)))
            .Add("nf_conntrack_count", new Numbers(this, n => [n.Netfilter.Filter.Tracker.Count], null));
        foreach ((string name, int setting, int maximum) in s_tracking)
        {
            directory.Add("nf_conntrack_" + name, new Numbers(this, n => [n.Netfilter.Filter.Tracker.Settings[setting]], (n, v) => n.Netfilter.Filter.Tracker.Settings[setting] = (int)v[0], 0, maximum));
        }

        return directory;
    }

    private static readonly (string Name, int Setting, int Maximum)[] s_tracking =
    [
        ("acct", (int)TrackingSetting.Accounting, 1),
        ("events", (int)TrackingSetting.Events, 2),
        ("generic_timeout", (int)TrackingSetting.GenericTimeout, int.MaxValue),
        ("icmp_timeout", (int)TrackingSetting.IcmpTimeout, int.MaxValue),
        ("icmpv6_timeout", (int)TrackingSetting.Icmpv6Timeout, int.MaxValue),
        ("max", (int)TrackingSetting.Max, ConnectionTracker.MostConnections),
        ("tcp_be_liberal", (int)TrackingSetting.BeLiberal, 1),
        ("tcp_ignore_invalid_rst", (int)TrackingSetting.IgnoreInvalidReset, 1),
        ("tcp_loose", (int)TrackingSetting.Loose, 1),
        ("tcp_max_retrans", (int)TrackingSetting.MaxRetransmissions, byte.MaxValue),
        ("tcp_timeout_close", (int)TrackingSetting.TcpTimeout + (int)TcpTrackState.Close, int.MaxValue),
        ("tcp_timeout_close_wait", (int)TrackingSetting.TcpTimeout + (int)TcpTrackState.CloseWait, int.MaxValue),
        ("tcp_timeout_established", (int)TrackingSetting.TcpTimeout + (int)TcpTrackState.Established, int.MaxValue),
        ("tcp_timeout_fin_wait", (int)TrackingSetting.TcpTimeout + (int)TcpTrackState.FinWait, int.MaxValue),
        ("tcp_timeout_last_ack", (int)TrackingSetting.TcpTimeout + (int)TcpTrackState.LastAck, int.MaxValue),
        ("tcp_timeout_max_retrans", (int)TrackingSetting.TcpMaxRetransmissionsTimeout, int.MaxValue),
        ("tcp_timeout_syn_recv", (int)TrackingSetting.TcpTimeout + (int)TcpTrackState.SynReceived, int.MaxValue),
        ("tcp_timeout_syn_sent", (int)TrackingSetting.TcpTimeout + (int)TcpTrackState.SynSent, int.MaxValue),
        ("tcp_timeout_time_wait", (int)TrackingSetting.TcpTimeout + (int)TcpTrackState.TimeWait, int.MaxValue),
        ("tcp_timeout_unacknowledged", (int)TrackingSetting.TcpUnacknowledgedTimeout, int.MaxValue),
        ("udp_timeout", (int)TrackingSetting.UdpTimeout, int.MaxValue),
        ("udp_timeout_stream", (int)TrackingSetting.UdpStreamTimeout, int.MaxValue),
    ];

    private PseudoDirectory Ipv6() => new PseudoDirectory(super)
        .Add("bindv6only", Stack(p => p.BindV6Only ? 1 : 0, (p, v) => p.BindV6Only = v != 0, 0, 1))
        .Add("conf", new ConfDirectory(this, isV4: false));

    // Of an interface, or of "all" and "default".
    private PseudoDirectory Conf(string name, bool isV4)
    {
        PseudoDirectory directory = new(super);
        return isV4
            ? directory.Add("accept_local", Of(InterfaceSetting.AcceptLocal, 0, 1))
                .Add("arp_ignore", Of(InterfaceSetting.ArpIgnore, 0, 1))
                .Add("forwarding", Of(InterfaceSetting.Ipv4Forward, 0, int.MaxValue))
                .Add("route_localnet", Of(InterfaceSetting.RouteLocalNet, 0, int.MaxValue))
                .Add("rp_filter", Of(InterfaceSetting.ReversePathFilter, 0, 2))
            : directory.Add("accept_ra", Of(InterfaceSetting.AcceptRouterAdvertisements, 0, 2))
                .Add("autoconf", Of(InterfaceSetting.Autoconfiguration, 0, int.MaxValue))
                .Add("dad_transmits", Of(InterfaceSetting.DadTransmits, 0, 100))
                .Add("disable_ipv6", Of(InterfaceSetting.Ipv6Disabled, 0, int.MaxValue))
                .Add("forwarding", Of(InterfaceSetting.Ipv6Forward, 0, int.MaxValue))
                .Add("hop_limit", Of(InterfaceSetting.HopLimit, 1, 255));

        ConfFile Of(InterfaceSetting setting, int minimum, int maximum) => new(this, name, setting, minimum, maximum);
    }

    private static void SetPorts(NetNamespace network, long[] range)
    {
        using (network.Inet.Stack.Enter())
        {
            (network.Inet.Stack.Ports.FirstEphemeral, network.Inet.Stack.Ports.LastEphemeral) = ((ushort)range[0], (ushort)range[1]);
        }
    }

    private PseudoTextFile Fixed(string value) => new(super, () => value + "\n");

    private Numbers Stack(Func<StackParameters, long> get, Action<StackParameters, long>? set, long minimum = 0, long maximum = int.MaxValue) =>
        new(this, n => [get(n.Inet.Stack.Parameters)], set is null ? null : (n, v) => Under(n, () => set(n.Inet.Stack.Parameters, v[0])), minimum, maximum);

    private Numbers Tcp(Func<TcpParameters, long> get, Action<TcpParameters, long>? set, long minimum = 0, long maximum = int.MaxValue) =>
        new(this, n => [get(n.Inet.Tcp.Parameters)], set is null ? null : (n, v) => Under(n, () => set(n.Inet.Tcp.Parameters, v[0])), minimum, maximum);

    private Numbers TcpBuffer(Func<TcpParameters, long[]> get, Action<TcpParameters, long[]> set) =>
        new(this, n => get(n.Inet.Tcp.Parameters), (n, v) => Under(n, () => set(n.Inet.Tcp.Parameters, v)), SmallestBuffer, LargestBuffer) { IsAscending = true };

    private static void Under(NetNamespace network, Action change)
    {
        using (network.Inet.Stack.Enter())
        {
            change();
        }
    }

    /// <summary>Sets a value of the first namespace, by its path below /proc/sys/net.</summary>
    public static Errno Store(SentryKernel kernel, string path, string value)
    {
        PseudoSuperBlock place = new("proc", 0) { Created = default, Device = 0 };
        Inode node = new NetSysctls(place, kernel).Create();
        foreach (string name in path.Split('/'))
        {
            Errno error = node.Lookup(Encoding.Latin1.GetBytes(name), out Inode? child);
            if (error != Errno.None)
            {
                return error;
            }

            node = child!;
        }

        return node is PseudoFile file ? file.Store(null!, Encoding.Latin1.GetBytes(value)) : Errno.EISDIR;
    }

    private NetNamespace Of(ICaller? caller) => (NetNamespace)(caller is Task task ? task.Network : kernel.RootNetwork);

    private static string[] Words(ReadOnlySpan<byte> value) =>
        Encoding.Latin1.GetString(value).Split((char[])[' ', '\t', '\n', '\0'], StringSplitOptions.RemoveEmptyEntries);

    /// <summary>Numbers, all of them written at once; with no way to set them they are read-only.</summary>
    private sealed class Numbers(NetSysctls owner, Func<NetNamespace, long[]> get, Action<NetNamespace, long[]>? set, long minimum = 0, long maximum = int.MaxValue)
        : PseudoFile(owner.Super, set is null ? 0x124u : 0x1a4u)
    {
        /// <summary>Each number is at least the one before.</summary>
        public bool IsAscending { get; init; }

        public override Errno Generate(ICaller caller, StringBuilder text)
        {
            text.AppendJoin('\t', get(owner.Of(caller))).Append('\n');
            return Errno.None;
        }

        public override Errno Store(ICaller caller, ReadOnlySpan<byte> value)
        {
            NetNamespace network = owner.Of(caller);
            long[] numbers = get(network);
            string[] words = Words(value);
            if (set is null)
            {
                return Errno.EACCES;
            }

            if (words.Length != numbers.Length)
            {
                return Errno.EINVAL;
            }

            for (int i = 0; i < words.Length; i++)
            {
                if (!long.TryParse(words[i], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out numbers[i]) || numbers[i] < minimum || numbers[i] > maximum
                    || (IsAscending && i > 0 && numbers[i] < numbers[i - 1]))
                {
                    return Errno.EINVAL;
                }
            }

            set(network, numbers);
            return Errno.None;
        }
    }

    /// <summary>net.ipv4.conf and net.ipv6.conf. A directory has no caller when a name is looked up, so whether the interface is there is seen by whoever opens a file.</summary>
    private sealed class ConfDirectory : PseudoDirectory
    {
        private const int LongestName = 15;

        private readonly NetSysctls _owner;
        private readonly bool _isV4;

        public ConfDirectory(NetSysctls owner, bool isV4)
            : base(owner.Super)
        {
            (_owner, _isV4) = (owner, isV4);
            Add("all", owner.Conf("all", isV4));
            Add("default", owner.Conf("default", isV4));
        }

        public override bool CachesChildren => false;

        protected override Errno LookupDynamic(ReadOnlySpan<byte> name, out Inode? child)
        {
            child = name.Length <= LongestName ? _owner.Conf(Encoding.Latin1.GetString(name), _isV4) : null;
            return child is null ? Errno.ENOENT : Errno.None;
        }

        protected override void ListDynamic(ICaller caller, long from, DynamicEntryVisitor visit)
        {
            // Numbers of their own, above those of the fixed tree.
            const ulong firstNumber = 1 << 21;
            foreach ((int index, string name) in LinkAttributes.Interfaces(_owner.Of(caller)))
            {
                if (index >= from && !visit(index, name, firstNumber + (ulong)index, (byte)Dirent.DT_DIR))
                {
                    return;
                }
            }
        }
    }

    /// <summary>A value of an interface's configuration.</summary>
    private sealed class ConfFile(NetSysctls owner, string name, InterfaceSetting setting, int minimum, int maximum) : PseudoFile(owner.Super, 0x1a4)
    {
        protected override Errno CheckOpen(ICaller caller, int flags)
        {
            NetworkStack stack = owner.Of(caller).Inet.Stack;
            using (stack.Enter())
            {
                return Find(stack) is null ? Errno.ENOENT : Errno.None;
            }
        }

        public override Errno Generate(ICaller caller, StringBuilder text)
        {
            NetworkStack stack = owner.Of(caller).Inet.Stack;
            using (stack.Enter())
            {
                if (Find(stack) is not { } parameters)
                {
                    return Errno.ENODEV;
                }

                text.Append(parameters[setting]).Append('\n');
                return Errno.None;
            }
        }

        public override Errno Store(ICaller caller, ReadOnlySpan<byte> value)
        {
            if (Words(value) is not [string word] || !int.TryParse(word, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int number) || number < minimum || number > maximum)
            {
                return Errno.EINVAL;
            }

            NetworkStack stack = owner.Of(caller).Inet.Stack;
            using (stack.Enter())
            {
                if (Find(stack) is not { } parameters)
                {
                    return Errno.ENODEV;
                }

                stack.Parameters.Set(parameters, setting, number);
                if (setting == InterfaceSetting.HopLimit && parameters.Owner is { } one)
                {
                    one.AdvertisedHopLimit = 0;
                }

                return Errno.None;
            }
        }

        private InterfaceParameters? Find(NetworkStack stack) => name switch
        {
            "all" => stack.Parameters.All,
            "default" => stack.Parameters.Default,
            _ => stack.FindInterface(name)?.Parameters,
        };
    }

    /// <summary>net.ipv4.tcp_congestion_control.</summary>
    private sealed class CongestionFile(NetSysctls owner) : PseudoFile(owner.Super, 0x1a4)
    {
        public override Errno Generate(ICaller caller, StringBuilder text)
        {
            text.Append(owner.Of(caller).Inet.Tcp.Parameters.CongestionControl).Append('\n');
            return Errno.None;
        }

        public override Errno Store(ICaller caller, ReadOnlySpan<byte> value)
        {
            if (Words(value) is not [string name] || !CongestionControl.Names.Contains(name))
            {
                return Errno.ENOENT;
            }

            NetNamespace network = owner.Of(caller);
            Under(network, () => network.Inet.Tcp.Parameters.CongestionControl = name);
            return Errno.None;
        }
    }

    private PseudoSuperBlock Super => super;
}
