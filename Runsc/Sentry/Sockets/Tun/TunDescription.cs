using System;
using System.Buffers.Binary;
using System.Text;
using System.Threading;
using Runsc.Linux;
using Runsc.NetStack.Buffers;
using Runsc.NetStack.Core;
using Runsc.NetStack.Link;
using Runsc.NetStack.Wire;
using Runsc.Sentry.Auth;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Sockets.Netlink;
using Runsc.Sentry.Vfs;
using Runsc.Sentry.Waiting;

namespace Runsc.Sentry.Sockets.Tun;

/// <summary>An open /dev/net/tun: after TUNSETIFF each read takes one packet that an interface sends, each write is one that it receives.</summary>
internal sealed class TunDescription : FileDescription, ITunProgram
{
    private const int NameSize = 16, RequestSize = 40;

    // struct tun_pi: flags, and the EtherType in network order.
    private const int InfoSize = 4;
    private const int MaxPacket = 65535;
    private const int Features = IfTun.IFF_TUN | IfTun.IFF_TAP | IfTun.IFF_NO_PI | IfTun.IFF_ONE_QUEUE;

    private readonly NetNamespace _network;
    private readonly WaitQueue _events = new();
    private readonly Lock _mu = new();

    // Written once, under _mu and the lock of links.
    private TunDevice? _device;
    private int _flags;

    private TunDescription(NetNamespace network, in VfsPath path, int flags)
        : base(path, flags)
    {
        _network = network;
    }

    public const uint Major = 10, Minor = 200;

    /// <summary>Its interface will be in the network namespace of who opens it.</summary>
    public static Errno Open(ICaller caller, in VfsPath path, int flags, out FileDescription? file)
    {
        file = caller is Task { Network: NetNamespace network } && network.TryIncUsers() ? new TunDescription(network, path, flags) : null;
        return file is null ? Errno.ENXIO : Errno.None;
    }

    public override bool SupportsPoll => true;

    public override void Register(Waiter waiter) => _events.Register(waiter);

    public override void Unregister(Waiter waiter) => _events.Unregister(waiter);

    public void OnChange() => _events.Notify(EventMask.All);

    // The device, unless its interface was removed.
    private TunDevice? Device => Volatile.Read(ref _device) is { IsClosed: false } device ? device : null;

    public override EventMask Readiness(EventMask mask)
    {
        EventMask events = EventMask.Err;
        if (Device is { } device)
        {
            events = device.HasFrames ? EventMask.Readable : EventMask.None;
            events |= device.Interface is { IsUp: true } ? EventMask.Writable : EventMask.None;
        }

        return events & (mask | EventMask.Unmaskable);
    }

    public override long Read(ICaller caller, ref IoBuffer destination)
    {
        if (Device is not { } device)
        {
            return -(long)Errno.EBADFD;
        }

        bool hasInfo = (_flags & IfTun.IFF_NO_PI) == 0;
        if (device.Take() is not { } frame)
        {
            return -(long)Errno.EAGAIN;
        }

        // As on Linux a packet for which there is no room at all is lost.
        long result = hasInfo && destination.Remaining < InfoSize ? -(long)Errno.EINVAL : Give(frame, hasInfo, ref destination);
        frame.Release();
        return result;
    }

    private static long Give(PacketBuffer frame, bool hasInfo, ref IoBuffer destination)
    {
        long done = 0;
        if (hasInfo)
        {
            Span<byte> info = stackalloc byte[InfoSize];
            BitConverter.TryWriteBytes(info, destination.Remaining < InfoSize + frame.Length ? IfTun.TUN_PKT_STRIP : (ushort)0);
            BinaryPrimitives.WriteUInt16BigEndian(info[2..], frame.Protocol);
            done = destination.CopyOut(info);
            if (done < InfoSize)
            {
                return -(long)Errno.EFAULT;
            }
        }

        for (int i = 0; i < frame.ChunkCount && destination.Remaining > 0; i++)
        {
            ReadOnlySpan<byte> chunk = frame.Chunk(i);
            chunk = chunk[..(int)Math.Min(chunk.Length, destination.Remaining)];
            if (destination.CopyOut(chunk) < chunk.Length)
            {
                return -(long)Errno.EFAULT;
            }

            done += chunk.Length;
        }

        return done;
    }

