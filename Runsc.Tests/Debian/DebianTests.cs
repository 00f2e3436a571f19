using System.Collections.Generic;
using System.IO;
using Runsc.Tests.Support;
using Xunit;

namespace Runsc.Tests.Debian;

/// <summary>Ordinary Debian programs in a sandbox say what they say under chroot.</summary>
[Collection("sandbox")]
public sealed class DebianTests
{
    /// <summary>Scripts whose output must be equal; each begins in an empty /tmp/work.</summary>
    private static readonly Dictionary<string, string> s_scripts = new()
    {
        ["ls-usr"] = "ls -lR /usr | wc -l",
        ["sort-awk"] = "seq 200000 | sort -rn | awk '{s+=$1} END{print s}'",
        ["find-files"] = "find /usr /etc /bin /lib -xdev -type f | wc -l",
        ["tar-pipe"] = "mkdir out && tar cf - -C /etc . | tar xf - -C out && diff -r --no-dereference /etc out && find out | wc -l",
        ["dd-256m"] = "dd if=/dev/zero of=big bs=1M count=256 2>/dev/null; stat -c %s big; dd if=big bs=1M 2>/dev/null | md5sum; rm big",
        ["gcc-hello"] = """
            printf '#include <stdio.h>\nint main(void){printf("hello %zu\\n", sizeof(long));return 3;}\n' > hello.c
            gcc -O2 -o hello hello.c && ./hello; echo $?
            """,
        ["git"] = """
            export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b GIT_AUTHOR_DATE=1700000000+0000 GIT_COMMITTER_DATE=1700000000+0000
            git init -q -b main repo && cd repo
            for i in $(seq 30); do echo $i > f$i; echo $i >> all; git add . && git commit -q -m "commit $i"; done
            git gc -q && cd .. && git clone -q repo copy && cd copy && git fsck --strict 2>&1 && git log --oneline | wc -l && git rev-parse HEAD
            """,
        ["bash-jobs"] = """
            trap 'echo got usr1' USR1
            (exit 3) & a=$!
            (sleep 0.2; exit 5) & b=$!
            wait $a; echo $?; wait -n; echo $?
            kill -USR1 $$; wait; echo done
            for i in 1 2 3 4; do (echo job $i) & wait $!; done
            x=$(echo sub $(echo inner)); echo $x; echo a | (read v; echo "read $v"); [ -t 0 ] || echo no terminal
            (trap 'echo bye; exit 9' TERM; kill -TERM $BASHPID; sleep 5); echo $?
            """,
        ["perl"] = """perl -e 'for (1..1000) { $h{$_ % 7} += $_ } print join(",", map {"$_=$h{$_}"} sort keys %h), "\n"; open(P, "-|", "echo piped") or die; print <P>; if (fork) { 1 while wait > 0; print "parent\n" } else { print "child\n" }'""",
        ["users"] = "id; whoami; stat -c '%A %U %G %n' /root /tmp; chown 33:33 . && chmod 2750 . && stat -c '%a %u %g' .; umask; su -s /bin/sh www-data -c id",
    };

