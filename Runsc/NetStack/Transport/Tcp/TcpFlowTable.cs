using System;
using Runsc.NetStack.Core;

namespace Runsc.NetStack.Transport.Tcp;

/// <summary>All flows by addresses and ports, under a keyed hash. Guarded by the stack's lock.</summary>
internal sealed class TcpFlowTable(FlowHash hash)
{
    private TcpFlow?[] _buckets = new TcpFlow?[256];

    public int Count { get; private set; }

    public TcpFlow? Find(in IpAddress local, ushort localPort, in IpAddress remote, ushort remotePort)
    {
        ulong key = hash.Hash(local, localPort, remote, remotePort);
        for (TcpFlow? flow = _buckets[key & (uint)(_buckets.Length - 1)]; flow is not null; flow = flow.NextInBucket)
        {
            if (flow.Hash == key && flow.Is(local, localPort, remote, remotePort))
            {
                return flow;
            }
        }

        return null;
    }

    public void Add(TcpFlow flow)
    {
        if (Count >= _buckets.Length)
        {
            Grow();
        }

        flow.Hash = hash.Hash(flow.LocalAddress, flow.LocalPort, flow.RemoteAddress, flow.RemotePort);
        Link(flow);
        flow.IsInTable = true;
        Count++;
    }

    public void Remove(TcpFlow flow)
    {
        if (!flow.IsInTable)
        {
            return;
        }

        ref TcpFlow? bucket = ref _buckets[flow.Hash & (uint)(_buckets.Length - 1)];
        if (bucket == flow)
        {
            bucket = flow.NextInBucket;
        }
        else
        {
            TcpFlow before = bucket!;
            while (before.NextInBucket != flow)
            {
                before = before.NextInBucket!;
            }

            before.NextInBucket = flow.NextInBucket;
        }

        flow.NextInBucket = null;
        flow.IsInTable = false;
        Count--;
    }

    /// <summary>Copies flows out, for /proc and diagnosis; returns how many.</summary>
    public int CopyTo(Span<TcpFlow?> target)
    {
        int count = 0;
        foreach (TcpFlow? first in _buckets)
        {
            for (TcpFlow? flow = first; flow is not null && count < target.Length; flow = flow.NextInBucket)
            {
                target[count++] = flow;
            }
        }

        return count;
    }

    private void Link(TcpFlow flow)
    {
        ref TcpFlow? bucket = ref _buckets[flow.Hash & (uint)(_buckets.Length - 1)];
        flow.NextInBucket = bucket;
        bucket = flow;
    }

    private void Grow()
    {
        TcpFlow?[] old = _buckets;
        _buckets = new TcpFlow?[old.Length * 2];
        foreach (TcpFlow? first in old)
        {
            for (TcpFlow? flow = first; flow is not null;)
            {
                TcpFlow? next = flow.NextInBucket;
                Link(flow);
                flow = next;
            }
        }
    }
}
