using Runsc.NetStack.Buffers;
using Runsc.NetStack.Core;

namespace Runsc.NetStack.Network;

/// <summary>The fragments of one packet so far, in order and without overlap. Guarded by the stack's lock.</summary>
internal sealed class FragmentQueue(Reassembler reassembler, FragmentKey key) : NetTimer
{
    private PacketBuffer? _first;

    /// <summary>Bytes of the fragmentable part, once the last fragment has come; else -1.</summary>
    private int _total = -1;
    private int _received;

    public FragmentKey Key { get; } = key;

    public int Memory { get; private set; }

    public int Count { get; private set; }

    /// <summary>The largest IP packet among them.</summary>
    public int LargestFragment { get; private set; }

    /// <summary>The header and what stands before the payload, from the fragment at offset 0.</summary>
    public PacketBuffer? First => _first is { Cookie: 0 } ? _first : null;

    public int Total => _total;

    public bool IsComplete => _total >= 0 && _received == _total && First is not null;

    public FragmentQueue? Older { get; set; }

    public FragmentQueue? Newer { get; set; }

    /// <summary>Takes a fragment; Cookie is its offset, Cookie2 the length of what stands before its payload.</summary>
    /// <returns>False when it does not fit: the whole queue is to be given up (RFC 5722).</returns>
    public bool TryAdd(PacketBuffer fragment, bool more, int packetLength)
    {
        int start = (int)fragment.Cookie;
        int end = start + fragment.Length - (int)fragment.Cookie2;
        bool wrong = _total >= 0 && (end > _total || (!more && end != _total));
        PacketBuffer? before = null;
        PacketBuffer? after = _first;
        while (after is not null && after.Cookie < fragment.Cookie)
        {
            before = after;
            after = after.Next;
        }

        if (after is not null && after.Cookie == fragment.Cookie && EndOf(after) == end)
        {
            // The same once more.
            fragment.Release();
            return true;
        }

        wrong |= (before is not null && EndOf(before) > start) || (after is not null && after.Cookie < end) || (!more && after is not null);
        if (wrong)
        {
            fragment.Release();
            return false;
        }

        if (!more)
        {
            _total = end;
        }

        fragment.Next = after;
        if (before is null)
        {
            _first = fragment;
        }
        else
        {
            before.Next = fragment;
        }

        _received += end - start;
        Memory += fragment.Footprint;
        Count++;
        LargestFragment = System.Math.Max(LargestFragment, packetLength);
        return true;
    }

    /// <summary>Copies the payload together behind <paramref name="target"/>, which has the room.</summary>
    public void CopyTo(PacketBuffer target)
    {
        for (PacketBuffer? fragment = _first; fragment is not null; fragment = fragment.Next)
        {
            int skip = (int)fragment.Cookie2;
            fragment.CopyTo(skip, target.Append(fragment.Length - skip));
        }
    }

    public void Clear()
    {
        while (_first is { } fragment)
        {
            _first = fragment.Next;
            fragment.Next = null;
            fragment.Release();
        }
    }

    public override void Fire() => reassembler.TimedOut(this);

    private static int EndOf(PacketBuffer fragment) => (int)fragment.Cookie + fragment.Length - (int)fragment.Cookie2;
}
