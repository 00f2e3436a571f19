using System.Globalization;
using System.Text;
using Runsc.Common;
using Runsc.NetStack.Network;

namespace Runsc.NetStack.Filter.Expressions;

/// <summary>Writes a line about the packet to the log, no more than so many in a second.</summary>
internal sealed class LogExpression(string prefix) : Expression
{
    private const int LinesPerSecond = 20;

    private readonly RateLimiter _limiter = new();

    public override void Evaluate(ref FilterContext context)
    {
        if (!Log.IsOn(LogLevel.Info) || !_limiter.TryTake(context.Stack.Now, LinesPerSecond, LinesPerSecond))
        {
            return;
        }

        StringBuilder line = new(160);
        foreach (char letter in prefix)
        {
            line.Append(letter is >= ' ' and < '\x7f' ? letter : '?');
        }

        line.Append(CultureInfo.InvariantCulture,
            $"IN={context.Input?.Name} OUT={context.Output?.Name} SRC={context.Source} DST={context.Destination} LEN={context.Packet.Length} PROTO={context.Protocol}");
        if (context.TryReadPorts(out ushort source, out ushort destination))
        {
            line.Append(CultureInfo.InvariantCulture, $" SPT={source} DPT={destination}");
        }

        if (context.Packet.Mark != 0)
        {
            line.Append(CultureInfo.InvariantCulture, $" MARK=0x{context.Packet.Mark:x}");
        }

        Log.Info(line.ToString());
    }
}