    public override long Write(ICaller caller, ref IoBuffer source)
    {
        if (Device is not { } device)
        {
            return -(long)Errno.EBADFD;
        }

        bool isTap = device.Kind == LinkKind.Ethernet;
        long whole = source.Remaining, info = (_flags & IfTun.IFF_NO_PI) == 0 ? InfoSize : 0;
        if (whole - info < (isTap ? EthernetHeader.Size : 1) || whole - info > MaxPacket)
        {
            return -(long)Errno.EINVAL;
        }

        Span<byte> header = stackalloc byte[InfoSize];
        if (info > 0 && source.CopyIn(header) < InfoSize)
        {
            return -(long)Errno.EFAULT;
        }

        int length = (int)(whole - info);
        if (_network.System.Buffers.TryAllocate(PacketBuffer.Headroom, length) is not { } frame)
        {
            return -(long)Errno.ENOMEM;
        }

        Span<byte> bytes = frame.Append(length);
        Errno error = source.CopyIn(bytes) < length ? Errno.EFAULT : !isTap && info == 0 && bytes[0] >> 4 is not (4 or 6) ? Errno.EINVAL : Errno.None;
        NetworkInterface? link = device.Interface;
        error = error == Errno.None && link is not { IsUp: true } ? Errno.EIO : error;
        if (error != Errno.None)
        {
            frame.Release();
            return -(long)error;
        }

        using (link!.Stack.Enter())
        {
            // It may have been removed or moved meanwhile; then it is down there.
            link.Receive(frame);
        }

        return whole;
    }

    public override long Ioctl(ICaller caller, uint command, ulong argument)
    {
        switch (command)
        {
            case IfTun.TUNGETFEATURES:
                Span<byte> features = stackalloc byte[4];
                BitConverter.TryWriteBytes(features, Features);
                return caller.UserMemory.CopyOut(argument, features) == 4 ? 0 : -(long)Errno.EFAULT;
            case IfTun.TUNSETIFF:
                return Attach(caller, argument);
        }

        if (Device is not { Interface: { } link } device)
        {
            return -(long)Errno.EBADFD;
        }

        switch (command)
        {
            case IfTun.TUNGETIFF:
                Span<byte> request = stackalloc byte[RequestSize];
                request.Clear();
                Encoding.Latin1.GetBytes(link.Name, request);
                BitConverter.TryWriteBytes(request[NameSize..], unchecked((ushort)(_flags | IfTun.IFF_NOFILTER | (device.IsPersistent ? IfTun.IFF_PERSIST : 0))));
                return caller.UserMemory.CopyOut(argument, request) == RequestSize ? 0 : -(long)Errno.EFAULT;
            case IfTun.TUNSETPERSIST:
                device.IsPersistent = argument != 0;
                return 0;
            case IfTun.TUNSETOWNER:
                return SetOwner(caller.Credentials.UserNamespace.Uids.ToKernel(unchecked((uint)argument)), id => device.OwnerUid = id);
            case IfTun.TUNSETGROUP:
                return SetOwner(caller.Credentials.UserNamespace.Gids.ToKernel(unchecked((uint)argument)), id => device.OwnerGid = id);
            case IfTun.TUNSETNOCSUM:
                return 0;
            case IfTun.TUNSETOFFLOAD when argument == 0:
                return 0;
            default:
                return -(long)Errno.EINVAL;
        }
    }