    private const string PythonScript = """
        import concurrent.futures, ctypes, mmap, multiprocessing, os, queue, signal, socket, sqlite3, subprocess, sys, tempfile, threading, time
        def work(n):
            return sum(i * i for i in range(n))
        def main():
            results = queue.Queue()
            threads = [threading.Thread(target=lambda k=k: results.put(work(1000 * k))) for k in range(8)]
            [t.start() for t in threads]; [t.join() for t in threads]
            print('threads', sorted(results.get() for _ in threads))
            print('subprocess', subprocess.run(['sh', '-c', 'cat; exit 4'], input=b'in', capture_output=True))
            a, b = socket.socketpair(); a.sendall(b'x' * 100000 if False else b'ping'); print('socketpair', b.recv(10))
            path = os.path.join(tempfile.mkdtemp(), 's'); server = socket.socket(socket.AF_UNIX); server.bind(path); server.listen(1)
            def serve():
                c, _ = server.accept(); c.sendall(c.recv(100)[::-1]); c.close()
            t = threading.Thread(target=serve); t.start(); c = socket.socket(socket.AF_UNIX); c.connect(path); c.sendall(b'hello'); print('unix', c.recv(100)); t.join()
            socket.send_fds(a, [b'f'], [os.open('/etc/hostname', os.O_RDONLY)]) if os.path.exists('/etc/hostname') else None
            with open('m', 'w+b') as f:
                f.truncate(8192); m = mmap.mmap(f.fileno(), 8192); m[4096:4101] = b'hello'; m.flush(); f.seek(4096); print('mmap', f.read(5), m.find(b'hello'))
            anon = mmap.mmap(-1, 4096)
            if os.fork() == 0:
                anon[0:3] = b'kid'; os._exit(0)
            os.wait(); print('shared', anon[0:3])
            with multiprocessing.Pool(3) as pool: print('pool', pool.map(work, range(0, 500, 50)))
            with concurrent.futures.ProcessPoolExecutor(2) as ex: print('executor', list(ex.map(work, [10, 20, 30])))
            hits = []; signal.signal(signal.SIGALRM, lambda *_: hits.append(1)); signal.setitimer(signal.ITIMER_REAL, 0.05); time.sleep(0.2); print('signal', hits)
            db = sqlite3.connect('x.db'); db.execute('create table t(a)'); db.executemany('insert into t values(?)', [(i,) for i in range(1000)]); db.commit(); print('sqlite', db.execute('select sum(a) from t').fetchone())
            r, w = os.pipe(); os.write(w, b'p'); print('pipe', os.read(r, 5)); print('cpu', os.cpu_count() is not None, sys.platform)
            lock = threading.Lock(); n = [0]
            def inc():
                for _ in range(1000):
                    with lock: n[0] += 1
            ts = [threading.Thread(target=inc) for _ in range(4)]; [t.start() for t in ts]; [t.join() for t in ts]; print('lock', n[0])
        if __name__ == '__main__': main()
        """;

    public static TheoryData<string> Scripts() => [.. s_scripts.Keys];

    [DebianTheory]
    [MemberData(nameof(Scripts))]
    public void Script_UnderChrootAndInSandbox_SaysTheSame(string name) => Compare(["/bin/bash", "-c", s_scripts[name]]);

    [DebianFact]
    public void Python_UnderChrootAndInSandbox_SaysTheSame() => Compare(["/usr/bin/python3", "/tmp/work/script.py"], PythonScript);

    [DebianFact]
    public void ProcessTools_InSandbox_ShowOurProcesses()
    {
        using Sandbox sandbox = new(TestEnvironment.DebianRoot);
        CommandResult result = sandbox.Run(["/bin/bash", "-c", "sleep 60 & ps aux; top -b -n1 | head -12; free; ps -eo pid,ppid,stat,comm; kill $!"]);
        Assert.Equal(0, result.Status);
        Assert.Contains("sleep 60", result.Output);
        Assert.Contains("Tasks:", result.Output);
        Assert.Contains("Mem:", result.Output);
        Assert.Matches(@"(?m)^\s+1\s+0 \S+\s+bash$", result.Output);
    }

    internal static void Compare(string[] command, string? script = null)
    {
        string root = TestEnvironment.DebianRoot!;
        string work = Path.Combine(root, "tmp/work");
        try
        {
            Directory.CreateDirectory(work);
            File.WriteAllText(Path.Combine(work, "script.py"), script ?? "");
            // The chroot gets what a container has: /proc, and a /dev/shm for semaphores.
            const string native = "mount -t proc proc \"$0/proc\" && mkdir -p \"$0/dev/shm\" && mount -t tmpfs shm \"$0/dev/shm\" && exec chroot \"$0\" /usr/bin/env -i "
                + "PATH=/bin:/usr/bin:/sbin:/usr/sbin HOME=/root LC_ALL=C.UTF-8 sh -c 'cd /tmp/work && exec \"$@\"' sh \"$@\"";
            CommandResult outside = CommandRunner.Run("/usr/bin/unshare", ["--mount", "/bin/sh", "-c", native, root, .. command]);
            Directory.Delete(work, recursive: true);
            Directory.CreateDirectory(work);
            File.WriteAllText(Path.Combine(work, "script.py"), script ?? "");

            using Sandbox sandbox = new(root);
            sandbox.Config["mounts"]!.AsArray().RemoveAt(5);
            sandbox.Config["process"]!["cwd"] = "/tmp/work";
            CommandResult inside = sandbox.Run(command);
            Assert.True(outside.Status == inside.Status && outside.Output == inside.Output, $"under chroot: {outside}\nin the sandbox: {inside}");
            Assert.NotEqual("", outside.Output);
        }
        finally
        {
            Directory.Delete(work, recursive: true);
        }
    }
}
