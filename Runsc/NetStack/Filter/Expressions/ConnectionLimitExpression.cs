using System.Collections.Generic;
using Runsc.NetStack.Filter.Tracking;

namespace Runsc.NetStack.Filter.Expressions;

/// <summary>Counts the connections that came here and are still there; matches up to a number of them, or beyond it.</summary>
internal sealed class ConnectionLimitExpression(uint limit, bool isOver) : StatefulExpression
{
    private readonly List<Connection> _connections = [];

    public override void Evaluate(ref FilterContext context)
    {
        if (context.Flow?.Connection is not { } connection)
        {
            context.Verdict = Verdict.Break;
            return;
        }

        long now = context.Stack.Now;
        bool isKnown = false;
        for (int i = _connections.Count - 1; i >= 0; i--)
        {
            Connection one = _connections[i];
            isKnown |= one == connection;
            if (one != connection && ((one.Status & ConnectionStatus.Dying) != 0 || (one.IsConfirmed && one.Deadline <= now) || one.Tcp is TcpTrackState.TimeWait or TcpTrackState.Close))
            {
                _connections[i] = _connections[^1];
                _connections.RemoveAt(_connections.Count - 1);
            }
        }

        if (!isKnown && _connections.Count <= limit)
        {
            _connections.Add(connection);
            isKnown = true;
        }

        if ((!isKnown || _connections.Count > limit) != isOver)
        {
            context.Verdict = Verdict.Break;
        }
    }

    public override StatefulExpression Fresh() => new ConnectionLimitExpression(limit, isOver) { Origin = Origin };
}
