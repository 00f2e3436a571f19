using System;
using Runsc.Linux;
using Runsc.NetStack.Core;
using Runsc.NetStack.Link;
using Runsc.NetStack.Wire;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Sockets.Inet;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.Sockets.Netlink;

/// <summary>RTM_NEWLINK, RTM_SETLINK and RTM_DELLINK: makes, changes, moves and removes links.</summary>
/// <remarks>Under the lock of all links; of the stacks that a change touches one at a time is locked below it.</remarks>
internal static class LinkChanges
{
    private const int Exclusive = 0x200, Create = 0x400;

    public static Errno Run(ICaller caller, NetNamespace network, in NetlinkRequest request)
    {
        Errno error = LinkOptions.TryRead(request.Body, out LinkOptions options);
        if (error != Errno.None)
        {
            return error;
        }

        if (options.Index == 0 && options.Name.Length == 0 && request.Type != LinkFamily.NewLink)
        {
            return Errno.EINVAL;
        }

        error = LinkNamespace.FindOwn(caller, options.Process, options.File, out NetworkNamespace? given);
        if (error != Errno.None)
        {
            return error;
        }

        lock (network.System.LinkLock)
        {
            NetworkStack stack = network.Inet.Stack, target = ((NetNamespace?)given)?.Inet.Stack ?? stack;
            NetworkInterface? found = Find(stack, options);
            error = request.Type switch
            {
                LinkFamily.DeleteLink => found is null ? Errno.ENODEV : Remove(found),
                LinkFamily.NewLink when found is null => (request.Flags & Create) == 0 ? Errno.ENODEV : Make(caller, stack, target, options),
                LinkFamily.NewLink when (request.Flags & Exclusive) != 0 => Errno.EEXIST,
                _ => found is null ? Errno.ENODEV : Change(found, target, options),
            };
        }

        given?.DecUsers();
        return error;
    }

    private static NetworkInterface? Find(NetworkStack stack, LinkOptions options)
    {
        using (stack.Enter())
        {
            return options.Index > 0 ? stack.FindInterface(options.Index) : stack.FindInterface(options.Name);
        }
    }

    private static Errno Remove(NetworkInterface found)
    {
        if (!found.Device.CanBeRemoved)
        {
            return Errno.EOPNOTSUPP;
        }

        RemoveLocked(found);
        return Errno.None;
    }

    /// <summary>Removes a link, and its other end. Precondition: the lock of links is held, that of no stack.</summary>
    public static void RemoveLocked(NetworkInterface link)
    {
        NetworkInterface? peer = link.Device.PeerInterface;
        using (link.Stack.Enter())
        {
            link.Stack.RemoveInterface(link);
        }

        if (peer is not null)
        {
            using (peer.Stack.Enter())
            {
                peer.Stack.RemoveInterface(peer);
            }
        }
    }

    // The kind's name is that of its first link, too.
    private static Errno Make(ICaller caller, NetworkStack own, NetworkStack target, LinkOptions options)
    {
        switch (options.Kind)
        {
            case "veth":
                return MakePair(caller, own, target, options);
            case "dummy":
                return Add(target, new DummyDevice(NewAddress(target, options)), options, "dummy%d", out _);
            case "bridge":
                BridgeDevice bridge = new(NewAddress(target, options)) { HasOwnAddress = options.Mac is not null, HasOwnMtu = options.Mtu is not null };
                return SetBridge(bridge, options.Data) is var error and not Errno.None ? error : Add(target, bridge, options, "bridge%d", out _);
            default:
                return Errno.EOPNOTSUPP;
        }
    }

    // IFLA_BR_*: there are neither spanning trees nor VLANs, so what is about those may only be left off.
    private static Errno SetBridge(BridgeDevice bridge, ReadOnlySpan<byte> data)
    {
        const int forwardDelay = 1, ageing = 4, spanningTree = 5, vlanFiltering = 7, typeMask = 0x3fff;
        const long tick = 10_000_000;
        long seen = bridge.Table.Ageing;
        while (data.Length >= 4)
        {
            int length = BitConverter.ToUInt16(data), type = BitConverter.ToUInt16(data[2..]) & typeMask;
            if (length < 4 || length > data.Length)
            {
                return Errno.EINVAL;
            }

            ReadOnlySpan<byte> value = data[4..length];
            if (type == ageing && value.Length >= sizeof(uint))
            {
                seen = BitConverter.ToUInt32(value) * tick;
            }
            else if (type != forwardDelay && (type is not (spanningTree or vlanFiltering) || value.ContainsAnyExcept((byte)0)))
            {
                return Errno.EOPNOTSUPP;
            }

            data = data[Math.Min((length + 3) & ~3, data.Length)..];
        }

        bridge.Table.Ageing = seen;
        return Errno.None;
    }

    private static MacAddress NewAddress(NetworkStack stack, LinkOptions options) => options.Mac ?? LinkOptions.RandomAddress(stack);

    // The other end comes first, as on Linux.
    private static Errno MakePair(ICaller caller, NetworkStack own, NetworkStack target, LinkOptions options)
    {
        const int peer = 1;
        ReadOnlySpan<byte> data = NetlinkRequest.Find(options.Data, peer);
        LinkOptions other = new();
        Errno error = data.IsEmpty ? Errno.None : LinkOptions.TryRead(data, out other);
        NetworkNamespace? given = null;
        error = error == Errno.None ? LinkNamespace.FindOwn(caller, other.Process, other.File, out given) : error;
        if (error != Errno.None)
        {
            return error;
        }

        NetworkStack there = ((NetNamespace?)given)?.Inet.Stack ?? own;
        PipeDevice a = new(NewAddress(target, options)), b = new(NewAddress(there, other));
        PipeDevice.Connect(a, b);
        NetworkInterface? far = null;
        error = Check(a, options);
        error = error == Errno.None ? Add(there, b, other, "veth%d", out far) : error;
        if (error == Errno.None)
        {
            error = Add(target, a, options, "veth%d", out _);
            if (error != Errno.None)
            {
                RemoveLocked(far!);
            }
        }

        given?.DecUsers();
        return error;
    }

