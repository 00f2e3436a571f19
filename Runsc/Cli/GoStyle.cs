using System;
using System.Collections.Generic;
using System.CommandLine;
using System.Globalization;
using System.Linq;
using Runsc.Common;

namespace Runsc.Cli;

/// <summary>
/// Makes of a command line by the rules of gVisor and runc one that the parser reads the same way: flags with one dash, values that begin
/// with a dash, and the words after a container's id (exec, ps) or after the flags (do), which are another program's and not ours.
/// </summary>
internal static class GoStyle
{
    /// <exception cref="RunscException">A flag is unknown, lacks its value, or has one that is not of its kind.</exception>
    public static List<string> Normalize(RootCommand root, IReadOnlyList<string> arguments)
    {
        List<string> result = [];
        Command command = root;
        int positionals = 0;
        for (int i = 0; i < arguments.Count; i++)
        {
            string word = arguments[i];
            if (word == "--" || (i == 0 && word.StartsWith('[')))
            {
                result.AddRange(arguments.Skip(i));
                break;
            }

            if (word.Length > 1 && word[0] == '-')
            {
                result.Add(Flag(command, arguments, ref i));
                continue;
            }

            if (command == root && root.Subcommands.FirstOrDefault(sub => sub.Name == word || sub.Aliases.Contains(word)) is Command sub)
            {
                command = sub;
                result.Add(word);
                continue;
            }

            positionals++;
            if (FirstForeign(command) is int first && positionals >= first)
            {
                result.Add("--");
                result.AddRange(arguments.Skip(i));
                break;
            }

            result.Add(word);
        }

        return result;
    }

    /// <summary>The positional with which another program's words begin; null when all are ours.</summary>
    private static int? FirstForeign(Command command) => command.Name switch
    {
        "do" => 1,
        "exec" or "ps" => 2,
        _ => null,
    };

    /// <summary>A flag as one word, its value behind an equals sign.</summary>
    private static string Flag(Command command, IReadOnlyList<string> arguments, ref int i)
    {
        string word = arguments[i];
        int equals = word.IndexOf('=', StringComparison.Ordinal);
        string name = equals < 0 ? word : word[..equals];
        Option? option = Find(command, name) ?? (name.StartsWith("--", StringComparison.Ordinal) ? null : Find(command, "-" + name));
        string where = command is RootCommand ? "" : $"{command.Name}: ";
        if (option is null)
        {
            throw new RunscException($"{where}unknown flag {name}");
        }

        if (option.Action is not null)
        {
            // Help and version.
            return option.Name;
        }

        bool isSwitch = option.ValueType == typeof(bool);
        if (equals < 0 && !isSwitch && i + 1 == arguments.Count)
        {
            throw new RunscException($"{where}{option.Name} needs a value");
        }

        string value = equals >= 0 ? word[(equals + 1)..] : isSwitch ? "true" : arguments[++i];
        if (isSwitch && value is not ("true" or "false" or "1" or "0"))
        {
            throw new RunscException($"{where}{option.Name}: \"{value}\" is not true or false");
        }

        value = isSwitch ? value is "true" or "1" ? "true" : "false" : value;
        if (option.ValueType == typeof(int) && !int.TryParse(value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out _))
        {
            throw new RunscException($"{where}{option.Name}: \"{value}\" is not a number");
        }

        return $"{option.Name}={value}";
    }

    private static Option? Find(Command command, string name) =>
        command.Options.FirstOrDefault(option => option.Name == name || option.Aliases.Contains(name))
        ?? command.Parents.OfType<Command>().SelectMany(parent => parent.Options).FirstOrDefault(option => option.Recursive && (option.Name == name || option.Aliases.Contains(name)));
}
