using System;
using System.IO;
using System.Text;
using System.Threading;
using Runsc.Gofer;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.Sentry.FileSystems.Gofer;
using Runsc.Sentry.FileSystems.Overlay;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Vfs;
using Runsc.Tests.Support;
using Xunit;

namespace Runsc.Tests.Sentry;

/// <summary>Programs of a Debian root on the application kernel in this process: an overlay in memory over a gofer thread.</summary>
public sealed class DebianRootTests
{
    private static (int Status, string Output) Run(params string[] arguments)
    {
        Assert.Equal(0, HostSocket.Pair(Socket.SOCK_SEQPACKET, out int ours, out int theirs));
        int root = HostFile.OpenAt(Fcntl.AT_FDCWD, Encoding.UTF8.GetBytes(TestEnvironment.DebianRoot! + "\0"), Fcntl.O_PATH);
        Thread server = new(() =>
        {
            int descriptors = GoferServer.OpenDescriptorDirectory();
            GoferServer.Run([new GoferExport(theirs, root, true)], descriptors);
            HostFile.Close(descriptors);
        });
        server.Start();
        SuperBlock? super = null;
        Action<string>? trace = Environment.GetEnvironmentVariable("RUNSC_TEST_TRACE") is string file ? line => File.AppendAllText(file, line + "\n") : null;
        (int Status, string Output) result;
        using (InProcessSandbox sandbox = new(trace, MakeRoot))
        {
            result = sandbox.Run(arguments);
        }

        super!.Release();
        server.Join();
        return result;

        SuperBlock MakeRoot(SentryKernel kernel)
        {
            Assert.Equal(Errno.None, GoferSuperBlock.Connect(kernel, ours, new GoferOptions(true, "root"), out GoferSuperBlock? lower));
            super = OverlaySuperBlock.Create(kernel, lower!);
            return super;
        }
    }

    private static string Shell(string script)
    {
        (int status, string output) = Run("/bin/bash", "-c", script);
        Assert.True(status == 0, $"status {status:x}\n{output}");
        return output;
    }

    [PlatformDebianFact]
    public void Bash_WithItsLibraries_Runs() => Assert.Equal("hello from bash\n", Shell("echo hello from bash"));

    [PlatformDebianFact]
    public void Files_ReadAndListed_AreThoseOfTheHost()
    {
        Assert.Equal(File.ReadAllText(Path.Combine(TestEnvironment.DebianRoot!, "etc/debian_version")), Shell("cat /etc/debian_version"));
        string expected = CommandRunner.Shell($"cd '{TestEnvironment.DebianRoot}' && LC_ALL=C ls -A etc usr/bin");
        Assert.Equal(expected, Shell("cd / && ls -A etc usr/bin"));
    }

    [PlatformDebianFact]
    public void Tree_CopiedAndChanged_StaysInTheOverlay()
    {
        string output = Shell(
            """
            set -e
            cd /etc && mv apt apt2 && ls -d apt2 && ! test -e apt
            cp -a /usr/share/doc /root/doc && diff -r --no-dereference /usr/share/doc /root/doc && rm -rf /root/doc
            echo changed >> /etc/passwd && tail -1 /etc/passwd
            ln /etc/passwd /etc/passwd3 && stat -c %h /etc/passwd
            rm -rf /usr/share/doc && mkdir /usr/share/doc && ls -A /usr/share/doc
            """);
        Assert.Equal("apt2\nchanged\n2\n", output);
        Assert.True(Directory.Exists(Path.Combine(TestEnvironment.DebianRoot!, "etc/apt")));
        Assert.NotEmpty(Directory.GetFileSystemEntries(Path.Combine(TestEnvironment.DebianRoot!, "usr/share/doc")));
    }
}

/// <summary>A test that needs a Debian root, but no published binary.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class PlatformDebianFactAttribute : FactAttribute
{
    public PlatformDebianFactAttribute() =>
        Skip = TestEnvironment.DebianRoot is null ? "there is no Debian root (RUNSC_DEBIAN_ROOT; scripts/test makes one)" : null;
}
