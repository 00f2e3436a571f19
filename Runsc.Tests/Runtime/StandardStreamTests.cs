using System.Text.Json.Nodes;
using Runsc.Tests.Support;
using Xunit;

namespace Runsc.Tests.Runtime;

/// <summary>Standard input, output and error of all kinds behave inside as they do natively.</summary>
[Collection("sandbox")]
public sealed class StandardStreamTests
{
    [SandboxFact]
    public void Output_AppendedToAFile_KeepsWhatOthersWrite() =>
        Assert.Equal("before\nin\nerr\nafter\n", Redirected("(echo before; @; echo after) >> log 2>&1; cat log", "echo in; echo err >&2"));

    [SandboxFact]
    public void Output_ToAFile_SharesItsOffset() =>
        Assert.Equal("before\nin\nafter\n", Redirected("(echo before; @; echo after) > log; cat log", "echo in"));

    [SandboxFact]
    public void Input_FromAFile_SharesItsOffset() =>
        Assert.Equal("inside 2 3\nnext 4\n", Redirected("printf '1\\n2\\n3\\n4\\n' > in; { read a; @; read b; echo next $b; } < in", "read a; read b; echo inside $a $b"));

    [SandboxFact]
    public void Input_FromAPipe_Ends() =>
        Assert.Equal("12\n", Redirected("printf 'hello world\\n' | @ | cat", "wc -c"));

    [SandboxFact]
    public void Streams_OfASocket_CannotBeOpenedAgain()
    {
        // The end of a pair is all three of the program's standard streams.
        const string Script = """
            use Socket;
            socketpair(my $a, my $b, AF_UNIX, SOCK_STREAM, 0) or die;
            unless (my $child = fork) {
                open(STDIN, "<&", $b); open(STDOUT, ">&", $b); open(STDERR, ">&", $b);
                close $a;
                exec @ARGV;
            }
            close $b;
            syswrite $a, "hello\n";
            print while <$a>;
            """;
        using Sandbox sandbox = new();
        string inside = Prepare(sandbox, "read a; echo got $a; test -S /proc/self/fd/0 && echo socket; echo again > /proc/self/fd/1");
        CommandResult result = CommandRunner.Run("/usr/bin/perl", ["-e", Script, .. inside.Split(' ')]);
        Assert.Equal("got hello\nsocket\nsh: can't create /proc/self/fd/1: No such device or address\n", result.Output);
    }

    [SandboxFact]
    public void Streams_OfATerminal_AreTheTerminal() =>
        Assert.Equal("0 1 2\r\n", Redirected("script -qec \"@\" /dev/null < /dev/null", "for i in 0 1 2; do test -t $i && set -- $* $i; done; echo $*"));

    /// <summary>The output of a script of the host, in an empty directory, in which @ stands for runsc run of a shell command.</summary>
    private static string Redirected(string host, string inside)
    {
        using Sandbox sandbox = new();
        string run = Prepare(sandbox, inside);
        CommandResult result = CommandRunner.Run("/bin/sh", ["-c", host.Replace("@", run, System.StringComparison.Ordinal)], directory: sandbox.Directory);
        Assert.True(result.Status == 0, result.ToString());
        return result.Output;
    }

    private static string Prepare(Sandbox sandbox, string inside)
    {
        sandbox.Config["process"]!["args"] = new JsonArray("/bin/busybox", "sh", "-c", inside);
        sandbox.WriteConfig();
        return $"{TestEnvironment.Binary} --root {sandbox.State} {string.Join(' ', sandbox.Flags)} run --bundle {sandbox.Bundle} {sandbox.Id}";
    }
}
