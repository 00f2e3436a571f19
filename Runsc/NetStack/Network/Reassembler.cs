using System;
using System.Collections.Generic;
using Runsc.NetStack.Buffers;
using Runsc.NetStack.Core;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Network;

/// <summary>Puts fragments together, within bounds of memory and time. One for each version. Guarded by the stack's lock.</summary>
internal sealed class Reassembler(NetworkStack stack, bool v4)
{
    /// <summary>Memory of all queues (net.ipv4.ipfrag_high_thresh); the oldest give way.</summary>
    private const int MaxMemory = 4 << 20;

    /// <summary>Fragments of one packet: 64 KiB in pieces of 576 bytes, with a margin.</summary>
    private const int MaxFragments = 256;

    private const long Second = 1_000_000_000;

    private readonly Dictionary<FragmentKey, FragmentQueue> _queues = [];
    private FragmentQueue? _oldest;
    private FragmentQueue? _newest;
    private long _memory;

    /// <summary>30 s for IPv4 (net.ipv4.ipfrag_time), 60 s for IPv6.</summary>
    private readonly long _timeout = (v4 ? 30 : 60) * Second;

    public int Count => _queues.Count;

    /// <summary>Takes a fragment whose front is the IP header, and gives the whole packet, its front at the IP header, when this was the last missing one.</summary>
    /// <param name="fragment">The fragment.</param>
    /// <param name="key">What it belongs to.</param>
    /// <param name="offset">Of its payload, in bytes.</param>
    /// <param name="more">It is not the last.</param>
    /// <param name="headers">Bytes before its payload: the IP header, and for IPv6 all up to and with the fragment header.</param>
    /// <param name="largest">The largest fragment of the packet that is whole.</param>
    public PacketBuffer? Add(PacketBuffer fragment, in FragmentKey key, int offset, bool more, int headers, out int largest)
    {
        largest = 0;
        IpCounters counters = stack.Counters.Ip(v4);
        counters.ReassemblyRequired++;
        int payload = fragment.Length - headers;
        if (payload <= 0 || offset + payload > Ipv4Header.MaxPacket || (more && (payload & 7) != 0))
        {
            counters.ReassemblyFailures++;
            fragment.Release();
            return null;
        }

        if (!_queues.TryGetValue(key, out FragmentQueue? queue))
        {
            queue = new FragmentQueue(this, key);
            _queues.Add(key, queue);
            Link(queue);
            stack.Schedule(queue, stack.Now + _timeout);
        }

        fragment.Cookie = (uint)offset;
        fragment.Cookie2 = (uint)headers;
        long before = queue.Memory;
        if (!queue.TryAdd(fragment, more, fragment.Length) || queue.Count > MaxFragments)
        {
            counters.ReassemblyFailures++;
            _memory += queue.Memory - before;
            Drop(queue);
            return null;
        }

        _memory += queue.Memory - before;
        if (queue.IsComplete)
        {
            largest = queue.LargestFragment;
            PacketBuffer? whole = Join(queue);
            Drop(queue);
            if (whole is null)
            {
                counters.ReassemblyFailures++;
            }
            else
            {
                counters.ReassemblyOk++;
            }

            return whole;
        }

        while (_memory > MaxMemory && _oldest is not null)
        {
            counters.ReassemblyFailures++;
            Drop(_oldest);
        }

        return null;
    }

    internal void TimedOut(FragmentQueue queue)
    {
        IpCounters counters = stack.Counters.Ip(v4);
        counters.ReassemblyTimeouts++;
        counters.ReassemblyFailures++;
        if (queue.First is { } first)
        {
            IpPacketInfo info = new() { Source = queue.Key.Source, Destination = queue.Key.Destination, Protocol = queue.Key.Protocol, Interface = queue.Key.Interface };
            stack.IcmpErrors.Send(first, info, IcmpErrorKind.ReassemblyTimeExceeded);
        }

        Drop(queue);
    }

    private PacketBuffer? Join(FragmentQueue queue)
    {
        PacketBuffer first = queue.First!;
        int headers = (int)first.Cookie2 - (v4 ? 0 : Ipv6FragmentHeader.Size);
        if (headers + queue.Total > (v4 ? Ipv4Header.MaxPacket : Ipv4Header.MaxPacket + Ipv6Header.Size)
            || stack.Pool.TryAllocate(PacketBuffer.Headroom, headers + queue.Total) is not { } whole)
        {
            return null;
        }

        Span<byte> header = whole.Append(headers);
        first.Linear[..headers].CopyTo(header);
        queue.CopyTo(whole);
        whole.Interface = first.Interface;
        whole.Protocol = first.Protocol;
        whole.Type = first.Type;
        whole.Mark = first.Mark;
        whole.Timestamp = first.Timestamp;
        whole.NetworkStart = whole.Position;
        if (v4)
        {
            header[2] = (byte)((headers + queue.Total) >> 8);
            header[3] = (byte)((headers + queue.Total) & 0xff);
            header[6] = header[7] = 0;
            Ipv4Header.UpdateChecksum(header);
        }
        else
        {
            int length = headers - Ipv6Header.Size + queue.Total;
            header[4] = (byte)(length >> 8);
            header[5] = (byte)(length & 0xff);

            // The next-header field that named the fragment header names what follows it.
            byte next = first.Linear[headers];
            int field = 6;
            for (int at = Ipv6Header.Size; at < headers; at += (header[at + 1] + 1) * 8)
            {
                field = at;
            }

            header[field] = next;
        }

        return whole;
    }

    private void Link(FragmentQueue queue)
    {
        queue.Older = _newest;
        if (_newest is null)
        {
            _oldest = queue;
        }
        else
        {
            _newest.Newer = queue;
        }

        _newest = queue;
    }

    private void Drop(FragmentQueue queue)
    {
        stack.Cancel(queue);
        _queues.Remove(queue.Key);
        _memory -= queue.Memory;
        queue.Clear();
        if (queue.Older is null)
        {
            _oldest = queue.Newer;
        }
        else
        {
            queue.Older.Newer = queue.Newer;
        }

        if (queue.Newer is null)
        {
            _newest = queue.Older;
        }
        else
        {
            queue.Newer.Older = queue.Older;
        }

        queue.Older = queue.Newer = null;
    }
}
