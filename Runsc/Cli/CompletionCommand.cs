using System;
using System.CommandLine;
using Runsc.Common;

namespace Runsc.Cli;

/// <summary>completion: a script for a shell; it asks this program itself for what fits ("[suggest:POSITION]").</summary>
internal static class CompletionCommand
{
    private const string Bash = """
        _runsc_complete() {
            local IFS=$'\n'
            COMPREPLY=( $(compgen -W "$("${COMP_WORDS[0]}" "[suggest:${COMP_POINT}]" "${COMP_LINE}" 2>/dev/null)" -- "${COMP_WORDS[COMP_CWORD]}") )
        }
        complete -o default -F _runsc_complete runsc
        """;

    private const string Zsh = """
        #compdef runsc
        _runsc_complete() {
            local -a found
            found=("${(@f)$("${words[1]}" "[suggest:${CURSOR}]" "${BUFFER}" 2>/dev/null)}")
            compadd -a found
        }
        compdef _runsc_complete runsc
        """;

    private const string Fish = """
        complete -c runsc -f -a '(set -l line (commandline -p); runsc "[suggest:"(commandline -C)"]" "$line" 2>/dev/null)'
        """;

    public static Command Make()
    {
        Argument<string> shell = new("SHELL") { Description = "bash, zsh or fish", Arity = ArgumentArity.ExactlyOne };
        shell.CompletionSources.Add("bash", "zsh", "fish");
        Command command = new("completion", "print a script that completes commands in a shell") { shell };
        command.SetAction(result =>
        {
            string name = result.GetRequiredValue(shell);
            Console.Out.WriteLine(name switch
            {
                "bash" => Bash,
                "zsh" => Zsh,
                "fish" => Fish,
                _ => throw new RunscException($"completion: \"{name}\" is not bash, zsh or fish"),
            });
            return 0;
        });
        return command;
    }
}
