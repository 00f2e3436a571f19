using System;
using System.Collections.Generic;
using System.CommandLine;
using System.Globalization;
using System.IO;
using System.Text;
using System.Text.Json;
using Runsc.Common;
using Runsc.Container;
using Runsc.Control;

namespace Runsc.Cli;

/// <summary>Commands that tell of containers: state, list, ps.</summary>
internal static class StateCommands
{
    public static Command MakeState()
    {
        Argument<string> id = Commands.Id();
        Command command = new("state", "print the state of a container in JSON") { id };
        command.SetAction(result =>
        {
            OciState state = Commands.Manager(result).State(result.GetRequiredValue(id));
            Print(JsonSerializer.Serialize(state, IndentedJson.Default.OciState));
            return 0;
        });
        return command;
    }

    public static Command MakeList()
    {
        Option<bool> quiet = new("--quiet", "-q") { Description = "ids only" };
        Option<string> format = new("--format", "-f") { Description = "text or json", HelpName = "text|json" };
        Command command = new("list", "list containers") { quiet, format };
        command.Aliases.Add("ls");
        command.SetAction(result =>
        {
            bool json = IsJson(result.GetValue(format), "text");
            List<ListEntry> entries = Commands.Manager(result).List();
            if (result.GetValue(quiet))
            {
                entries.ForEach(entry => Print(entry.Id));
            }
            else if (json)
            {
                Print(entries.Count == 0 ? "null" : JsonSerializer.Serialize(entries, StateJson.Default.ListListEntry));
            }
            else
            {
                List<string[]> rows = [["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]];
                foreach (ListEntry entry in entries)
                {
                    rows.Add(
                    [
                        entry.Id, entry.Pid.ToString(CultureInfo.InvariantCulture), entry.Status, entry.Bundle,
                        entry.Created.ToString("yyyy-MM-dd'T'HH:mm:ss.FFFFFFF'Z'", CultureInfo.InvariantCulture), entry.Owner,
                    ]);
                }

                PrintTable(rows);
            }

            return 0;
        });
        return command;
    }

    public static Command MakePs()
    {
        Argument<string> id = Commands.Id();
        Argument<string[]> options = new("OPTIONS") { Description = "options of ps: accepted and ignored", Arity = ArgumentArity.ZeroOrMore };
        Option<string> format = new("--format", "-f") { Description = "table or json", HelpName = "table|json" };
        Command command = new("ps", "list the processes of a container") { id, options, format };
        command.SetAction(result =>
        {
            bool json = IsJson(result.GetValue(format), "table");
            ContainerManager manager = Commands.Manager(result);
            List<ProcessEntry> entries = manager.Processes(result.GetRequiredValue(id));
            if (json && GlobalOptions.IsCalledByShim(result))
            {
                // A shim hands the numbers to programs that look for them on the host: there, the container's processes are its sandbox's.
                Print($"[{manager.State(result.GetRequiredValue(id)).Pid}]");
            }
            else if (json)
            {
                Print("[" + string.Join(',', entries.ConvertAll(entry => entry.Pid.ToString(CultureInfo.InvariantCulture))) + "]");
            }
            else
            {
                Write(ProcessTable(entries));
            }

            return 0;
        });
        return command;
    }

    public static string ProcessTable(List<ProcessEntry> entries)
    {
        List<string[]> rows = [["UID", "PID", "PPID", "PGID", "C", "TTY", "STIME", "TIME", "CMD"]];
        foreach (ProcessEntry entry in entries)
        {
            rows.Add(
            [
                entry.Uid.ToString(CultureInfo.InvariantCulture), entry.Pid.ToString(CultureInfo.InvariantCulture),
                entry.Ppid.ToString(CultureInfo.InvariantCulture), entry.Pgid.ToString(CultureInfo.InvariantCulture),
                entry.C.ToString(CultureInfo.InvariantCulture), entry.Tty, entry.Stime, entry.Time, entry.Cmd,
            ]);
        }

        return Table(rows);
    }

    private static bool IsJson(string? format, string other) =>
        format is null || format == other ? false
        : format == "json" ? true
        : throw new RunscException($"--format: \"{format}\" is not {other} or json");

    /// <summary>Columns as wide as their longest entry, two spaces between.</summary>
    internal static string Table(List<string[]> rows)
    {
        int[] widths = new int[rows[0].Length];
        foreach (string[] row in rows)
        {
            for (int i = 0; i < row.Length; i++)
            {
                widths[i] = Math.Max(widths[i], row[i].Length);
            }
        }

        StringBuilder text = new();
        foreach (string[] row in rows)
        {
            for (int i = 0; i < row.Length; i++)
            {
                text.Append(i == row.Length - 1 ? row[i] : row[i].PadRight(widths[i] + 2));
            }

            text.Append('\n');
        }

        return text.ToString();
    }

    private static void PrintTable(List<string[]> rows) => Write(Table(rows));

    private static void Print(string line) => Write(line + "\n");

    private static void Write(string text)
    {
        using Stream output = Console.OpenStandardOutput();
        output.Write(Encoding.UTF8.GetBytes(text));
    }
}