    private long Attach(ICaller caller, ulong argument)
    {
        Span<byte> request = stackalloc byte[RequestSize];
        if (caller.UserMemory.CopyIn(argument, request) != RequestSize)
        {
            return -(long)Errno.EFAULT;
        }

        int flags = BitConverter.ToUInt16(request[NameSize..]), end = request[..(NameSize - 1)].IndexOf((byte)0);
        ReadOnlySpan<byte> name = request[..(end < 0 ? NameSize - 1 : end)];
        Errno error;
        TunDevice? device;
        lock (_network.System.LinkLock)
        {
            lock (_mu)
            {
                error = Device is not null ? Errno.EEXIST : _device is not null || (flags & (IfTun.IFF_VNET_HDR | IfTun.IFF_MULTI_QUEUE)) != 0 ? Errno.EINVAL : Errno.None;
            }

            device = null;
            error = error == Errno.None ? FindOrMake(caller, Encoding.Latin1.GetString(name), flags, out device) : error;
            if (error == Errno.None)
            {
                lock (_mu)
                {
                    _flags = flags & Features;
                    device!.Flags = _flags;
                    Volatile.Write(ref _device, device);
                }
            }
        }

        if (error != Errno.None)
        {
            return -(long)error;
        }

        request[..NameSize].Clear();
        Encoding.Latin1.GetBytes(device!.Interface!.Name, request);
        return caller.UserMemory.CopyOut(argument, request) == RequestSize ? 0 : -(long)Errno.EFAULT;
    }

    private Errno FindOrMake(ICaller caller, string name, int flags, out TunDevice? device)
    {
        NetworkStack stack = _network.Inet.Stack;
        bool mayAll = caller.Credentials.HasCapability(Capability.CAP_NET_ADMIN, _network.Owner), isTap = (flags & IfTun.IFF_TAP) != 0;
        device = null;
        using (stack.Enter())
        {
            if (name.Length > 0 && stack.FindInterface(name) is { } found)
            {
                if ((flags & IfTun.IFF_TUN_EXCL) != 0)
                {
                    return Errno.EBUSY;
                }

                device = found.Device as TunDevice;
                return device is null || (found.Device.Kind == LinkKind.Ethernet) != isTap || (flags & (IfTun.IFF_TUN | IfTun.IFF_TAP)) == 0 ? Errno.EINVAL
                    : !mayAll && !IsOwner(caller, device) ? Errno.EPERM
                    : device.TryAttach(this) ? Errno.None : Errno.EBUSY;
            }

            if (!mayAll)
            {
                return Errno.EPERM;
            }

            if ((flags & (IfTun.IFF_TUN | IfTun.IFF_TAP)) is not (IfTun.IFF_TUN or IfTun.IFF_TAP) || (name.Length > 0 && !LinkOptions.IsName(name)))
            {
                return Errno.EINVAL;
            }

            if (stack.FreeName(name.Length > 0 ? name : isTap ? "tap%d" : "tun%d") is not { } free)
            {
                return Errno.EEXIST;
            }

            device = new TunDevice(isTap ? LinkOptions.RandomAddress(stack) : default, isTap);
            Errno error = Inet.NetErrors.ToErrno(stack.AddInterface(free, device, out NetworkInterface? added));
            if (added is not null)
            {
                added.QueueLength = TunDevice.MaxQueue;
                device.TryAttach(this);
            }

            return error;
        }
    }

    private static long SetOwner(uint id, Action<uint> set)
    {
        if (id == IdMap.Invalid)
        {
            return -(long)Errno.EINVAL;
        }

        set(id);
        return 0;
    }

    private static bool IsOwner(ICaller caller, TunDevice device) =>
        (device.OwnerUid is not null || device.OwnerGid is not null)
        && (device.OwnerUid is null || device.OwnerUid == caller.Credentials.EffectiveUid)
        && (device.OwnerGid is not { } group || caller.Credentials.InGroup(group));

    protected override void OnRelease()
    {
        if (Device is { } device)
        {
            lock (_network.System.LinkLock)
            {
                if (!device.IsClosed && device.Interface is { } link)
                {
                    using (link.Stack.Enter())
                    {
                        device.Detach();
                    }

                    if (!device.IsPersistent)
                    {
                        LinkChanges.RemoveLocked(link);
                    }
                }
            }
        }

        _network.DecUsers();
    }
}
