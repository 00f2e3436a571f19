using System.Collections.Generic;
using Runsc.NetStack.Filter.Expressions;

namespace Runsc.NetStack.Filter.Matches;

/// <summary>How many connections an address, or a network, has: more than a limit (xt_connlimit).</summary>
/// <param name="mask">The bits of addresses that count as one.</param>
/// <param name="limit">Matches beyond it.</param>
/// <param name="byDestination">The destination's; else the source's.</param>
/// <param name="isInverted">Matches up to it.</param>
internal sealed class ConnectionCountMatch(IpAddress mask, uint limit, bool byDestination, bool isInverted) : Expression
{
    // Beyond this, addresses that have no connections any more are looked for.
    private const int Crowd = 1024;

    private readonly Dictionary<IpAddress, ConnectionCount> _counts = [];
    private int _crowd = Crowd;

    public override void Evaluate(ref FilterContext context)
    {
        if (context.Flow?.Connection is not { } connection)
        {
            context.Verdict = Verdict.Drop;
            return;
        }

        IpAddress whole = byDestination ? context.Destination : context.Source;
        IpAddress address = whole.IsV4 ? IpAddress.FromV4(whole.V4 & mask.V4) : new IpAddress(whole.High & mask.High, whole.Low & mask.Low);
        if (!_counts.TryGetValue(address, out ConnectionCount? count))
        {
            Thin(context.Stack.Now);
            _counts[address] = count = new ConnectionCount();
        }

        if ((count.Add(connection, context.Stack.Now, int.MaxValue) > limit) == isInverted)
        {
            context.Verdict = Verdict.Break;
        }
    }

    private void Thin(long now)
    {
        if (_counts.Count < _crowd)
        {
            return;
        }

        foreach ((IpAddress address, ConnectionCount count) in _counts)
        {
            if (count.Purge(now) == 0)
            {
                _counts.Remove(address);
            }
        }

        _crowd = System.Math.Max(Crowd, 2 * _counts.Count);
    }
}
