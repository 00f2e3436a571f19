using System;
using System.CommandLine;
using System.Globalization;
using System.IO;
using System.Text;
using System.Threading;
using Runsc.Common;
using Runsc.Container;
using Runsc.Container.Cgroups;
using Runsc.Control;

namespace Runsc.Cli;

/// <summary>events: figures of a container again and again, a line of JSON each, and its OOM kills as they happen; until it ends.</summary>
internal static class EventsCommand
{
    private const int OomPollMilliseconds = 100;

    public static Command Make()
    {
        Argument<string> id = Commands.Id();
        Option<string> interval = new("--interval") { Description = "time between figures: seconds, or a number with ms, s or m (default 5s)", HelpName = "TIME" };
        Option<bool> stats = new("--stats") { Description = "figures once, then end" };
        Command command = new("events", "print figures and OOM events of a container") { id, interval, stats };
        command.SetAction(result =>
        {
            ContainerManager manager = Commands.Manager(result);
            int milliseconds = ParseInterval(result.GetValue(interval) ?? "5s");
            ContainerState state = manager.States.Load(result.GetRequiredValue(id));
            if (result.GetValue(stats))
            {
                Print(manager.ReadStats(state.Id).ToEvent(state.Id));
                return 0;
            }

            Watch(manager, state, milliseconds);
            return 0;
        });
        return command;
    }

    private static void Watch(ContainerManager manager, ContainerState state, int interval)
    {
        _ = manager.ReadStats(state.Id);
        long kills = manager.ReadOomKills(state), next = Environment.TickCount64 + interval;
        while (true)
        {
            Thread.Sleep(Math.Min(OomPollMilliseconds, interval));
            string status = manager.State(state.Id).Status;
            for (long now = manager.ReadOomKills(state); kills < now; kills++)
            {
                Print(CgroupStats.OomEvent(state.Id));
            }

            if (status is not ("running" or "paused"))
            {
                return;
            }

            if (Environment.TickCount64 >= next)
            {
                next += interval;
                try
                {
                    Print(manager.ReadStats(state.Id).ToEvent(state.Id));
                }
                catch (SandboxGoneException)
                {
                    // It has just ended: the next look says so.
                }
            }
        }
    }

    /// <summary>Milliseconds of "5", "5s", "500ms", "1m".</summary>
    internal static int ParseInterval(string text)
    {
        (string number, double unit) = text.EndsWith("ms", StringComparison.Ordinal) ? (text[..^2], 1)
            : text.EndsWith('s') ? (text[..^1], 1000.0)
            : text.EndsWith('m') ? (text[..^1], 60_000)
            : (text, 1000);
        return double.TryParse(number, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double value) && value * unit is >= 1 and < int.MaxValue
            ? (int)(value * unit)
            : throw new RunscException($"events: --interval: \"{text}\" is not a time");
    }

    private static void Print(string line)
    {
        using Stream output = Console.OpenStandardOutput();
        output.Write(Encoding.UTF8.GetBytes(line + "\n"));
    }
}
