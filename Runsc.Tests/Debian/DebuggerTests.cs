using System.Collections.Generic;
using System.IO;
using Runsc.Tests.Support;
using Xunit;

namespace Runsc.Tests.Debian;

/// <summary>strace and gdb of Debian do in a sandbox what they do under chroot. Numbers of processes and addresses are taken out.</summary>
[Collection("sandbox")]
public sealed class DebuggerTests
{
    private const string Program = """
        #include <pthread.h>
        #include <stdio.h>
        #include <sys/wait.h>
        #include <unistd.h>
        int global = 3;
        int leaf(int x) { return x * global; }
        int middle(int x) { int y = leaf(x) + 1; return y; }
        void *body(void *a) { printf("thread %d\n", middle(10)); return 0; }
        int main(int argc, char **argv) {
            setvbuf(stdout, NULL, _IONBF, 0);
            pthread_t t; pthread_create(&t, NULL, body, NULL); pthread_join(t, NULL);
            if (argc > 1) for (;;) { middle(2); usleep(1000); }
            pid_t p = fork(); if (p == 0) { printf("child\n"); return 3; }
            waitpid(p, NULL, 0); printf("%d\n", middle(5)); return 0; }
        """;

    private const string Compile = "cat > t.c <<'EOF'\n" + Program + "\nEOF\ngcc -g -O0 -pthread -o t t.c\n";

    // Distances within functions stay.
    private const string Clean = @" 2>&1 | sed -E 's/0x[0-9a-f]{5,}/ADDRESS/g; s/\b(LWP|process|Process|pid) +[0-9]+/\1 N/g; s/^[0-9]+ //; s/  +/ /g'";

    private static readonly Dictionary<string, string> s_scripts = new()
    {
        ["strace"] = "strace -e trace=openat,read,write,close,exit_group -e signal=none cat /etc/debian_version" + Clean,
        ["strace-status"] = "strace -o log sh -c 'exit 7'; echo $?; tail -1 log; strace -o log sh -c 'kill -9 $$'; echo $?; tail -1 log",
        ["strace-follow"] = Compile
            + "strace -ff -o log -e trace=clone,clone3,vfork,execve,wait4,exit_group -e signal=none sh -c './t; ./t | cat'; echo $?\n"
            + @"cat log.* | sed -E 's/0x[0-9a-f]{5,}/ADDRESS/g; s/[0-9]+ vars/N vars/; s/\b[0-9]{1,}\b/N/g; s/  +/ /g' | sort",
        ["strace-signals"] = "strace -e trace=kill -e signal=all sh -c 'trap \"echo caught\" USR1; kill -USR1 $$; kill -TERM $$; echo no' 2>&1 | sed -E 's/[0-9]{2,}|pid=[0-9]+|\\(([0-9]+),/N/g; s/  +/ /g'",
        ["strace-count"] = "strace -f -c -o log sh -c 'for i in 1 2 3; do cat /dev/null; done'; awk '$NF == \"execve\" || $NF == \"wait4\" { print $4, $NF }' log | sort",
        ["strace-seccomp"] = "strace -f --seccomp-bpf -e trace=openat -o log sh -c 'cat /etc/debian_version'; grep -c debian_version log",
        ["strace-inject"] = "strace -e inject=openat:error=EPERM:when=3 -e trace=openat cat /etc/debian_version 2>&1 | grep INJECTED | wc -l",
        ["gdb"] = Compile + "gdb -nx -batch -ex 'set pagination off' -ex 'break leaf' -ex run -ex bt -ex 'info threads' -ex step -ex next -ex 'print x' -ex continue -ex 'print global' "
            + "-ex 'set var global = 7' -ex stepi -ex 'x/i $pc' -ex 'info registers cs ss eflags' -ex delete -ex 'print middle(2)' -ex continue ./t" + Clean
            + " | grep -v -e Thread -e Detaching -e 'Target Id' -e 'LWP N' -e futex -e clone",
        ["gdb-step"] = Compile + "gdb -nx -batch -ex 'break middle' -ex run -ex 'stepi 12' -ex 'x/i $pc' -ex finish -ex 'watch global' -ex kill ./t" + Clean + " | grep -e '=> ' -e 'Value returned'",
        ["gdb-catch"] = Compile + "gdb -nx -batch -ex 'set follow-fork-mode child' -ex 'catch fork' -ex 'catch syscall wait4' -ex run -ex continue ./t" + Clean + " | grep -e Catchpoint -e exited",
        ["gdb-signal"] = "gdb -nx -batch -ex 'handle SIGUSR1 stop print' -ex run -ex 'print $_siginfo.si_signo' -ex 'signal 0' --args sh -c 'kill -USR1 $$; kill -SEGV $$'" + Clean + " | grep -e signal -e = -e exited",
        ["gdb-attach"] = Compile + "./t loop & sleep 1; gdb -nx -batch -ex \"attach $!\" -ex 'break leaf' -ex continue -ex bt -ex finish -ex delete -ex 'print middle(7)' -ex detach ./t" + Clean
            + " | grep -e '#' -e = -e Breakpoint -e detached; kill -0 $! && echo alive; kill $!; wait $!; echo $?",
        // A shell that uses vfork(2) would not do: strace waits in vain for one that is in it, here as everywhere.
        ["strace-attach"] = "bash -c 'for i in $(seq 60); do /bin/sleep 0.02; done; exit 5' & sleep 0.3; timeout -s INT 1 strace -qq -f -o log -p $!; echo $?; wait $!; echo $?; grep -q sleep log; echo $?",
    };

    public static TheoryData<string> Scripts() => [.. s_scripts.Keys];

    [DebuggerTheory]
    [MemberData(nameof(Scripts))]
    public void Debugger_UnderChrootAndInSandbox_SaysTheSame(string name) => DebianTests.Compare(["/bin/bash", "-c", s_scripts[name]]);

    /// <summary>A root that an older list of packages was for does not have them.</summary>
    private sealed class DebuggerTheoryAttribute : TheoryAttribute
    {
        public DebuggerTheoryAttribute() =>
            Skip = TestEnvironment.DebianMissing ?? (File.Exists(Path.Combine(TestEnvironment.DebianRoot!, "usr/bin/strace"))
                && File.Exists(Path.Combine(TestEnvironment.DebianRoot!, "usr/bin/gdb")) ? null : "the Debian root has no strace or no gdb");
    }
}