    private static Errno Add(NetworkStack stack, LinkDevice device, LinkOptions options, string pattern, out NetworkInterface? added)
    {
        added = null;
        using (stack.Enter())
        {
            Errno error = Check(device, options);
            if (error != Errno.None)
            {
                return error;
            }

            if (options.Index > 0 && stack.FindInterface(options.Index) is not null)
            {
                return Errno.EBUSY;
            }

            if (stack.FreeName(options.Name.Length > 0 ? options.Name : pattern) is not { } name)
            {
                return Errno.EEXIST;
            }

            error = NetErrors.ToErrno(stack.AddInterface(name, device, out added, options.Index));
            return error == Errno.None ? Set(stack, added!, options) : error;
        }
    }

    private static Errno Check(LinkDevice device, LinkOptions options) => options.Mac is { IsUnicast: false } ? Errno.EADDRNOTAVAIL
        : options.Mtu is { } mtu && (mtu < 68 || mtu > device.MaxMtu) ? Errno.EINVAL : Errno.None;

    private static Errno Change(NetworkInterface found, NetworkStack target, LinkOptions options)
    {
        if (options.Kind.Length > 0 && options.Kind != found.Device.Driver)
        {
            return Errno.EOPNOTSUPP;
        }

        if (target != found.Stack)
        {
            Errno error = Move(ref found, target, options.Name);
            if (error != Errno.None)
            {
                return error;
            }
        }

        using (target.Enter())
        {
            if (options.Mac is { } mac && mac != found.Mac)
            {
                if (found.Device is BridgeDevice bridge)
                {
                    bridge.HasOwnAddress = true;
                }

                Errno error = NetErrors.ToErrno(target.SetMac(found, mac));
                if (error != Errno.None)
                {
                    return error;
                }
            }

            if (options.Index > 0 && options.Name.Length > 0 && options.Name != found.Name)
            {
                Errno error = target.FreeName(options.Name) is { } name ? NetErrors.ToErrno(target.Rename(found, name)) : Errno.EEXIST;
                if (error != Errno.None)
                {
                    return error;
                }
            }

            return Set(target, found, options);
        }
    }

    // What is left out keeps its value. Under the stack's lock.
    private static Errno Set(NetworkStack stack, NetworkInterface link, LinkOptions options)
    {
        Errno error = Errno.None;
        if (options.Data.Length > 0 && link.Device is BridgeDevice changed)
        {
            error = SetBridge(changed, options.Data);
        }

        if (error == Errno.None && options.Mtu is { } mtu && mtu != link.Mtu)
        {
            if (link.Device is BridgeDevice bridge)
            {
                bridge.HasOwnMtu = true;
            }

            error = NetErrors.ToErrno(stack.SetMtu(link, (int)Math.Min(mtu, int.MaxValue)));
        }

        if (error == Errno.None && options.Master is { } master)
        {
            error = SetMaster(stack, link, master);
        }

        if (error != Errno.None)
        {
            return error;
        }

        link.QueueLength = (int)Math.Min(options.QueueLength ?? (uint)link.QueueLength, int.MaxValue);
        if (options.Up is { } up)
        {
            LoopbackAddresses.SetUp(stack, link, up);
        }

        return Errno.None;
    }

    private static Errno SetMaster(NetworkStack stack, NetworkInterface link, uint index)
    {
        if (index == 0)
        {
            link.Master?.RemovePort(link);
            return Errno.None;
        }

        if (stack.FindInterface((int)Math.Min(index, int.MaxValue)) is not { } master)
        {
            return Errno.EINVAL;
        }

        if (master.Device is not BridgeDevice bridge)
        {
            return Errno.EOPNOTSUPP;
        }

        if (link.Master == bridge)
        {
            return Errno.None;
        }

        link.Master?.RemovePort(link);
        return NetErrors.ToErrno(bridge.AddPort(link));
    }

    // Addresses and routes stay behind; index and name are kept where they are free.
    private static Errno Move(ref NetworkInterface link, NetworkStack target, string name)
    {
        if (!link.Device.CanMove)
        {
            return Errno.EINVAL;
        }

        name = name.Length > 0 ? name : link.Name;
        int index;
        using (target.Enter())
        {
            if (target.FreeName(name) is not { } free)
            {
                return Errno.EEXIST;
            }

            name = free;
            index = target.FindInterface(link.Index) is null ? link.Index : 0;
        }

        using (link.Stack.Enter())
        {
            link.Stack.RemoveInterface(link, keepsDevice: true);
        }

        NetworkInterface former = link;
        NetworkInterface? peer = former.Device.PeerInterface, moved;
        Errno error;
        using (target.Enter())
        {
            error = NetErrors.ToErrno(target.AddInterface(name, former.Device, out moved, index));
            if (moved is not null)
            {
                link = moved;
                link.QueueLength = former.QueueLength;
                link.TakeOver(former);
                return Errno.None;
            }

            former.Device.Close();
        }

        if (peer is not null)
        {
            // Too many are there: it is gone, and with it its other end.
            RemoveLocked(peer);
        }

        return error;
    }
}
