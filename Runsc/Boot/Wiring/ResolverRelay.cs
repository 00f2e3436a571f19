using System;
using System.Buffers.Binary;
using System.Collections.Generic;
using System.Threading;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.NetStack;
using Runsc.NetStack.Buffers;
using Runsc.NetStack.Core;
using Runsc.NetStack.Network;
using Runsc.NetStack.Transport;
using Runsc.NetStack.Wire;

namespace Runsc.Boot.Wiring;

/// <summary>
/// Docker's name server of user-defined networks. It listens at 127.0.0.11 in the container's network namespace on the host, behind rules of
/// iptables there; queries that applications send to 127.0.0.11:53 in the sandbox go to it through a socket that is connected to it.
/// </summary>
internal sealed class ResolverRelay : DeferredWork, IUdpService
{
    private const int MaxQuery = 4096;
    private const int MaxPending = 512;
    private const long Lifetime = 10_000_000_000;

    private readonly NetworkStack _stack;
    private readonly int _socket;
    private readonly Lock _mu = new();

    // Guarded by _mu: queries that wait to be sent.
    private readonly Queue<byte[]> _out = new();

    // Guarded by the stack's lock. The identifier of a query on the host's side is the key: no client can guess another's.
    private readonly Dictionary<ushort, Pending> _pending = [];

    private ResolverRelay(NetworkStack stack, int socket)
    {
        _stack = stack;
        _socket = socket;
    }

    /// <summary>Where applications find the server.</summary>
    public static IpEndpoint Address => new(IpAddress.FromV4(127, 0, 0, 11), 53);

    /// <summary>Takes the connected socket. Precondition: the stack's lock is not held.</summary>
    public static void Start(NetworkStack stack, int socket)
    {
        ResolverRelay relay = new(stack, socket);
        using (stack.Enter())
        {
            stack.Udp.AddService(Address, relay);
        }

        new Thread(relay.ReceiveLoop, 256 << 10) { IsBackground = true, Name = "net resolver" }.Start();
    }

    public void Receive(PacketBuffer packet, in IpPacketInfo info, in UdpHeader header)
    {
        if (packet.Length is >= 12 and <= MaxQuery && TryTakeId(out ushort id))
        {
            byte[] query = new byte[packet.Length];
            packet.CopyTo(0, query);
            _pending[id] = new Pending(new IpEndpoint(info.Source, header.Source), BinaryPrimitives.ReadUInt16BigEndian(query), _stack.Now + Lifetime);
            BinaryPrimitives.WriteUInt16BigEndian(query, id);
            lock (_mu)
            {
                _out.Enqueue(query);
            }

            _stack.Defer(this);
        }

        packet.Release();
    }

    public override void Run()
    {
        while (true)
        {
            byte[]? query;
            lock (_mu)
            {
                if (!_out.TryDequeue(out query))
                {
                    return;
                }
            }

            // A lost query is asked again by its client.
            _ = HostSocket.Send(_socket, query);
        }
    }

    private bool TryTakeId(out ushort id)
    {
        if (_pending.Count >= MaxPending)
        {
            long now = _stack.Now;
            foreach ((ushort old, Pending query) in _pending)
            {
                if (query.Until <= now)
                {
                    _pending.Remove(old);
                }
            }
        }

        do
        {
            id = unchecked((ushort)_stack.Random.Next());
        }
        while (_pending.ContainsKey(id));
        return _pending.Count < MaxPending;
    }

    private void ReceiveLoop()
    {
        byte[] buffer = new byte[65536];
        while (true)
        {
            long n = HostSocket.Receive(_socket, buffer, default, out _);
            if (n == -(long)Errno.ECONNREFUSED || n == -(long)Errno.EMSGSIZE)
            {
                // The server is away; queries time out at the clients.
                continue;
            }

            if (n < 0)
            {
                return;
            }

            if (n >= 12)
            {
                Answer(buffer.AsSpan(0, (int)n));
            }
        }
    }

    private void Answer(Span<byte> answer)
    {
        using (_stack.Enter())
        {
            if (!_pending.Remove(BinaryPrimitives.ReadUInt16BigEndian(answer), out Pending query)
                || _stack.Pool.TryAllocate(PacketBuffer.Headroom, answer.Length) is not { } packet)
            {
                return;
            }

            BinaryPrimitives.WriteUInt16BigEndian(answer, query.Id);
            answer.CopyTo(packet.Append(answer.Length));
            _stack.Udp.SendAs(Address, query.Client, packet);
        }
    }

    private readonly record struct Pending(IpEndpoint Client, ushort Id, long Until);
}
