using System;
using System.IO;
using Runsc.Tests.Support;
using Xunit;

namespace Runsc.Tests.Sentry;

/// <summary>Static programs on the application kernel, in this process.</summary>
public sealed class InProcessTests
{
    private const string BusyBox = "/bin/busybox";

    [PlatformFact]
    public void Echo_OfBusyBox_Writes()
    {
        Action<string>? trace = Environment.GetEnvironmentVariable("RUNSC_TEST_TRACE") is string file ? line => File.AppendAllText(file, line + "\n") : null;
        using InProcessSandbox sandbox = new(trace);
        sandbox.Add("/bin/busybox", File.ReadAllBytes(BusyBox));
        (int status, string output) = sandbox.Run("/bin/busybox", "echo", "hello", "world");
        Assert.Equal("hello world\n", output);
        Assert.Equal(0, status);
    }

    [PlatformFact]
    public void Shell_WithForksAndFiles_Works()
    {
        Action<string>? trace = Environment.GetEnvironmentVariable("RUNSC_TEST_TRACE") is string file ? line => File.AppendAllText(file, line + "\n") : null;
        using InProcessSandbox sandbox = new(trace);
        sandbox.Add("/bin/busybox", File.ReadAllBytes(BusyBox));
        (int status, string output) = sandbox.Run(
            "/bin/busybox", "sh", "-c", "busybox mkdir /tmp && cd /tmp && echo a b c > x && busybox cat x; busybox wc -c x; busybox ls -la /tmp | busybox head -1 >/dev/null; (exit 3); echo $?; busybox uname -sr; exit 7");
        Assert.Contains("a b c\n", output);
        Assert.Contains("6 x\n", output);
        Assert.Contains("\n3\n", output);
        Assert.Equal(7 << 8, status);
    }

    [PlatformFact]
    public void Mounts_AreToldAsTheyWereMade()
    {
        using InProcessSandbox sandbox = new();
        sandbox.Add("/bin/busybox", File.ReadAllBytes(BusyBox));
        (int status, string output) = sandbox.Run(
            "/bin/busybox", "sh", "-c",
            "cd /; busybox mkdir /proc /a /b /c; busybox mount -t proc none /proc; mount -t tmpfs -o size=1m,mode=700,uid=5 'my disk' /a; mkdir -p /a/in/side; mount --bind /a/in/side /b; mount -t tmpfs -o strictatime,nodev x /c; "
            + "grep ' /[abc] ' /proc/mounts; grep ' /[abc] ' /proc/self/mountinfo | cut -d ' ' -f 4-6,8-");
        Assert.Equal(
            """
            my\040disk /a tmpfs rw,relatime,size=1024k,mode=700,uid=5 0 0
            my\040disk /b tmpfs rw,relatime,size=1024k,mode=700,uid=5 0 0
            x /c tmpfs rw,nodev 0 0
            / /a rw,relatime tmpfs my\040disk rw,size=1024k,mode=700,uid=5
            /in/side /b rw,relatime tmpfs my\040disk rw,size=1024k,mode=700,uid=5
            / /c rw,nodev tmpfs x rw

            """,
            output);
        Assert.Equal(0, status);
    }
}
