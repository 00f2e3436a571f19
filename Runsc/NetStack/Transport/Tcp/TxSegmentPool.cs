namespace Runsc.NetStack.Transport.Tcp;

/// <summary>Free <see cref="TxSegment"/>s of a stack. Guarded by the stack's lock.</summary>
internal sealed class TxSegmentPool
{
    private const int Kept = 8192;

    private TxSegment? _free;
    private int _count;

    public TxSegment Rent()
    {
        TxSegment? segment = _free;
        if (segment is null)
        {
            return new TxSegment();
        }

        _free = segment.Next;
        segment.Next = null;
        _count--;
        return segment;
    }

    public void Return(TxSegment segment)
    {
        segment.Reset();
        if (_count < Kept)
        {
            segment.Next = _free;
            _free = segment;
            _count++;
        }
    }
}
